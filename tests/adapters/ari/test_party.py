"""Call time keeps up with the clock whatever is missing; every sample is accounted for."""

from collections.abc import Callable
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.leg import Leg
from ruasr_tel.testing.audio import tone
from ruasr_tel.testing.calls import running_calls
from ruasr_tel.types import CallId, Samples
from ruasr_tel_adapters.ari.party import CONCEAL_S, Party

RATE_HZ = 8000


class FakeLeg:
    """Counts."""

    sample_rate_hz = RATE_HZ

    def __init__(self) -> None:
        self.pushed = 0
        self.dropped: dict[str, int] = {}
        self.backlog_s = 0.0

    def push(self, samples: Samples) -> None:
        self.pushed += len(samples)

    def conceal(self, samples_count: int, reason: str) -> None:
        self.pushed += samples_count

    def drop(self, samples_count: int, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + samples_count


def party_of(
    leg: object,
    max_backlog_s: float = 60.0,
    on_key: Callable[[Leg, str], None] = lambda _leg, _key: None,
    mono: Callable[[], float] = lambda: 0.0,
) -> Party:
    def nothing(_what: str, _more: object) -> None: ...

    return Party(cast("Leg", leg), max_backlog_s, on_key, nothing, nothing, mono)


@given(
    said=st.lists(st.tuples(st.sampled_from("hml"), st.integers(1, 9000)), max_size=20),
    late_s=st.floats(0, 3),
)
def test_no_time_is_lost_or_won(said: list[tuple[str, int]], late_s: float) -> None:
    leg, clock = FakeLeg(), iter([10.0, 10.0 + late_s])
    party = party_of(leg, mono=lambda: next(clock))
    expected = 0
    for kind, count in said:
        if kind == "h":
            party.hear(np.zeros(count, np.int16))
        else:
            party.miss(count, lost=kind == "l")
        expected += count
    first = next((count for kind, count in said if kind == "h"), None)
    if first is not None:
        expected += max(round(late_s * RATE_HZ) - first, 0)
    assert abs(leg.pushed + sum(leg.dropped.values()) - expected) <= 1
    assert all(count > CONCEAL_S * RATE_HZ for count in leg.dropped.values())


def test_a_backlog_drops_audio_with_its_reason() -> None:
    leg = FakeLeg()
    leg.backlog_s = 2.0
    party = party_of(leg, max_backlog_s=1.0)
    party.hear(np.zeros(160, np.int16))
    assert (leg.pushed, leg.dropped) == (0, {"backlog": 160})


async def test_the_ledger_of_a_real_leg_explains_every_hole() -> None:
    async with running_calls() as calls:
        call = calls.open(door="ari", call_id=CallId("1"), peer="")
        leg = call.open_leg(RATE_HZ)
        keys: list[str] = []
        party = party_of(leg, on_key=lambda _leg, key: keys.append(key))
        party.hear(tone(1.0))
        party.miss(800, lost=True)
        party.hear(tone(1.0))
        party.miss(160, lost=False)
        party.miss(8000, lost=True)
        party.miss(16_000, lost=False)
        party.hear(tone(0.5))
        party.key("5")
        await call.end("hangup")
        ledger = leg.ledger()
        assert keys == ["5"]
        assert ledger.concealed == {"lost": 800, "not sent": 160}
        assert leg.clock_s == 5.62
    assert ledger.dropped == {"lost": 8000, "not sent": 16_000}
    assert (ledger.received, ledger.difference) == (44_960, 0)
