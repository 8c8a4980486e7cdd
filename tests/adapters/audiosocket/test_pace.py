from collections.abc import Iterable

import pytest

from ruasr_tel_adapters.audiosocket.pace import PaceCheck
from ruasr_tel_adapters.wires.audiosocket import Kind

ULAW_WARNING = (
    "50 messages of kind 0x10 (8000 Hz slin) had 160 bytes and came every 20 ms, where 320 bytes "
    "are due: this looks like G.711 (mu-law or A-law) and will not be recognised; in the dialplan "
    "write c(slin), as in Dial(AudioSocket/host:port/uuid/c(slin))"
)


def judge(arrivals: Iterable[tuple[float, int, int]]) -> tuple[list[str], bool]:
    """Every warning of (now_s, kind, size) messages, and whether the check ended."""
    check = PaceCheck()
    warnings = []
    for now_s, kind, size in arrivals:
        if check.settled:
            break
        warning = check.observe(now_s, kind, size)
        if warning is not None:
            warnings.append(warning)
    return warnings, check.settled


def steady(
    n: int, every_s: float, size: int, kind: int = Kind.SLIN
) -> list[tuple[float, int, int]]:
    return [(1000.0 + i * every_s, kind, size) for i in range(n)]


def test_mu_law_under_the_slin_label_is_noticed_once_with_the_cure() -> None:
    assert judge(steady(200, 0.02, 160)) == ([ULAW_WARNING], True)


def test_it_takes_fifty_messages() -> None:
    assert judge(steady(49, 0.02, 160)) == ([], False)
    assert judge(steady(50, 0.02, 160)) == ([ULAW_WARNING], True)


def test_jitter_as_observed_does_not_hide_it() -> None:
    jitter = [0.0, 0.004, -0.007, 0.037, 0.002]
    arrivals = [(now + jitter[i % 5], k, n) for i, (now, k, n) in enumerate(steady(50, 0.02, 160))]
    assert len(judge(arrivals)[0]) == 1


def test_true_slin_settles_at_its_first_frame() -> None:
    assert judge(steady(1, 0.02, 320)) == ([], True)
    assert judge(steady(1, 0.02, 640, Kind.SLIN16)) == ([], True)


def test_ten_millisecond_frames_of_slin_are_innocent() -> None:
    assert judge(steady(50, 0.01, 160)) == ([], True)


def test_thirty_millisecond_frames_of_slin_are_innocent() -> None:
    assert judge(steady(500, 0.03, 480)) == ([], False)


def test_a_file_sent_faster_than_a_call_is_innocent() -> None:
    assert judge(steady(50, 0.0, 160)) == ([], True)


def test_a_pause_among_the_first_messages_only_delays_the_warning() -> None:
    late = [(now + 3.0, kind, size) for now, kind, size in steady(160, 0.02, 160)[30:]]
    assert judge(steady(30, 0.02, 160) + late) == ([ULAW_WARNING], True)


def test_a_short_last_frame_only_delays_the_warning() -> None:
    arrivals = [*steady(20, 0.02, 160), (1000.4, Kind.SLIN, 94), *steady(50, 0.02, 160)]
    assert judge(arrivals) == ([ULAW_WARNING], True)


@pytest.mark.parametrize(
    ("kind", "size", "guess"),
    [
        (Kind.SLIN, 640, "16 kHz slin"),
        (Kind.SLIN12, 640, "16 kHz slin"),
        (Kind.SLIN, 33, "another codec"),
    ],
)
def test_other_contradictions(kind: Kind, size: int, guess: str) -> None:
    (warning,), settled = judge(steady(50, 0.02, size, kind))
    assert f"had {size} bytes and came every 20 ms" in warning
    assert f"looks like {guess} and" in warning
    assert settled
