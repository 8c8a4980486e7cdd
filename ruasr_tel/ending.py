"""When a call is handed back to its PBX without its asking: after an answer, on a word, in time."""

from pydantic import Field

from ruasr_tel.engines.phrases import words_of
from ruasr_tel.section import Section

_STRESS = "\u0301"


class EndConfig(Section):
    """When the server hands a call back, where its door can (audiosocket, asterisk_ws)."""

    after_final: bool = False
    """After the first final with text: the dialplan asked one question."""
    phrases: tuple[str, ...] = Field((), max_length=1000)
    """After a final that has one of these words or phrases, whole words, whatever
    case and punctuation."""
    after_s: float | None = Field(None, gt=0, le=86_400)
    """After so many seconds; null is never."""

    def on_final(self, text: str) -> str | None:
        """Return why a final ends the call, or None."""
        words = _plain(text)
        if not words.strip():
            return None
        if self.after_final:
            return "first final"
        found = next((phrase for phrase in self.phrases if _plain(phrase) in words), None)
        return None if found is None else f"phrase {found!r}"

    def on_time(self, seconds: float) -> str | None:
        """Return why a call that has run so long ends, or None."""
        if self.after_s is None or seconds < self.after_s:
            return None
        return f"after {self.after_s:g} s"


def _plain(text: str) -> str:
    """Return bare words between single spaces, a space before and after."""
    return f" {words_of(text.replace(_STRESS, ''))} "
