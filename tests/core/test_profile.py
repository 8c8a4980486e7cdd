import pytest
from pydantic import ValidationError

from ruasr_tel.engines.base import PLAIN, DecodeOptions
from ruasr_tel.profile import DEFAULT_PROFILES, Profile


@pytest.mark.parametrize("name", DEFAULT_PROFILES)
def test_no_profile_of_ours_asks_for_anything_special(name: str) -> None:
    assert DEFAULT_PROFILES[name].options == PLAIN


def test_what_a_profile_asks_of_every_decode_can_be_put_into_another() -> None:
    asked = DecodeOptions(("да", "нет"), closed=True, boost=2.0, alternatives=4)
    profile = DEFAULT_PROFILES["yesno"].asking(asked)
    assert profile.options == asked
    assert profile.asking(PLAIN) == DEFAULT_PROFILES["yesno"]


@pytest.mark.parametrize("field", [{"alternatives": 0}, {"boost": -1.0}, {"phrase": ("да",)}])
def test_what_makes_no_sense_is_refused(field: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Profile.model_validate(field)
