"""A key press is many packets and one key."""

from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel_adapters.ari.rtp.keys import Keys
from ruasr_tel_adapters.ari.rtp.wire import DTMF_KEYS, KeyPress

PRESSES = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 5), st.integers(0, 3)), max_size=12)


@given(presses=PRESSES)
def test_every_key_comes_once_whatever_was_lost(presses: list[tuple[int, int, int]]) -> None:
    keys = Keys()
    heard: list[str] = []
    expected = ""
    for number, (event, updates, ends) in enumerate(presses):
        expected += DTMF_KEYS[event] if updates or ends else ""
        for is_end in [False] * updates + [True] * ends:
            heard += keys.push(number * 800, KeyPress(event, is_end, 160))
    assert "".join(heard + keys.flush()) == expected
    assert keys.flush() == []


def test_a_key_is_told_when_it_is_let_go() -> None:
    keys = Keys()
    assert keys.push(0, KeyPress(5, False, 160)) == []
    assert keys.push(0, KeyPress(5, True, 320)) == ["5"]
    assert keys.push(0, KeyPress(5, True, 320)) == []


def test_a_tone_that_is_no_key_says_nothing() -> None:
    assert Keys().push(0, KeyPress(36, True, 160)) == []
