import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.answers import (
    cleaned,
    file_name,
    retry_after_s,
    status_error,
    validator,
)

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
LATER = "Sun, 06 Nov 1994 08:49:38 GMT"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"ETag": '"x-1"'}, '"x-1"'),
        ({"ETag": '"x"', "Last-Modified": DATE, "Date": LATER}, '"x"'),
        ({"ETag": 'W/"x"'}, None),
        ({"ETag": 'W/"x"', "Last-Modified": DATE, "Date": LATER}, DATE),
        ({"ETag": "x"}, None),
        ({"Last-Modified": DATE, "Date": DATE}, None),
        ({"Last-Modified": DATE}, None),
        ({"Last-Modified": "yesterday", "Date": LATER}, None),
        ({"Last-Modified": DATE.replace("GMT", "-0000"), "Date": LATER}, None),
        ({}, None),
    ],
)
def test_only_strong_validators_are_used(headers: dict[str, str], found: str | None) -> None:
    assert validator(headers) == found


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="call 1.wav"', "call 1.wav"),
        ("attachment; filename*=UTF-8''%D0%B7%D0%B2%D0%BE%D0%BD%D0%BE%D0%BA.wav", "звонок.wav"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\calls\\\\1.wav"', "1.wav"),
        ('attachment; filename=".."', ""),
        ("attachment", ""),
        ("", ""),
        ("attachment; filename*=KOI-99''%FF.wav", "ÿ.wav"),
        (";;;=", ""),
    ],
)
def test_the_file_name_of_a_host(disposition: str, name: str) -> None:
    assert file_name({"Content-Disposition": disposition}) == name


def test_a_long_name_keeps_its_suffix() -> None:
    assert cleaned("я" * 300 + ".sln16") == "я" * 94 + ".sln16"


@settings(deadline=None)
@given(st.text())
def test_a_cleaned_name_is_one_name(text: str) -> None:
    name = cleaned(text)
    assert len(name) <= 100
    assert not set(name) & set("/\\\0\n\r")
    assert name not in (".", "..")


@settings(deadline=None)
@given(st.text())
def test_no_disposition_is_too_odd(text: str) -> None:
    assert "/" not in file_name({"Content-Disposition": text})


@pytest.mark.parametrize(
    ("status", "sentence", "retryable"),
    [
        (404, "pbx has no such file (HTTP 404)", False),
        (410, "pbx has no such file (HTTP 410)", False),
        (429, "pbx asks to come back later (HTTP 429)", True),
        (503, "pbx has a fault of its own (HTTP 503)", True),
        (204, "pbx answered HTTP 204 instead of the file", False),
        (
            403,
            "pbx does not let this server have the file (HTTP 403); an administrator can set a "
            "password for it (credentials)",
            False,
        ),
    ],
)
def test_a_status_is_a_sentence(status: int, sentence: str, retryable: bool) -> None:
    error = status_error(status, "pbx")
    assert isinstance(error, FetchError)
    assert (str(error), error.retryable) == (sentence, retryable)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (DATE, 17.0),
        ("Sun, 06 Nov 1994 08:49:00 GMT", 0.0),
        ("-5", None),
        ("soon", None),
        ("9" * 400, None),
        ("Sun, 06 Nov 99999 08:49:00 GMT", None),
        ("", None),
    ],
)
def test_when_to_come_back(value: str, found: float | None) -> None:
    assert retry_after_s({"Retry-After": value}, 784111760.0) == found
