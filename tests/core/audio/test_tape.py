import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio.tape import Tape


@given(
    capacity=st.integers(0, 50),
    steps=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1)), max_size=30),
)
def test_what_was_not_forgotten_is_there_at_its_place(
    capacity: int, steps: list[tuple[int, float]]
) -> None:
    tape = Tape(capacity)
    line = np.arange(30 * 40, dtype=np.int16)
    for count, forgotten in steps:
        tape.append(line[tape.end : tape.end + count])
        tape.forget(tape.start + int(forgotten * (tape.end - tape.start)))
        middle = (tape.start + tape.end) // 2
        for start, end in ((tape.start, tape.end), (middle, tape.end), (tape.start, middle)):
            assert tape.copy(start, end).tolist() == line[start:end].tolist()
    assert tape.end == sum(count for count, _ in steps)


def test_a_copy_is_a_copy() -> None:
    tape = Tape(4)
    tape.append(np.ones(4, np.int16))
    tape.copy(0, 4)[:] = 7
    assert tape.copy(0, 4).tolist() == [1, 1, 1, 1]
