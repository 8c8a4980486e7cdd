"""ARI's events and a dialplan's settings, as values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.wire import (
    Asked,
    Channel,
    Digit,
    Entered,
    Gone,
    Left,
    Other,
    Replaced,
    Wishes,
    apply,
    default_wishes,
    parse_event,
    split_args,
    waits_in,
)

KEYS = st.sampled_from(
    ["type", "channel", "id", "name", "digit", "args", "eventname", "userevent", "caller"]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=10,
)
TYPES = st.sampled_from(
    ["StasisStart", "StasisEnd", "ChannelDestroyed", "ChannelDtmfReceived", "ChannelUserevent"]
)


@given(event=JSON | st.dictionaries(KEYS, JSON), kind=TYPES)
def test_any_json_is_an_event_or_a_protocol_error(event: Any, kind: str) -> None:
    if isinstance(event, dict):
        event["type"] = kind
    try:
        parse_event(json.dumps(event))
    except ProtocolError:
        return


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "null", b"\xff", "{}", "[" * 100_000])
def test_what_is_no_event_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProtocolError, match="an event"):
        parse_event(text)


@pytest.mark.parametrize(
    ("event", "means"),
    [
        (
            {
                "type": "StasisStart",
                "args": ["mode=ask"],
                "channel": {
                    "id": "1.1",
                    "name": "PJSIP/1-1",
                    "caller": {"name": "", "number": "100"},
                    "dialplan": {"exten": "200"},
                    "channelvars": {"A": "b"},
                },
            },
            Entered(Channel("1.1", "PJSIP/1-1", "100", "200", {"A": "b"}), ("mode=ask",)),
        ),
        ({"type": "StasisEnd", "channel": {"id": "1.1"}}, Left("1.1")),
        ({"type": "ChannelDestroyed", "channel": {"id": "1.1"}}, Gone("1.1")),
        ({"type": "ChannelDtmfReceived", "digit": "#", "channel": {"id": "1"}}, Digit("1", "#")),
        (
            {"type": "ChannelUserevent", "eventname": "ruasr.tap", "userevent": {"channel": "1"}},
            Asked({"channel": "1"}),
        ),
        ({"type": "ChannelUserevent", "eventname": "mine"}, Other("ChannelUserevent")),
        ({"type": "ApplicationReplaced"}, Replaced()),
        ({"type": "ChannelVarset"}, Other("ChannelVarset")),
    ],
)
def test_events_that_matter(event: dict[str, Any], means: object) -> None:
    assert parse_event(json.dumps(event)) == means


@pytest.mark.parametrize(
    ("dialplan", "waits"),
    [
        ({"app_name": "Stasis", "app_data": "ruasr"}, True),
        ({"app_name": "Stasis", "app_data": "ruasr,mode=ask,timeout=5"}, True),
        ({"app_name": "Stasis", "app_data": "ruasr-2,mode=ask"}, False),
        ({"app_name": "Dial", "app_data": "ruasr"}, False),
        ({"context": "in", "exten": "200"}, False),
        (None, False),
    ],
)
def test_a_list_of_channels_tells_who_waits_in_an_application(
    dialplan: dict[str, str] | None, waits: bool
) -> None:
    assert waits_in("ruasr", {"id": "1.1", "dialplan": dialplan}) is waits


def test_settings_of_a_dialplan_stand_above_the_doors() -> None:
    wishes = default_wishes(AriConfig(tell="crm"))
    assert wishes == Wishes("tap", "both", None, None, 15.0, "crm")
    values = split_args(
        ["mode=ask", "parties=caller", "profile=digits", "call_id=a", "timeout=3", "x=1"]
    )
    assert apply(wishes, values) == Wishes("ask", "caller", "digits", "a", 3.0, "crm")
    assert apply(wishes, {"profile": ""}).profile is None
    assert apply(wishes, {"tell": "me"}).tell == "me"


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "3601", ""])
def test_a_timeout_is_a_number_of_seconds(timeout: str) -> None:
    with pytest.raises(ProtocolError, match="timeout"):
        apply(default_wishes(AriConfig()), {"timeout": timeout})


def test_settings_have_a_limit() -> None:
    with pytest.raises(ProtocolError, match="33 settings, at most 32"):
        split_args([f"k{number}=1" for number in range(33)])
