import asyncio
import re
import urllib.error
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ruasr_tel.call import Calls
from ruasr_tel.engines import scripted
from ruasr_tel.events import CallEnded
from ruasr_tel.metrics import Metrics, MetricsConfig
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls, silence, tone
from ruasr_tel.types import CallId, Samples


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(name, labels) or 0.0


async def play(calls: Calls, call_id: str, audio: Samples) -> CallEnded:
    recorder = Recorder()
    call = calls.open(door="test", call_id=CallId(call_id), peer="", on_event=recorder)
    call.open_leg(8000).push(audio)
    await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    return recorder.of(CallEnded)[0]


async def test_audio_seconds_by_fate_add_up_to_what_was_received() -> None:
    bad = np.clip(tone(1.0), -scripted.RAISES, scripted.RAISES).astype(np.int16)
    metrics = Metrics()
    async with running_calls(metrics=metrics) as calls:
        first = await play(calls, "one", phrase((1.0, 1.0), (0.5, 2.0)))
        second = await play(calls, "two", np.concatenate([bad, silence(1.5)]))
    fates = {
        fate: value(metrics.registry, "ruasr_audio_seconds_total", fate=fate)
        for fate in ("decoded", "silence", "not decoded")
    }
    received = [ledger.received for end in (first, second) for ledger in end.ledgers.values()]
    assert all(fates.values())
    assert sum(fates.values()) == pytest.approx(sum(received) / 8000)
    assert value(metrics.registry, "ruasr_unaccounted_samples_total") == 0


async def test_what_was_filled_in_is_counted_besides() -> None:
    metrics = Metrics()
    recorder = Recorder()
    async with running_calls(metrics=metrics) as calls:
        call = calls.open(door="test", call_id=CallId("one"), peer="", on_event=recorder)
        leg = call.open_leg(8000)
        leg.push(silence(1.0))
        leg.conceal(1600, "lost")
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    told = value(metrics.registry, "ruasr_concealed_seconds_total", reason="lost")
    assert told == pytest.approx(0.2)
    heard = value(metrics.registry, "ruasr_audio_seconds_total", fate="silence")
    assert heard == pytest.approx(1.2)


def test_the_page_tells_of_every_metric_and_its_labels() -> None:
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(ruasr_\w+)` \| ([^|]*) \|", page, re.M))
    names = {}
    for metric in vars(Metrics()).values():
        if isinstance(metric, MetricWrapperBase):
            suffix = "_total" if metric._type == "counter" else ""
            names[metric._name + suffix] = ", ".join(f"`{each}`" for each in metric._labelnames)
    assert rows == names


async def test_calls_and_finals_are_counted() -> None:
    metrics = Metrics()
    async with running_calls(metrics=metrics) as calls:
        calls.open(door="test", call_id=CallId("running"), peer="")
        await play(calls, "one", phrase((1.0, 1.0), (0.5, 0.0)))
        assert value(metrics.registry, "ruasr_calls_active", door="test") == 1
        assert value(metrics.registry, "ruasr_calls_total", door="test", outcome="ended") == 1
    finals = {
        reason: value(metrics.registry, "ruasr_finals_total", reason=reason, failed="false")
        for reason in ("endpoint", "flush")
    }
    assert finals == {"endpoint": 1, "flush": 1}
    assert value(metrics.registry, "ruasr_final_delay_seconds_count") == 2
    assert value(metrics.registry, "ruasr_calls_active", door="test") == 0


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.partials.inc()
    assert value(first.registry, "ruasr_partials_total") == 1
    assert value(second.registry, "ruasr_partials_total") == 0


async def test_metrics_are_served_over_http_until_they_are_closed() -> None:
    metrics = Metrics()
    metrics.partials.inc(3)
    url = metrics.serve(MetricsConfig(port=0))
    assert url.startswith("http://127.0.0.1:")
    with await asyncio.to_thread(urlopen, url, timeout=TIMEOUT_S) as answer:
        assert "ruasr_partials_total 3.0" in answer.read().decode().splitlines()
    await asyncio.to_thread(metrics.close)
    with pytest.raises(urllib.error.URLError):
        await asyncio.to_thread(urlopen, url, timeout=TIMEOUT_S)
    metrics.close()  # a second time does no harm
