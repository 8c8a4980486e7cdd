"""Engine `sherpa`: offline NeMo CTC (GigaAM) and transducers (zipformer, NeMo) by sherpa-onnx.

Runs in the engine's process only. What sherpa-onnx does not survive is checked before it is called;
see models/probe.py and models/graphs.py.

Audio comes at 16 kHz, the feature rate of every supported layout: resampled before by soxr, an
8 kHz call scores the same as through sherpa-onnx's own resampler (442 real prompts, 808 s: CER
10.8 % against 10.9 %, CTC; 11.5 % both, transducer), without its three lines on stderr per segment.
"""

import ctypes
import math
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from ruasr_tel.engines.base import PLAIN, DecodeOptions, Engine, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.nearest import keep_to_list
from ruasr_tel.engines.sherpa_hotwords import Hotwords, hotwords_for
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.graphs import check_graphs
from ruasr_tel.models.probe import (
    LAYOUTS,
    NEMO_CTC,
    NEMO_TRANSDUCER,
    TRANSDUCER,
    check_files,
    find_files,
)
from ruasr_tel.models.tokens import read_tokens
from ruasr_tel.types import Waveform

DEFAULT_RATE_HZ = 16000
FAMILIES = (TRANSDUCER, NEMO_TRANSDUCER, NEMO_CTC)
SESSION_OPTIONS = "EnableMemPattern=0\n"
"""Of onnxruntime, as sherpa-onnx 2.0 reads them from a file. With a memory pattern for every length
that was seen, 1500 segments of 0.1 to 25 s took 13 MB more after the first 250; without, 3 MB (our
measurement)."""
_CUDA_LIBRARY = "libonnxruntime_providers_cuda"
_CUDA_WHEELS = "https://k2-fsa.github.io/sherpa/onnx/cuda.html"


