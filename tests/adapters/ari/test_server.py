"""The door in front of a fake Asterisk: both sides of a call, and nothing left behind."""

import asyncio
import struct
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import ConfigError
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing.calls import running_calls
from ruasr_tel.types import CallId
from ruasr_tel_adapters.ari import AriConfig, create
from tests.adapters.ari.bench import CHANNEL, SECOND, bridged, house, left, rtp, snoop
from tests.adapters.ari.fake_ari import fake_ari


async def test_a_call_is_a_dialogue_of_two_legs_while_the_dialplan_goes_on() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, linked="1795346039.9")
        await bridged(at.pbx)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert [
            body["spy"] for body in at.pbx.posted(f"channels/{CHANNEL}/snoop/" + snoop(at, "in"))
        ]
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await at.heard.until(Final)
        rtp(SECOND, at.pbx.media("out")["external_host"])
        finals = await at.heard.until(Final, 2)
        assert "RUASR_TEXT" not in at.pbx.variables[CHANNEL]
        await at.pbx.enter(CHANNEL)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert at.pbx.variables[CHANNEL]["RUASR_FINALS"] == "2"
        await at.pbx.hang_up(CHANNEL)
        (ended,) = await at.heard.until(CallEnded)
        await at.pbx.until(lambda: not at.pbx.subscriptions and not left(at.pbx))
    assert [final.leg_id for final in finals] == ["1795346039.9/0", "1795346039.9/1"]
    first, second = (final.text for final in finals)
    (started,) = at.heard.of(CallStarted)
    assert started.details == {
        "channel": CHANNEL,
        "linkedid": "1795346039.9",
        "caller": "100",
        "exten": "200",
    }
    assert (ended.reason, ended.finals) == ("hangup", 2)
    assert [ledger.difference for ledger in ended.ledgers.values()] == [0, 0]
    variables = at.pbx.variables[CHANNEL]
    assert (variables["RUASR_TEXT"], variables["RUASR_CALLEE_TEXT"]) == (first, second)
    assert first.startswith("слово")
    assert "RUASR_STATUS" not in variables


async def test_ask_waits_for_the_first_answer_and_hands_it_to_the_dialplan() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask", "parties=caller", "profile=yesno", "call_id=abc")
        await bridged(at.pbx, 1)
        assert CHANNEL in at.pbx.in_app
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        variables = at.pbx.variables[CHANNEL]
        (final,) = at.heard.of(Final)
        assert (variables["RUASR_TEXT"], variables["RUASR_STATUS"]) == (final.text, "final")
        assert final.text
        assert variables["RUASR_FINALS"] == "1"
        assert left(at.pbx) == []
    (started,) = at.heard.of(CallStarted)
    assert (started.call_id, started.profile) == ("abc", "yesno")


async def test_ask_gives_up_after_its_timeout() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "mode=ask", "timeout=0.05")
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert at.pbx.variables[CHANNEL]["RUASR_STATUS"] == "timeout"
        assert left(at.pbx) == []


async def test_hold_leaves_the_channel_where_it_is_and_keys_are_heard() -> None:
    async with house(mode="hold") as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.tell({"type": "ChannelDtmfReceived", "digit": "7", "channel": {"id": CHANNEL}})
        (key,) = await at.heard.until(Dtmf)
        assert (key.digit, key.leg_id) == ("7", f"{CHANNEL}/0")
        assert CHANNEL in at.pbx.in_app
    assert CHANNEL not in at.pbx.in_app  # the door was closed: the dialplan goes on
    assert at.pbx.posted(f"channels/{CHANNEL}/continue")


