import pytest
from pydantic import ValidationError

from ruasr_tel.section import Section


class Kettle(Section):
    """A section as a room declares it."""

    litres: float = 1.5
    """How much it holds."""


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Kettle().litres = 2.0  # type: ignore[misc]  # what the test is about


def test_a_section_refuses_keys_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        Kettle.model_validate({"liters": 2.0})


def test_the_line_under_a_field_is_its_description() -> None:
    assert Kettle.model_fields["litres"].description == "How much it holds."