class SherpaEngine:
    """One shared offline recogniser; each segment is a stream of its own.

    Decoding releases the GIL and takes no lock, so several threads may decode at once; segments are
    never batched, because padding makes mixed lengths 2.3 times slower (our measurement).

    Args:
        recognizer: the greedy one.
        info: what it is.
        hotwords: how phrases are written for it, or None: it cannot prefer any.
        load_beam: loads the recogniser that takes phrases, a second copy of the model; called when
            somebody asks for phrases first.
    """

    def __init__(
        self,
        recognizer: Any,
        info: EngineInfo,
        hotwords: Hotwords | None = None,
        load_beam: Callable[[], Any] | None = None,
    ) -> None:
        self._recognizer = recognizer
        self.info = info
        self._hotwords = hotwords
        self._load_beam = load_beam
        self._beam: Any = None
        self._loading = threading.Lock()

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        Raises:
            DecodeError: sherpa-onnx could not decode one of them.
        """
        written = self._hotwords.write(options.phrases, options.boost) if self._hotwords else ""
        heard = [self._decode_one(samples, written) for samples in segments]
        if options.closed and options.phrases and self.info.closed_lists:
            heard = [keep_to_list(one, options) for one in heard]
        return heard

    def _searching(self) -> Any:
        """Return the recogniser that takes phrases."""
        assert self._load_beam is not None
        with self._loading:
            if self._beam is None:
                self._beam = self._load_beam()
            return self._beam

    def _decode_one(self, samples: Waveform, hotwords: str) -> Hypothesis:
        try:
            recognizer = self._searching() if hotwords else self._recognizer
            stream = recognizer.create_stream(**({"hotwords": hotwords} if hotwords else {}))
            stream.accept_waveform(self.info.sample_rate_hz, samples)
            recognizer.decode_stream(stream)
            return _hypothesis(stream.result, confidence=self.info.confidence)
        except Exception as exc:  # the binding raises what C++ threw
            seconds = len(samples) / self.info.sample_rate_hz
            reason = " ".join(str(exc).split())[:200]
            raise DecodeError(
                f"sherpa-onnx could not decode a segment of {seconds:.2f} s: {reason}"
            ) from exc


def create(spec: EngineSpec) -> Engine:
    """Check the model of `spec`, then load it.

    `spec.options` may hold for each role (`model`, or `encoder`, `decoder` and `joiner`, and
    `tokens`) the names or globs of its file below `spec.model_dir`, separated by `|`, best first;
    without them the family's usual names are tried. `sample_rate_hz` is 16000 unless given;
    `gpu` is the number of the GPU and can be 0 only.

    Provider `auto` takes CUDA where the installed build has it and it works, else the CPU.

    Raises:
        ModelLoadError: the model cannot be used; the message names the file and the cure.
        ConfigError: sherpa-onnx, or CUDA where it was asked for, is missing.
    """
    if spec.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(f"model {spec.model}: no family {spec.family!r}; known: {known}")
    fallback = ""
    if _try_cuda(spec.provider):
        try:
            return _engine(spec, "cuda")
        except (ConfigError, ModelLoadError) as exc:
            if spec.provider == "cuda":
                raise
            fallback = str(exc)
    return _engine(spec, "cpu", fallback)


def cuda_refusal(version: str, libraries: Sequence[str]) -> str | None:
    """Return why this build of sherpa-onnx cannot use CUDA, with the cure, or None if it can.

    sherpa-onnx itself falls back to the CPU with a line on stderr (csrc/session.cc).

    Args:
        version: the installed version of sherpa-onnx; CUDA builds say `+cuda…` (its setup.py).
        libraries: names of the files it came with.
    """
    if "+cuda" in version and any(_CUDA_LIBRARY in name for name in libraries):
        return None
    return (
        f"provider cuda needs the CUDA build of sherpa-onnx, {version} is the CPU build: run "
        f"`pip uninstall -y sherpa-onnx sherpa-onnx-core` and "
        f"`pip install sherpa-onnx --no-index -f {_CUDA_WHEELS}`, or set the provider to cpu"
    )


def _try_cuda(provider: str) -> bool:
    """Return whether to load on CUDA; raise if it was asked for and cannot be."""
    if provider not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"provider {provider!r} is unknown; known: auto, cpu, cuda")
    try:
        version = metadata.version("sherpa-onnx")
    except metadata.PackageNotFoundError as exc:
        raise ConfigError("engine sherpa needs its package: pip install sherpa-onnx") from exc
    if provider == "cpu":
        return False
    libraries = [path.name for path in metadata.files("sherpa-onnx") or ()]
    refusal = cuda_refusal(version, libraries)
    if refusal is not None and provider == "cuda":
        raise ConfigError(refusal)
    return refusal is None


def _engine(spec: EngineSpec, provider: str, fallback: str = "") -> SherpaEngine:
    on_gpu = provider == "cuda"
    if on_gpu:
        _check_gpu(int(spec.options.get("gpu", 0)))
    files = _files_of(spec, provider)
    check_files(files, spec.family)
    table = read_tokens(files["tokens"])
    mel_bins = check_graphs(files, spec.family, table)
    recognizer = _load(spec, provider, files, mel_bins)
    hotwords = None  # CTC with hotwords ends the process
    if spec.family != NEMO_CTC:
        hotwords = hotwords_for(table.symbols, files["tokens"].parent)
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=int(spec.options.get("sample_rate_hz", DEFAULT_RATE_HZ)),
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        confidence=spec.family != NEMO_CTC,
        provider=provider,
        fallback=fallback,
        hotwords=hotwords is not None,
        closed_lists=hotwords is not None,
        slots=1 if on_gpu else 0,  # one thread owns the GPU, as in engines/onnx.py
    )
    beam = partial(_load, spec, provider, files, mel_bins, hotwords)
    return SherpaEngine(recognizer, info, hotwords, beam)


def _check_gpu(number: int) -> None:
    """See that the GPU is the one that sherpa-onnx takes: the first (csrc/session.cc, device_id).

    Raises:
        ConfigError: it is another; says how to make it the first.
    """
    if number != 0:
        raise ConfigError(
            f"sherpa-onnx takes the first GPU only, and engine.cuda.device is {number}: set it to "
            f"0, and CUDA_VISIBLE_DEVICES={number} in the environment of the server"
        )


def _files_of(spec: EngineSpec, provider: str) -> dict[str, Path]:
    """Return role -> file, from the options or by the family's usual names."""
    folder = spec.model_dir
    if folder is None or not folder.is_dir():
        raise ModelLoadError(f"model {spec.model}: {folder} is not a folder")
    patterns = {
        role: str(spec.options[role]).split("|") if role in spec.options else names
        for role, names in LAYOUTS[spec.family].items()
    }
    return find_files(folder, patterns, full_precision=provider == "cuda")


