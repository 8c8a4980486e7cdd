"""What the ARI door's section refuses."""

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.ari.config import AriConfig


def test_it_is_off_until_there_is_an_asterisk() -> None:
    assert not AriConfig().enabled


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(AriConfig.model_validate({"password": "secret"}))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"rtp_first_port": 9001, "rtp_last_port": 9001},
            "no even port lies between 9001 and 9001",
        ),
        ({"rtp_first_port": 9000}, "no even port lies between 9000 and 0"),
        ({"encapsulation": "audiosocket", "format": "ulaw"}, "AudioSocket carries slin and slin16"),
        ({"app": "a.b"}, "String should match pattern"),
        ({"url": "ws://pbx/ari"}, "String should match pattern"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        AriConfig.model_validate(values)