async def test_a_second_channel_of_the_call_brings_its_own_legs() -> None:
    async with house() as at:
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL, "tell=crm")
            await bridged(at.pbx)
            await at.pbx.call("1795346041.7", "profile=default", "tell=crm", linked=CHANNEL)
            await bridged(at.pbx, 4)
        assert len(at.calls) == 1
        media = [body["external_host"] for body in at.pbx.posted("channels/externalMedia")]
        for to in (media[0], media[3]):  # what the first says, and what the second is told
            rtp(SECOND, to)
        await at.heard.until(Final, 2)
        await at.pbx.hang_up("1795346041.7")
        await at.pbx.until(lambda: any(name == "ruasr.ended" for name, _ in at.pbx.user_events))
        assert len(at.calls) == 1
        await at.pbx.hang_up(CHANNEL)
        (ended,) = await at.heard.until(CallEnded)
        await at.pbx.until(lambda: sum(n == "ruasr.ended" for n, _ in at.pbx.user_events) == 2)
        await at.pbx.until(lambda: not left(at.pbx))
    assert sorted(final.leg_id for final in at.heard.of(Final)) == [f"{CHANNEL}/0", f"{CHANNEL}/3"]
    assert (ended.finals, len(ended.ledgers)) == (2, 4)
    assert [ledger.difference for ledger in ended.ledgers.values()] == [0] * 4
    told = [body["variables"] for name, body in at.pbx.user_events if name == "ruasr.final"]
    assert {(each["channel"], each["party"], each["call_id"]) for each in told} == {
        (CHANNEL, "caller", CHANNEL),
        ("1795346041.7", "callee", CHANNEL),
    }
    (line,) = [line for line in logs if line["event"] == "ari channel joined a call"]
    assert (line["call_id"], line["first_leg"]) == (CHANNEL, 2)
    assert any("first channel's" in line["event"] for line in logs)


async def test_a_pbx_that_never_hangs_up_is_left_in_the_end() -> None:
    async with house(max_call_s=10) as at:
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL, "mode=hold")
            await bridged(at.pbx)
            at.forward(11)
            (ended,) = await at.heard.until(CallEnded)
            await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert left(at.pbx) == []
        assert at.counted("ruasr_bad_messages_total", kind="too long") == 1
    assert ended.reason == "longer than calls.max_call_s, 10 s"
    assert at.pbx.variables[CHANNEL]["RUASR_STATUS"] == "failed"
    (line,) = [line for line in logs if line["event"] == "a call ran too long"]
    assert line["call_id"] == CHANNEL


async def test_an_id_that_another_door_uses_is_said_and_counted() -> None:
    async with house() as at:
        at.calls.open(door="audiosocket", call_id=CallId("order-7"), peer="")
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL, "call_id=order-7")
            await bridged(at.pbx)
        assert [each.call_id for each in at.heard.of(CallStarted)] == ["order-7", "order-7#2"]
        assert at.counted("ruasr_bad_messages_total", door="ari", kind="id in use") == 1
    (line,) = [line for line in logs if line["event"] == "bad message"]
    assert (line["call_id"], line["kind"]) == ("order-7#2", "id in use")


async def test_another_application_asks_by_user_event_and_is_told_everything() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.hang_up(CHANNEL)
        await at.heard.until(CallEnded)
        at.pbx.channels["crm-1"] = {"id": "crm-1", "name": "PJSIP/1"}
        at.pbx.variables["crm-1"] = {}
        await at.pbx.tell(
            {
                "type": "ChannelUserevent",
                "eventname": "ruasr.tap",
                "userevent": {"channel": "crm-1", "tell": "crm", "parties": "caller"},
            }
        )
        await bridged(at.pbx, 1)
        last = at.pbx.posted("channels/externalMedia")[-1]
        rtp(SECOND, last["external_host"])
        await at.heard.until(Final)
        await at.pbx.hang_up("crm-1")
        await at.heard.until(CallEnded, 2)
        await at.pbx.until(lambda: any(name == "ruasr.ended" for name, _ in at.pbx.user_events))
    said = {name: body for name, body in at.pbx.user_events}
    assert said["ruasr.final"]["application"] == "crm"
    final = said["ruasr.final"]["variables"]
    assert (final["text"], final["party"], final["channel"], final["call_id"]) == (
        at.heard.of(Final)[0].text,
        "caller",
        "crm-1",
        "crm-1",
    )
    assert said["ruasr.ended"]["variables"]["reason"] == "hangup"
    assert "ruasr.speech" in said
    assert not at.pbx.posted("channels/crm-1/continue")  # it was not ours to send on


