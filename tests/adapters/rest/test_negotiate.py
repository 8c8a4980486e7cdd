import pytest

from ruasr_tel.recordings.render import Form
from ruasr_tel_adapters.rest.negotiate import wanted


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.JSON),
        ("*/*", Form.JSON),
        ("application/json", Form.JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form.JSON),
        ("text/*", Form.TEXT),
        ("TEXT/VTT ; Q=0.5 , text/plain;q=0.4", Form.VTT),
        ("text/srt", Form.SRT),
        ("text/vtt;q=0, text/plain;q=0.1", Form.TEXT),
        ("text/vtt;q=high", None),
        ("image/png", None),
    ],
)
def test_the_best_liked_of_our_forms_is_taken(accept: str, form: Form | None) -> None:
    assert wanted(accept) is form


def test_a_form_that_is_not_to_be_had_is_passed_over() -> None:
    have = (Form.JSON, Form.TEXT)
    assert wanted("text/vtt, text/plain;q=0.4", have) is Form.TEXT
    assert wanted("text/vtt", have) is None
