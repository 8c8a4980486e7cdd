import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.recordings.spans import Span, Spans
from tests.core.recordings.talk import PATIENT

TENTHS = st.integers(0, 60)
SPANS = st.lists(st.tuples(TENTHS, TENTHS).map(lambda two: (float(min(two)), float(max(two)))))


def seconds(spans: list[Span]) -> set[int]:
    """The same by counting whole seconds."""
    return {second for start, end in spans for second in range(int(start), int(end))}


def test_what_touches_or_overlaps_is_one() -> None:
    assert Spans([(3, 4), (0, 1), (1, 2), (3.5, 5)]).spans == [(0, 2), (3, 5)]


def test_a_span_inside_another_does_not_shorten_it() -> None:
    assert Spans([(0, 10), (2, 3)]).spans == [(0, 10)]


def test_those_that_share_time_come_whole() -> None:
    spans = Spans([(0, 2), (3, 5), (7, 8)])
    assert spans.touching(1, 4) == [(0, 2), (3, 5)]
    assert spans.touching(2, 3) == []
    assert spans.touching(5, 7) == []


def test_clipped_to_a_recording() -> None:
    assert Spans([(-1, 2), (3, 9)]).clipped(4).spans == [(0, 2), (3, 4)]
    assert Spans([(3, 9)]).clipped(0).spans == []


@PATIENT
@given(SPANS)
def test_length_counts_no_second_twice(spans: list[Span]) -> None:
    assert Spans(spans).length_s == pytest.approx(len(seconds(spans)))


@PATIENT
@given(SPANS, SPANS)
def test_common_time_is_the_intersection_either_way(one: list[Span], other: list[Span]) -> None:
    common = Spans(one).common_s(Spans(other))
    assert common == pytest.approx(len(seconds(one) & seconds(other)))
    assert common == pytest.approx(Spans(other).common_s(Spans(one)))
