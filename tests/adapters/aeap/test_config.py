from pathlib import Path

import pytest
from pydantic import ValidationError

from ruasr_tel_adapters.aeap.config import AeapConfig


def test_defaults_are_off_and_on_loopback() -> None:
    config = AeapConfig()
    assert (config.enabled, config.host, config.port) == (False, "127.0.0.1", 9094)


@pytest.mark.parametrize(
    ("key", "value"),
    [("port", 65536), ("idle_timeout_s", 0), ("max_backlog_s", 0), ("max_message_bytes", 1)],
)
def test_what_cannot_be_is_refused(key: str, value: int) -> None:
    with pytest.raises(ValidationError, match=key):
        AeapConfig.model_validate({key: value})


def test_the_protocol_page_lists_every_key() -> None:
    page = (Path(__file__).parents[3] / "docs" / "aeap.md").read_text("utf-8")
    assert [key for key in AeapConfig.model_fields if f"`{key}`" not in page] == []
