from pathlib import Path

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.asterisk_ws.config import AsteriskServer, AsteriskWsConfig


def test_defaults_are_off_and_on_loopback() -> None:
    config = AsteriskWsConfig()
    assert (config.enabled, config.host, config.port) == (False, "127.0.0.1", 9093)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", 65536),
        ("start_timeout_s", 0),
        ("idle_timeout_s", 0),
        ("asterisks", {"pbx": {"url": "http://127.0.0.1:8088"}}),
        ("asterisks", {"pbx": {"url": "ws://127.0.0.1:8088/media"}}),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        AsteriskWsConfig.model_validate({key: value})


def test_a_password_is_not_shown() -> None:
    server = AsteriskServer.model_validate({"url": "ws://pbx:8088", "password": "geheim"})
    assert "geheim" not in repr(server)


def test_the_protocol_page_lists_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "asterisk-websocket.md").read_text("utf-8")
    assert [key for key in AsteriskWsConfig.model_fields if f"`{key}`" not in page] == []