def _load(
    spec: EngineSpec,
    provider: str,
    files: Mapping[str, Path],
    mel_bins: int,
    hotwords: Hotwords | None = None,
) -> Any:
    """Return a greedy recogniser, or with `hotwords` one that takes phrases."""
    from sherpa_onnx import OfflineRecognizer

    makers: dict[str, Callable[..., Any]] = {
        NEMO_CTC: OfflineRecognizer.from_nemo_ctc,
        TRANSDUCER: OfflineRecognizer.from_transducer,
        NEMO_TRANSDUCER: OfflineRecognizer.from_transducer,
    }
    more = {} if spec.family == NEMO_CTC else {"model_type": spec.family}
    if hotwords is not None:
        more["decoding_method"] = "modified_beam_search"
    try:
        with ExitStack() as stack:
            spelling = stack.enter_context(hotwords.spelling()) if hotwords else {}
            where = stack.enter_context(_session_options(provider))
            recognizer = makers[spec.family](
                **{role: str(path) for role, path in files.items()},
                **more,
                **spelling,
                num_threads=1,  # two calls on one thread each beat one call on two (measured)
                feature_dim=mel_bins,
                provider=where,
            )
    except Exception as exc:  # the binding raises what C++ threw
        reason = " ".join(str(exc).split())[:200]
        raise ModelLoadError(
            f"sherpa-onnx cannot load {spec.model} from {spec.model_dir}: {reason}"
        ) from exc
    if provider == "cuda" and not _is_mapped(_CUDA_LIBRARY):
        raise ConfigError("sherpa-onnx fell back to the CPU: no usable CUDA driver or device")
    _return_free_memory()
    return recognizer


@contextmanager
def _session_options(provider: str) -> Iterator[str]:
    """Give the provider as sherpa-onnx takes it, with our options where it reads them."""
    if provider != "cpu":
        yield provider
        return
    with tempfile.NamedTemporaryFile("w", suffix=".cfg", encoding="ascii") as file:
        file.write(SESSION_OPTIONS)
        file.flush()
        yield f"cpu:{file.name}"


def _return_free_memory() -> None:
    """Give the heap that loading has used back to the system, where glibc can.

    Our measurement, a 235 MB model: 463 MB resident after check and load, 245 MB after this.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _is_mapped(library: str) -> bool:
    """Return whether this process has loaded `library`; True where that cannot be seen."""
    if sys.platform != "linux":
        return True
    return library in Path("/proc/self/maps").read_text("utf-8", errors="replace")


def _hypothesis(result: Any, *, confidence: bool) -> Hypothesis:
    tokens = tuple(result.tokens)
    log_probs = tuple(float(value) for value in result.ys_log_probs)
    usable = len(log_probs) == len(tokens) and all(map(math.isfinite, log_probs))
    return Hypothesis(
        text=" ".join(result.text.split()),
        tokens=tokens,
        starts_s=tuple(float(start) for start in result.timestamps),
        log_probs=log_probs if confidence and usable else None,
    )
