"""Looks at a model's files before anybody loads them; reads no foreign format but token lists.

sherpa-onnx ends the process, or answers nonsense, for many files that are not what they seem
(our measurement); each of these cases ends here, or in graphs.py, in one sentence with its cure.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.tokens import BLANKS, TokenTable, read_tokens

NEMO_CTC = "nemo_ctc"
TRANSDUCER = "transducer"
NEMO_TRANSDUCER = "nemo_transducer"
ONLINE_TRANSDUCER = "online_transducer"
T_ONE = "t_one"
KALDI = "kaldi"
SILERO_VAD = "silero_vad"

_TOKENS = ("tokens.txt", "lang/tokens.txt", "*tokens.txt", "*_vocab.txt")
_TRIPLE = {
    role: tuple(
        f"{folder}{name}"
        for folder in ("", "am-onnx/", "am/")
        for name in (f"{role}.int8.onnx", f"{role}.onnx", f"*{stem}*int8.onnx", f"*{stem}*.onnx")
    )
    for role, stem in (("encoder", "encoder"), ("decoder", "decoder"), ("joiner", "join"))
}  # GigaAM's own exports call the joiner "joint"
LAYOUTS: Mapping[str, Mapping[str, Sequence[str]]] = {
    TRANSDUCER: {**_TRIPLE, "tokens": _TOKENS},
    NEMO_TRANSDUCER: {**_TRIPLE, "tokens": _TOKENS},
    ONLINE_TRANSDUCER: {**_TRIPLE, "tokens": _TOKENS},
    NEMO_CTC: {
        "model": ("model.int8.onnx", "model.onnx", "*.int8.onnx", "*.onnx"),
        "tokens": _TOKENS,
    },
    T_ONE: {
        "model": ("model.onnx", "*.int8.onnx", "*.onnx"),
        "tokens": ("tokens.txt", "vocab.json"),  # as sherpa-onnx has it; as T-one's own repository
    },
    KALDI: {  # vosk-api src/model.cc, ConfigureV2 and, without a folder, ConfigureV1
        "acoustic": ("am/final.mdl", "final.mdl"),
        "features": ("conf/mfcc.conf", "mfcc.conf", "conf/fbank.conf", "fbank.conf"),
        "graph": ("graph/HCLG.fst", "HCLG.fst", "graph/HCLr.fst", "HCLr.fst"),
        "grammar": ("graph/Gr.fst", "Gr.fst"),
        "words": ("graph/words.txt", "words.txt"),
    },
    SILERO_VAD: {"model": ("silero_vad_op18_ifless.onnx", "silero_vad.onnx", "*.onnx")},
}
"""File patterns of each family by role, in order of preference, for folders no catalogue names."""

OPTIONAL: Mapping[str, Collection[str]] = {KALDI: ("grammar", "words")}
"""Roles of a family that a model may do without: Kaldi's graph may hold its grammar and words."""

ENGINES: Mapping[str, Sequence[str]] = {
    TRANSDUCER: ("sherpa",),
    NEMO_TRANSDUCER: ("sherpa", "onnx"),
    ONLINE_TRANSDUCER: ("sherpa_online",),
    NEMO_CTC: ("sherpa", "onnx"),
    T_ONE: ("tone",),
    KALDI: ("kaldi",),
}
"""Which engines run models of a family; the first runs a folder that no catalogue names."""

CPU_ONLY = frozenset({"sherpa_online", "kaldi"})
"""Engines that have nothing to do with a GPU: they refuse provider `cuda`."""

MIN_MODEL_BYTES = 256
"""The smallest working part we know, a joiner that is a single Add, has 320 bytes."""

_MIN_BYTES = {"tokens": 1, "features": 1, "words": 1, "config": 1}
"""Of the roles that are text: none is known to be too short."""

_LFS_MAGIC = b"version https://git-lfs.github.com/spec/"  # git-lfs docs/spec.md, "The Pointer"
_KALDI_MAGIC = b"\0B"  # kaldi src/base/io-funcs-inl.h, InitKaldiOutputStream, binary mode
_FST_MAGIC = (2125659606).to_bytes(4, "little")  # openfst src/include/fst/fst.h, kFstMagicNumber


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a file's content beforehand.

    Attributes:
        size_bytes: its size, or None where nobody published it.
        sha256: its digest in lower-case hex, or None where nobody published it.
    """

    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at and found in order, for `doctor`.

    Attributes:
        name: what was looked at.
        detail: what was found.
    """

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


