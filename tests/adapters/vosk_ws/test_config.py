"""The door's section."""

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig


def test_defaults_are_those_of_vosk_server_but_for_the_address() -> None:
    config = VoskWsConfig()
    assert (config.host, config.port) == ("127.0.0.1", 2700)
    assert (config.sample_rate, config.show_words, config.max_alternatives) == (8000, True, 0)


@pytest.mark.parametrize(
    "values",
    [
        {"prot": 2700},
        {"port": 65536},
        {"sample_rate": 0},
        {"max_reply_bytes": 65536},
        {"format": "xml"},
        {"eof_timeout_s": 0},
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        VoskWsConfig.model_validate(values)
    assert caught.value.errors()[0]["loc"] == tuple(values)


def test_every_field_is_described() -> None:
    assert all(field.description for field in VoskWsConfig.model_fields.values())
