from pathlib import Path

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig


def test_defaults_listen_on_loopback_at_asterisks_usual_port() -> None:
    config = AudioSocketConfig()
    assert (config.enabled, config.host, config.port) == (True, "127.0.0.1", 9092)
    assert (config.send_silence, config.profile) == (True, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("port", 65536),
        ("first_message_timeout_s", 0),
        ("idle_timeout_s", 0),
        ("max_backlog_s", 0),
        ("max_connections", 0),
        ("write_buffer_bytes", 322),
        ("sned_silence", True),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: int) -> None:
    with pytest.raises(ValidationError, match=key):
        AudioSocketConfig.model_validate({key: value})


def test_the_protocol_page_lists_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "audiosocket.md").read_text("utf-8")
    assert [key for key in AudioSocketConfig.model_fields if f"`{key}`" not in page] == []


def test_every_field_has_a_line_of_doc() -> None:
    assert all(field.description for field in AudioSocketConfig.model_fields.values())