def find_files(
    folder: Path,
    patterns: Mapping[str, Sequence[str]],
    *,
    full_precision: bool = False,
    optional: Collection[str] = (),
) -> dict[str, Path]:
    """Return the file of each role: for each the first pattern that fits exactly one file.

    Args:
        folder: where the model lies.
        patterns: role -> candidate names or globs below `folder`, in order of preference.
        full_precision: put int8 files last (quantised operators have no CUDA kernels).
        optional: roles that need no file.

    Raises:
        ModelLoadError: no file for a role, or several that fit equally.
    """
    return {
        role: _find_file(folder, role, sorted(names, key=_is_int8) if full_precision else names)
        for role, names in patterns.items()
        if role not in optional or _first_match(folder, names)
    }


def state(files: Iterable[Path]) -> str:
    """Return what changes when one of the files does: sizes and times of change."""
    found = []
    for path in files:
        about = path.stat() if path.is_file() else None
        found.append(f"{path} {about and (about.st_size, about.st_mtime_ns)}")
    return "; ".join(found)


def detect_family(folder: Path) -> str:
    """Return the family that the files in `folder` look like.

    Three networks make a transducer; NeMo's have the blank last (nemo exports), icefall's first.
    That a transducer is for streams shows in no file name, only in its folder's, as published:
    `sherpa-onnx-streaming-...`, `vosk-model-small-streaming-ru`.

    Raises:
        ModelLoadError: they look like no family, or tokens.txt cannot be read.
    """
    if _first_match(folder, LAYOUTS[KALDI]["acoustic"]):
        return KALDI
    if all(_first_match(folder, _TRIPLE[role]) for role in _TRIPLE):
        tokens = _find_file(folder, "tokens", _TOKENS)
        check_beginning(tokens, "tokens")
        if read_tokens(tokens).symbols[-1] == "<blk>":
            return NEMO_TRANSDUCER
        return ONLINE_TRANSDUCER if "streaming" in folder.resolve().name else TRANSDUCER
    if (folder / "model.onnx").exists() and (
        (folder / "vocab.json").exists() or "t-one" in folder.resolve().name.lower()
    ):
        return T_ONE
    if _first_match(folder, LAYOUTS[NEMO_CTC]["model"]):
        return NEMO_CTC
    raise ModelLoadError(
        f"{folder} holds no model: expected encoder, decoder and joiner .onnx files, "
        "or one .onnx file, and tokens.txt; or a Kaldi model with am/final.mdl"
    )


def engines_of(folder: Path, family: str) -> Sequence[str]:
    """Return the engines that run the model of `family` in `folder`, the best first.

    onnx-asr's exports of GigaAM (`v3_vocab.txt`) have not the metadata that sherpa-onnx reads.
    """
    if "onnx" in ENGINES[family] and not (folder / "tokens.txt").exists():
        return ("onnx",)
    return ENGINES[family]


def check_files(
    files: Mapping[str, Path], family: str, known: Mapping[Path, Known] | None = None
) -> list[Check]:
    """Check every file of a model as far as that needs no ONNX reader.

    Args:
        files: role -> file.
        family: one of `LAYOUTS`.
        known: file -> what it must hold, for files whose content is known.

    Raises:
        ModelLoadError: one sentence with the file and the cure.
    """
    checks = []
    for role, path in files.items():
        size = check_beginning(path, role)
        checks.append(Check(role, f"{path.name}, {megabytes(size)}"))
        content = (known or {}).get(path, Known())
        check_known(path, content)
        if content.sha256:
            checks.append(Check(f"{role} SHA-256", content.sha256[:12]))
    if family == KALDI:
        _check_kaldi(files)
    if "tokens" in files:
        checks.append(_check_tokens(files["tokens"], family))
    return checks


def check_known(path: Path, known: Known) -> None:
    """Check a file against what is known of it beforehand.

    Raises:
        ModelLoadError: its size or digest is another; says what came instead, and the cure.
    """
    size = path.stat().st_size
    if known.size_bytes is not None and size != known.size_bytes:
        cut = "cut off" if size < known.size_bytes else "damaged"
        raise ModelLoadError(
            f"{path} is {cut}: {size} bytes, expected {known.size_bytes}; fetch it again"
        )
    if known.sha256 is not None:
        _check_digest(path, known.sha256)


def _check_tokens(path: Path, family: str) -> Check:
    table = read_tokens(path)
    check_blank(path, table, family)
    lines = " (Windows line ends)" if table.crlf else ""
    return Check("vocabulary", f"{table.outputs} symbols, blank {table.blank}{lines}")