async def test_audiosocket_brings_the_same() -> None:
    async with house(encapsulation="audiosocket") as at:
        await at.pbx.call(CHANNEL, "parties=caller")
        await bridged(at.pbx, 1)
        order = at.pbx.media("in")
        host, port = order["external_host"].split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"\x01\x00\x10" + UUID(order["data"]).bytes)
        for at_sample in range(0, len(SECOND), 160):
            frame = SECOND[at_sample : at_sample + 160].astype("<i2").tobytes()
            writer.write(struct.pack("!BH", 0x10, len(frame)) + frame)
        writer.write(b"\x03\x00\x01" + b"5" + b"\x12\x00\x02\x00\x00")
        (final,) = await at.heard.until(Final)
        assert final.text.startswith("слово")
        assert [key.digit for key in await at.heard.until(Dtmf)] == ["5"]
        await at.pbx.hang_up(CHANNEL)
        assert await reader.read() == b"\x00\x00\x00"
        writer.close()
        (ended,) = await at.heard.until(CallEnded)
    (ledger,) = ended.ledgers.values()
    assert ledger.difference == 0
    assert ledger.received >= len(SECOND)


async def test_rtp_of_another_sender_is_not_heard_but_counted_and_said_once() -> None:
    with capture_logs() as logs:
        async with house(strict=True) as at:
            await at.pbx.call(CHANNEL, "parties=caller", linked="1795346039.9")
            await bridged(at.pbx, 1)
            rtp(SECOND, at.pbx.media("in")["external_host"])
            await at.until_counted("ruasr_packets_total", 80, fate="foreign")
            await at.pbx.hang_up(CHANNEL)
            (ended,) = await at.heard.until(CallEnded)
            assert at.counted("ruasr_bad_messages_total", kind="foreign") == 80
    assert [ledger.received for ledger in ended.ledgers.values()] == [0]
    (line,) = [line for line in logs if line["event"] == "ari audio"]
    assert line["foreign"] == 80
    (line,) = [line for line in logs if line["event"] == "bad message"]
    assert (line["call_id"], line["kind"]) == ("1795346039.9", "foreign")
    assert line["error"].startswith("RTP from 127.0.0.1:")


async def test_what_is_lost_late_or_overtaken_is_counted_and_in_the_ledger_to_the_sample() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "parties=caller")
        await bridged(at.pbx, 1)
        to = at.pbx.media("in")["external_host"]
        order = [n for n in range(80) if n not in (10, 11, 40)]
        order[30], order[31] = order[31], order[30]  # 32 and 33 change places
        rtp(SECOND, to, [*order, 60])
        await at.until_counted("ruasr_packets_total", 78, fate="received")
        await at.pbx.hang_up(CHANNEL)
        (ended,) = await at.heard.until(CallEnded)
        fates = ("received", "lost", "reordered", "late")
        assert [at.counted("ruasr_packets_total", fate=each) for each in fates] == [78, 3, 1, 1]
        told = at.counted("ruasr_concealed_seconds_total", reason="lost")
        assert told == pytest.approx(3 * 160 / 8000)
    (ledger,) = ended.ledgers.values()
    assert ledger.concealed["lost"] == 3 * 160
    assert ledger.difference == 0
    late = sum(ledger.dropped.values()) + ledger.concealed.get("not sent", 0)  # before the first
    assert ledger.received - late == len(SECOND)


async def test_a_full_server_sends_the_channel_on() -> None:
    async with house(limit=1) as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.call("1795346040.2")
        await at.pbx.until(lambda: "1795346040.2" not in at.pbx.in_app)
        assert at.pbx.variables["1795346040.2"]["RUASR_STATUS"] == "refused"


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["mode=sing"], "mode: 'sing' is not one of tap, ask, hold"),
        (["timeout=long"], "timeout: 'long' is not a number of seconds up to 3600"),
        (["loud"], "'loud' is no setting: write mode=, profile=, … = a value"),
    ],
)
async def test_what_a_dialplan_gets_wrong_is_logged_and_the_channel_goes_on(
    args: list[str], says: str
) -> None:
    async with house() as at:
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL, *args)
            await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
    assert says in [line.get("error") for line in logs]


@pytest.mark.parametrize("part", ["/snoop/", "externalMedia", "addChannel", "subscription"])
async def test_what_asterisk_refuses_leaves_nothing_behind(part: str) -> None:
    async with house() as at:
        at.pbx.fail = {part: 500}
        await at.pbx.call(CHANNEL)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert at.pbx.variables[CHANNEL]["RUASR_STATUS"] == "failed"
        assert left(at.pbx) == []
        assert len(at.calls) == 0


