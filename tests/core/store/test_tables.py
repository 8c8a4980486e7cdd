import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from ruasr_tel.store.tables import UtcDateTime, fold, storable, to_json_text

ANY_TEXT = st.text(alphabet=st.characters())  # lone surrogates and NUL, too
DIALECT = sqlite.dialect()


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ПРИВЕТ", "привет"),
        ("Ёлка", "елка"),
        ("Straße", "strasse"),
        ("a\0", "a\ufffd"),
        ("\ud800", "?"),
    ],
)
def test_folding_forgets_case_and_the_dots_of_yo(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(text=ANY_TEXT)
def test_any_text_becomes_storable(text: str) -> None:
    assert "\0" not in storable(text).encode("utf-8").decode("utf-8")


@given(text=st.text())
def test_common_text_stays_as_it_is(text: str) -> None:
    assert storable(text) == text.replace("\0", "\ufffd")


@given(value=st.dictionaries(ANY_TEXT, st.lists(ANY_TEXT | st.integers() | st.none())))
def test_any_json_comes_back(value: object) -> None:
    assert json.loads(to_json_text(value).encode("utf-8")) == value


def test_russian_is_written_as_it_is() -> None:
    assert to_json_text({"текст": "ё"}) == '{"текст": "ё"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_has_not_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json_text([value])


def test_times_of_any_zone_become_utc() -> None:
    moscow = datetime(2020, 3, 1, 15, 0, tzinfo=timezone(timedelta(hours=3)))
    noon = datetime(2020, 3, 1, 12, 0, tzinfo=UTC)
    column = UtcDateTime()
    assert column.process_bind_param(moscow, DIALECT) == noon
    assert column.process_result_value(noon.replace(tzinfo=None), DIALECT) == noon
    assert column.process_result_value(None, DIALECT) is None