def _check_kaldi(files: Mapping[str, Path]) -> None:
    """Check what vosk only says "Failed to create a model" to."""
    acoustic, graph = files["acoustic"], files["graph"]
    if acoustic.parent.name == "am" and not (acoustic.parents[1] / "conf/model.conf").is_file():
        raise ModelLoadError(
            f"{acoustic.parents[1]} has no conf/model.conf; fetch the whole model again"
        )
    if graph.name == "HCLr.fst" and "grammar" not in files:
        raise ModelLoadError(
            f"{graph} needs a Gr.fst beside it, and there is none; fetch the whole model again"
        )
    magics = {acoustic: (_KALDI_MAGIC, b"<TransitionModel>"), graph: (_FST_MAGIC,)}
    for path, expected in magics.items():
        with path.open("rb") as stream:
            if not stream.read(20).startswith(expected):
                raise ModelLoadError(
                    f"{path} is damaged or no Kaldi {path.suffix} file; fetch the model again"
                )


def check_blank(path: Path, table: TokenTable, family: str) -> None:
    """Check that the blank stands where the decoder of `family` takes it from.

    Raises:
        ModelLoadError: it does not; the tokens belong to another model.
    """
    # offline-transducer-greedy-search-decoder.cc: "blank id is hardcoded to 0"
    if family in (TRANSDUCER, ONLINE_TRANSDUCER) and table.symbols[0] not in BLANKS:
        raise ModelLoadError(
            f"{path}: the blank {table.blank} of a transducer must be the first symbol, "
            f"here that is {table.symbols[0]!r}; fetch the model's own tokens.txt"
        )
    # offline-recognizer-transducer-nemo-impl.h: "<blk> is not the last token!"
    if family == NEMO_TRANSDUCER and table.symbols[-1] != "<blk>":
        raise ModelLoadError(
            f"{path}: the last symbol of a NeMo transducer must be <blk>, "
            f"here it is {table.symbols[-1]!r}; fetch the model's own tokens.txt"
        )


def _is_int8(name: str) -> bool:
    return "int8" in name


def _first_match(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the files that the first fitting name or glob gives; int8 is not also fp32."""
    for name in names:
        found = sorted(folder.glob(name))
        if "*" in name and not _is_int8(name):
            found = [path for path in found if not _is_int8(path.name)]
        if found:
            return found
    return []


def _find_file(folder: Path, role: str, names: Sequence[str]) -> Path:
    found = _first_match(folder, names)
    if not found:
        raise ModelLoadError(
            f"{folder} has no {role} file; expected {' or '.join(names[:3])}: "
            "fetch the whole model again"
        )
    if len(found) > 1:
        listed = ", ".join(path.name for path in found)
        raise ModelLoadError(
            f"{folder} has several files that could be the {role}: {listed}; "
            f"rename the right one to {names[0]}"
        )
    return found[0]


def check_beginning(path: Path, role: str | None = None) -> int:
    """Return a file's size after looking at its first bytes.

    Args:
        path: the file.
        role: what it is in the model; None: something beside the networks and the tokens.

    Raises:
        ModelLoadError: it is empty, a git-lfs pointer, a web page or too small; with the cure.
    """
    min_bytes = 1 if role is None else _MIN_BYTES.get(role, MIN_MODEL_BYTES)
    try:
        if not path.is_file():
            raise ModelLoadError(f"{path} is not a file; fetch the model again")
        size = path.stat().st_size
        with path.open("rb") as stream:
            head = stream.read(200)
    except OSError as exc:
        raise ModelLoadError(f"{path} cannot be read: {exc.strerror}") from exc
    if size == 0:
        raise ModelLoadError(f"{path} is empty; fetch it again")
    if head.startswith(_LFS_MAGIC):
        raise ModelLoadError(
            f"{path} is a git-lfs pointer of {size} bytes, not the file itself (loading it ends in "
            f'"protobuf parsing failed"): install git-lfs and run `git lfs pull` in {path.parent}, '
            "or bring the model by `ruasr-tel models pull`"
        )
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        raise ModelLoadError(f"{path} is a web page, not a model; the download went wrong")
    if size < min_bytes:
        raise ModelLoadError(f"{path} has {size} bytes, too few for a model; fetch it again")
    return size


def _check_digest(path: Path, expected: str) -> None:
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != expected:
        raise ModelLoadError(
            f"{path} is damaged: SHA-256 {found[:12]}…, expected {expected[:12]}…; fetch it again"
        )


def megabytes(size: int) -> str:
    """Return a size for people."""
    return f"{size / 1e6:.1f} MB" if size >= 50_000 else f"{size} bytes"