async def test_a_channel_that_does_not_enter_in_time_ends_the_try() -> None:
    async with house(request_timeout_s=0.2) as at:
        at.pbx.mute = True
        await at.pbx.call(CHANNEL)
        await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
        assert left(at.pbx) == []


async def test_orphans_of_a_former_life_are_deleted_and_others_are_not() -> None:
    async with fake_ari() as pbx, running_calls() as calls:
        for name in ("ruasr.ruasr.snoop.in.1", "ruasr.other.snoop.in.1", "1.1"):
            pbx.channels[name] = {"id": name}
        pbx.bridges = {"ruasr.ruasr.bridge.in.1": [], "mine": []}
        config = AriConfig.model_validate({"url": pbx.url, "password": "secret"})
        door = create(config, Server(calls, Hub(), Metrics()))
        await door.start()
        await door.connected.wait()
        assert sorted((*pbx.channels, *pbx.bridges)) == ["1.1", "mine", "ruasr.other.snoop.in.1"]
        await door.close()


async def test_a_broken_connection_is_made_again_and_calls_go_on() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL, "parties=caller")
        await bridged(at.pbx, 1)
        await at.pbx.drop_connections()
        await at.pbx.until(lambda: at.pbx.connections == 0)
        await at.pbx.until(lambda: at.pbx.connections == 1)
        await at.door.connected.wait()
        rtp(SECOND, at.pbx.media("in")["external_host"])
        await at.heard.until(Final)
        assert len(at.calls) == 1


async def test_asterisk_restarts_and_calls_of_before_end_while_new_ones_come() -> None:
    async with house() as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.stop()
        await at.pbx.start()
        (ended,) = await at.heard.until(CallEnded)
        assert ended.reason == "pbx restarted"
        await at.door.connected.wait()
        await at.pbx.call("1795346041.1")
        await bridged(at.pbx)
        assert len(at.calls) == 1


async def test_an_asterisk_that_stays_away_ends_the_calls() -> None:
    async with house(lost_after_s=0.05) as at:
        await at.pbx.call(CHANNEL)
        await bridged(at.pbx)
        await at.pbx.stop()
        (ended,) = await at.heard.until(CallEnded)
        assert ended.reason == "pbx lost"
        await at.pbx.start()
        await at.door.connected.wait()


async def test_a_stopping_server_takes_no_channel_and_a_replaced_one_says_so() -> None:
    async with house() as at:
        await at.door.stop_accepting()
        with capture_logs() as logs:
            await at.pbx.call(CHANNEL)
            await at.pbx.until(lambda: CHANNEL not in at.pbx.in_app)
            await at.pbx.tell({"type": "ApplicationReplaced", "application": "ruasr"})
            await at.pbx.tell("not JSON")
            await at.pbx.tell({"type": "ChannelDtmfReceived", "channel": {}})
            await at.pbx.call("1795346040.9")
            await at.pbx.until(lambda: "1795346040.9" not in at.pbx.in_app)
    said = " ".join(line["event"] for line in logs)
    assert "another program took the Stasis application over" in said
    assert said.count("ari sent what is no event") == 2


async def test_a_wrong_password_names_the_keys_and_an_unknown_profile_is_refused() -> None:
    async with fake_ari() as pbx, running_calls() as calls:
        server = Server(calls, Hub(), Metrics())
        config = AriConfig.model_validate({"url": pbx.url, "password": "x", "reconnect_s": 0.01})
        with capture_logs() as logs:
            door = create(config, server)
            await door.start()
            while not logs:  # noqa: ASYNC110 - a log line has nobody who tells of it
                await asyncio.sleep(0.001)
            await door.close()
        assert "doors.ari.username and doors.ari.password" in logs[0]["error"]
        with pytest.raises(ConfigError, match=r"doors\.ari\.profile: there is no profile 'x'"):
            create(AriConfig(profile="x"), server)


def test_its_url_is_where_asterisk_is() -> None:
    assert AriConfig().url == "http://127.0.0.1:8088/ari"
