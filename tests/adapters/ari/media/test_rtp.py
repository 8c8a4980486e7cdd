"""RTP lines: what Asterisk is told, and whom they hear."""

import json
from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.rtp import RtpMedia
from tests.adapters.ari.ear import Ear

DATA = Path(__file__).parents[3] / "data/ari"


async def test_asterisks_answer_says_who_sends() -> None:
    answer = json.loads((DATA / "external_media_rtp.json").read_text("utf-8"))
    media = RtpMedia(AriConfig(format="slin"))
    await media.start()
    line = await media.line(Ear(), "1")
    await line.answered(answer)
    variables = answer["channelvars"]
    assert line.source == (
        variables["UNICASTRTP_LOCAL_ADDRESS"],
        int(variables["UNICASTRTP_LOCAL_PORT"]),
    )
    line.close()


async def test_an_address_of_another_machine_is_said_at_the_start() -> None:
    media = RtpMedia(AriConfig(host="192.0.2.77"))
    with pytest.raises(ConfigError, match=r"on 192\.0\.2\.77 .*: set doors\.ari\.host to"):
        await media.start()


async def test_a_line_tells_where_it_listens() -> None:
    media = RtpMedia(AriConfig(advertise="asr.example"))
    await media.start()
    line = await media.line(Ear(), "1")
    host, port = line.order["external_host"].split(":")
    assert (host, line.order["encapsulation"], line.order["transport"]) == (
        "asr.example",
        "rtp",
        "udp",
    )
    assert int(port) > 0
    await line.answered({})
    assert line.source is None
    line.close()
    await media.close()
