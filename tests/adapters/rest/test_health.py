from pathlib import Path

import pytest

from ruasr_tel_adapters.rest import RestConfig, seed
from tests.adapters.rest.fakes import Rest, listening


async def test_a_server_without_its_engine_lives_and_is_not_ready(rest: Rest) -> None:
    assert await rest.json("GET", "/healthz") == {"status": "ok"}
    assert await rest.json("GET", "/readyz") == {"status": "ok"}
    rest.ready = False
    problem = await rest.json("GET", "/readyz", 503)
    assert problem["detail"] == "the engine does not answer now; it is started again by itself"
    assert await rest.json("GET", "/healthz") == {"status": "ok"}
    assert (await rest.json("GET", "/is_alive"))["error"] is True


async def test_a_balancer_may_ask_without_wanting_an_answer(rest: Rest) -> None:
    async with rest.client.head("/readyz") as response:
        assert (response.status, await response.read()) == (200, b"")
    async with rest.client.head("/v1/events") as response:
        assert response.status == 405


async def test_a_server_that_stops_is_not_ready_and_takes_no_orders(rest: Rest) -> None:
    await rest.door.stop_accepting()
    problem = await rest.json("GET", "/readyz", 503)
    assert problem["detail"] == "the server is stopping and takes no new work"
    await rest.json("POST", "/v1/recordings", 503, json={"url": "http://a/b"})
    await rest.json("GET", "/v1/recordings")


async def test_prometheus_reads_the_metrics(rest: Rest) -> None:
    async with rest.client.get("/metrics") as response:
        assert "ruasr_calls_active" in await response.text()
        assert response.content_type == "text/plain"


async def test_the_status_has_the_figures_of_the_moment(rest: Rest) -> None:
    await rest.json("POST", "/v1/recordings", 202, json={"url": "http://a/b"})
    status = await rest.json("GET", "/v1/status")
    assert (status["ready"], status["calls"], status["max_calls"]) == (True, 0, 500)
    assert status["queues"] == {"recording": 1}
    assert "yesno" in status["profiles"]
    assert status["vosk_url"] == "ws://127.0.0.1:2700"


async def test_the_vosk_socket_may_be_elsewhere(tmp_path: Path) -> None:
    config = RestConfig(vosk_url="wss://asr.example/vosk")
    async with listening(tmp_path, config, recordings=False, store=False) as rest:
        status = await rest.json("GET", "/v1/status")
        assert status["vosk_url"] == "wss://asr.example/vosk"
        assert (status["history"], status["recordings"], status["queues"]) == (False, False, {})


@pytest.mark.parametrize(
    ("door", "told"),
    [
        ("ws://127.0.0.1:2701", "ws://127.0.0.1:2701"),
        ("ws://0.0.0.0:2702", "ws://127.0.0.1:2702"),
        ("ws://[::]:2703", "ws://127.0.0.1:2703"),
        ("ws://localhost:2704", "ws://127.0.0.1:2704"),
        ("ws://10.0.0.5:2705", "ws://10.0.0.5:2705"),
        ("ws://asr.example:2706", "ws://asr.example:2706"),
    ],
)
async def test_the_vosk_socket_is_where_that_door_listens(
    tmp_path: Path, door: str, told: str
) -> None:
    async with listening(tmp_path, door_urls={"vosk_ws": door}) as rest:
        assert (await rest.json("GET", "/v1/status"))["vosk_url"] == told
        async with rest.client.get("/demo") as response:
            assert told in response.headers["Content-Security-Policy"]


async def test_the_seed_is_alive_on_a_machine_without_a_gpu(
    rest: Rest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2048 kB\n")
    monkeypatch.setattr(seed, "MEMINFO", tmp_path / "meminfo")
    assert await rest.json("GET", "/is_alive") == {
        "error": False,
        "error_description": None,
        "state": "idle",
        "tasks_in_work": 0,
        "free_memory_mb": 2.0,
        "gpu_load_percent": None,
        "temperature_celsius": None,
    }
    monkeypatch.setattr(seed, "MEMINFO", tmp_path / "not there")
    await rest.json("POST", "/v1/recordings", 202, json={"url": "http://a/b"})
    alive = await rest.json("GET", "/is_alive")
    assert (alive["state"], alive["tasks_in_work"]) == ("in_work", 1)
    assert alive["free_memory_mb"] is None
