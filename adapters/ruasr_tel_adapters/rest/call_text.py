"""What was said in a call so far, as plain text that fits a variable of a dialplan. Pure."""

from collections.abc import Iterable

from ruasr_tel.events import Final
from ruasr_tel.types import LegId


def said(finals: Iterable[Final], legs: Iterable[LegId]) -> str:
    """Return the texts of finals by their start, without a line end after the last one.

    A call of one party is one line, its texts joined by spaces. Where there are more parties, every
    final is a line that begins with its side, as in the text of a recording.

    Args:
        finals: those of one call; one that comes twice counts once.
        legs: ids of all legs known, those that said nothing included.
    """
    once = {(final.leg_id, final.segment): final for final in finals}
    spoken = sorted((each for each in once.values() if each.text), key=lambda each: each.start_s)
    sides = {_side(leg_id) for leg_id in (*legs, *(each.leg_id for each in spoken))}
    if len(sides) < 2:
        return " ".join(each.text for each in spoken)
    return "\n".join(f"{_side(each.leg_id)}: {each.text}" for each in spoken)


def _side(leg_id: LegId) -> str:
    """Return the channel of a leg: 1 of `<call id>/1` and of `<call id>/1.2`."""
    return leg_id.rpartition("/")[2].partition(".")[0]
