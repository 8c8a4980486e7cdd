import pytest
from pydantic import ValidationError

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo
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


def test_no_segment_is_longer_than_the_model_takes() -> None:
    info = EngineInfo("sherpa", "small", 16000, max_segment_s=8.0)
    assert DEFAULT_PROFILES["default"].fitted(info).boundary.max_segment_s == 8.0
    assert DEFAULT_PROFILES["yesno"].fitted(info) is DEFAULT_PROFILES["yesno"]
    assert DEFAULT_PROFILES["dictation"].fitted(info).partials.interval_ms == 1000


def test_a_quiet_profile_has_no_partials_and_is_else_the_same() -> None:
    quiet = DEFAULT_PROFILES["yesno"].quiet()
    assert not quiet.partials.enabled
    assert quiet.boundary == DEFAULT_PROFILES["yesno"].boundary
    assert quiet.quiet() is quiet
