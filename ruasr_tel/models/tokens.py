"""Reads tokens.txt, the list of a model's output symbols, as strictly as the loader needs it.

T-one's own repository has the same list as vocab.json, the vocabulary of a wav2vec 2 tokenizer.

sherpa-onnx ends the whole process on a file it cannot parse (csrc/symbol-table.cc, `ReadTokens`)
and answers nonsense for one that is too short, so every doubt is an error here.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ruasr_tel.errors import ModelLoadError

BLANKS = ("<blk>", "<eps>", "<blank>")
"""Names of the blank, in the order the loader looks for them (offline-recognizer-ctc-impl.h)."""

MAX_BYTES = 16 * 2**20
"""The largest list we know (Whisper, base64, 51 865 lines) has 0.8 MB."""

_NAMES_IN_JSON = {"|": " ", "[PAD]": "<blk>"}
_SPACES = " \t\r\f\v"  # what the loader trims; not str.split(), which would eat U+00A0 tokens too
_DISAMBIGUATION = re.compile(r"#\d+")


@dataclass(frozen=True, slots=True)
class TokenTable:
    """The symbols of a model, in the order of their ids.

    Attributes:
        symbols: symbol of id 0, 1, 2 ...; a lone space is the word separator.
        crlf: whether the file has Windows line ends (harmless: the loader trims them).
    """

    symbols: tuple[str, ...]
    crlf: bool = False

    @property
    def blank(self) -> str | None:
        """The blank's name as the loader picks it, or None if there is none."""
        return next((name for name in BLANKS if name in self.symbols), None)

    @property
    def outputs(self) -> int:
        """How many outputs the model must have for this list.

        icefall's lists end with disambiguation symbols (`#0`, `#1`) that no model puts out.
        """
        count = len(self.symbols)
        while count and _DISAMBIGUATION.fullmatch(self.symbols[count - 1]):
            count -= 1
        return count


def read_tokens(path: Path) -> TokenTable:
    """Return the symbols listed in `path`: one `symbol id` a line, the symbol may be a bare space.

    A `.json` file holds one object, symbol -> id, with `|` for the space and `[PAD]` for the blank
    (sherpa-onnx scripts/t-one/generate_tokens.py).

    Raises:
        ModelLoadError: not UTF-8, a line that is not `symbol id`, ids other than 0..n-1, no blank.
    """
    text = _text_of(path)
    if path.suffix == ".json":
        pairs = _parse_vocabulary(path, text)
    else:
        pairs = [_parse_line(path, number, line) for number, line in enumerate(_lines_of(text), 1)]
    by_id = {index: symbol for symbol, index in pairs}
    if len(by_id) != len(pairs):
        twice, _ = Counter(index for _, index in pairs).most_common(1)[0]
        raise ModelLoadError(f"{path}: id {twice} occurs twice; fetch the model's own tokens.txt")
    missing = next((index for index in range(len(pairs)) if index not in by_id), None)
    if missing is not None:
        raise ModelLoadError(
            f"{path}: {len(pairs)} lines, but none has id {missing}: a line is missing; "
            "fetch the model's own tokens.txt"
        )
    table = TokenTable(tuple(by_id[index] for index in range(len(pairs))), crlf="\r\n" in text)
    if table.blank is None:
        raise ModelLoadError(
            f"{path}: none of {', '.join(BLANKS)} among its {len(pairs)} symbols; "
            "it is not the tokens.txt of this model: fetch the model's own"
        )
    return table


def _text_of(path: Path) -> str:
    data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise ModelLoadError(f"{path} has {len(data)} bytes; no token list is that large")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise ModelLoadError(
            f"{path} is not UTF-8 text (byte {exc.start}); fetch the model's own tokens.txt"
        ) from exc
    if text.startswith("\ufeff"):
        raise ModelLoadError(f"{path} begins with a byte order mark; save it as plain UTF-8")
    return text


def _lines_of(text: str) -> list[str]:
    """Return the lines; only the empty rest after the last line end is dropped."""
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _parse_vocabulary(path: Path, text: str) -> list[tuple[str, int]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ModelLoadError(f"{path} is not JSON ({exc}); fetch the model's own") from exc
    is_vocabulary = isinstance(content, dict) and all(
        isinstance(index, int) and 0 <= index < len(content) for index in content.values()
    )
    if not is_vocabulary:
        raise ModelLoadError(
            f"{path} is not an object of symbols and their ids 0, 1, 2 …; fetch the model's own"
        )
    return [(_NAMES_IN_JSON.get(symbol, symbol), index) for symbol, index in content.items()]


def _parse_line(path: Path, number: int, line: str) -> tuple[str, int]:
    fields = re.split(f"[{_SPACES}]+", line.strip(_SPACES))
    symbol, index = (" ", fields[0]) if len(fields) == 1 else (fields[0], fields[-1])
    if len(fields) > 2 or not re.fullmatch(r"[0-9]{1,7}", index):
        shown = line.strip()[:40]
        raise ModelLoadError(
            f"{path}, line {number}: {shown!r} is not `symbol id`; fetch the model's own tokens.txt"
        )
    return symbol, int(index)
