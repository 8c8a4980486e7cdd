from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ruasr_tel.profile import Profile
from ruasr_tel.progress.config import ProgressConfig


def test_it_is_off_unless_asked_for() -> None:
    assert not Profile().progress.enabled


def test_a_list_for_one_meaning_keeps_the_others() -> None:
    config = ProgressConfig.model_validate({"phrases": {"queue": ["ждите"]}})
    assert config.phrases.queue == ("ждите",)
    assert config.phrases.voicemail == ProgressConfig().phrases.voicemail


@pytest.mark.parametrize("wrong", [{"likeness": 0.4}, {"phrases": {"music": ["ля"]}}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ProgressConfig.model_validate(wrong)


def test_the_profile_to_paste_is_one(request: pytest.FixtureRequest) -> None:
    page = (request.config.rootpath / "docs/call-progress.md").read_text("utf-8")
    pasted: dict[str, Any] = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    profile = Profile.model_validate(pasted["profiles"]["outbound"])
    assert profile.progress.enabled
    assert profile.progress.phrases.queue == ()
    assert profile.progress.phrases.busy == ProgressConfig().phrases.busy
