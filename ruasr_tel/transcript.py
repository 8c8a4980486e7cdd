"""What was said and which keys were pressed in a call, as plain text. Pure.

The one text of a live call: REST gives it, webhooks carry it, and it fits a variable of a dialplan.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ruasr_tel.events import Dtmf, Final
from ruasr_tel.types import LegId

KEY_PAUSE_S = 5.0
"""Keys further apart are two inputs: Asterisk's own default of TIMEOUT(digit) (main/pbx.c)."""


@dataclass(slots=True)
class _Piece:
    """Words, or keys pressed one after the other."""

    start_s: float
    side: str
    text: str
    last_key_s: float | None = None

    @property
    def shown(self) -> str:
        return self.text if self.last_key_s is None else f"[{self.text}]"


def transcript(
    finals: Iterable[Final], keys: Iterable[Dtmf] = (), legs: Iterable[LegId] = ()
) -> str:
    """Return what was said and pressed, by start, without a line end after the last line.

    Keys stand in square brackets, those of one input together: `номер договора [123#] спасибо`.
    They part the words of their own side, or come after a final whose words have no times.
    A call of one party is one line, its texts joined by spaces. Where there are more parties, every
    final and every input is a line that begins with its side, as in a recording's: `0: [123#]`.

    Args:
        finals: those of one call; one that comes twice counts once.
        keys: those of the same call, likewise.
        legs: ids of all legs known, those that said nothing included.
    """
    once = {(final.leg_id, final.segment): final for final in finals}
    pressed = {(key.leg_id, key.at, key.at_s, key.digit): key for key in keys}
    times = sorted((key.at_s, _side(key.leg_id)) for key in pressed.values())
    said = [piece for final in once.values() for piece in _spoken(final, times)]
    said += [
        _Piece(each.at_s, _side(each.leg_id), each.digit, each.at_s) for each in pressed.values()
    ]
    pieces = list(_joined(sorted(said, key=lambda piece: piece.start_s)))
    sides = {*map(_side, legs), *(piece.side for piece in pieces)}
    if len(sides) < 2:
        return " ".join(piece.shown for piece in pieces)
    return "\n".join(f"{piece.side}: {piece.shown}" for piece in pieces)


def _spoken(final: Final, keys: Sequence[tuple[float, str]]) -> Iterator[_Piece]:
    """Yield a final, in parts where its own side pressed keys between its words.

    Asterisk sends no audio while a key is down, so that the clock of a call stands still and words
    before and after the keys may be one segment, or two whose pre-roll overlaps.
    """
    side = _side(final.leg_id)
    if " ".join(word.text for word in final.words) != final.text:  # it has no times
        if final.text:
            yield _Piece(final.start_s, side, final.text)
        return
    times = [at_s for at_s, of_side in keys if of_side == side]
    for _, words in groupby(final.words, lambda word: bisect_right(times, word.start_s)):
        part = list(words)
        yield _Piece(part[0].start_s, side, " ".join(word.text for word in part))


def _joined(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Yield the pieces, keys of one input as one."""
    before: _Piece | None = None
    for piece in pieces:
        if before is not None and _is_more(before, piece):
            before.text += piece.text
            before.last_key_s = piece.last_key_s
            continue
        if before is not None:
            yield before
        before = piece
    if before is not None:
        yield before


def _is_more(before: _Piece, piece: _Piece) -> bool:
    """Whether a piece is one more key of the same input."""
    if before.last_key_s is None or piece.last_key_s is None or before.side != piece.side:
        return False
    return piece.last_key_s - before.last_key_s <= KEY_PAUSE_S


def _side(leg_id: LegId) -> str:
    """Return the channel of a leg: 1 of `<call id>/1` and of `<call id>/1.2`."""
    return leg_id.rpartition("/")[2].partition(".")[0]
