"""Packets come in any order, twice, or not at all; what comes out is in order and accounted for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel_adapters.ari.rtp.order import SEQUENCES, TIMESTAMPS, InOrder, Missing, Reorder
from ruasr_tel_adapters.ari.rtp.wire import Packet

FRAME = 160
DEPTH = 5


class Order(Reorder):
    """Keeps what it counts."""

    def __init__(self, depth: int, max_gap_samples: int) -> None:
        self.counts: Counter[str] = Counter()
        super().__init__(depth, max_gap_samples, self._add)

    def _add(self, fate: str, packets: int) -> None:
        self.counts[fate] += packets


def packet(number: int, start: int = 65_530, ssrc: int = 1, at: int | None = None) -> Packet:
    """Return the nth packet of a stream whose numbers wrap soon."""
    timestamp = (TIMESTAMPS - 800 + FRAME * (number if at is None else at)) % TIMESTAMPS
    return Packet(10, (start + number) % SEQUENCES, timestamp, ssrc, number.to_bytes(4, "big"))


def number_of(each: Packet) -> int:
    return int.from_bytes(each.payload, "big")


def numbers(out: list[InOrder]) -> list[int]:
    return [number_of(each) for each in out if isinstance(each, Packet)]


def run(order: Order, packets: list[Packet], samples: int = FRAME) -> list[InOrder]:
    out = [each for one in packets for each in order.push(one, samples)]
    return out + order.flush()


@given(
    lost=st.sets(st.integers(1, 199), max_size=60),
    delays=st.lists(st.integers(0, DEPTH - 1), min_size=200, max_size=200),
    again=st.sets(st.integers(0, 199), max_size=20),
)
def test_out_comes_every_packet_once_in_order_and_every_sample_is_accounted_for(
    lost: set[int], delays: list[int], again: set[int]
) -> None:
    sent = [number for number in range(200) if number not in lost]
    queue = sorted(
        [(number + (delays[number] if number else 0), number) for number in sent]
        + [(number + DEPTH, number) for number in sent if number in again and number]
    )
    order = Order(DEPTH, 10**6)
    out = run(order, [packet(number) for _, number in queue])
    # Packets that are late by less than the depth come out whole, if none is missing meanwhile.
    assert numbers(out) == sorted(set(numbers(out)))
    if not lost:
        assert numbers(out) == sent
    missing = sum(each.samples for each in out if isinstance(each, Missing))
    last = max(numbers(out))
    assert missing + FRAME * len(numbers(out)) == FRAME * (last + 1)
    assert order.counts["lost"] == last + 1 - len(numbers(out))


@given(data=st.data())
def test_no_sequence_of_packets_brings_out_more_than_came_in(data: st.DataObject) -> None:
    wild = st.builds(
        Packet,
        st.just(10),
        st.integers(0, 65535),
        st.integers(0, TIMESTAMPS - 1),
        st.sampled_from([1, 2]),
        st.just(b""),
    )
    packets = data.draw(st.lists(wild, max_size=50))
    order = Order(DEPTH, 8000)
    out = run(order, packets)
    audio = [each for each in out if isinstance(each, Packet)]
    assert all(each in packets for each in audio)
    assert len(audio) + order.counts["late"] + order.counts["stray"] == len(packets)
    assert all(0 < each.samples <= 8000 for each in out if isinstance(each, Missing))


def test_what_is_in_order_never_waits() -> None:
    order = Order(DEPTH, 10**6)
    assert [numbers(order.push(packet(n), FRAME)) for n in range(20)] == [[n] for n in range(20)]


def test_a_missing_packet_is_waited_for_and_then_given_up() -> None:
    order = Order(2, 10**6)
    order.push(packet(0), FRAME)
    assert order.push(packet(2), FRAME) == []
    assert order.push(packet(3), FRAME) == []
    out = order.push(packet(4), FRAME)
    assert out[0] == Missing(FRAME, 1)
    assert numbers(out) == [2, 3, 4]
    assert order.push(packet(1), FRAME) == []
    assert order.counts == {"lost": 1, "late": 1}


def test_silence_of_the_sender_is_no_loss() -> None:
    order = Order(DEPTH, 10**6)
    order.push(packet(0), FRAME)
    (gap, _) = order.push(packet(1, at=51), FRAME)
    assert gap == Missing(50 * FRAME, 0)
    assert order.counts == {}


def test_a_timestamp_that_jumps_back_or_far_tells_nothing() -> None:
    order = Order(DEPTH, 8000)
    order.push(packet(0), FRAME)
    assert numbers(order.push(packet(1, at=-40), FRAME)) == [1]
    assert len(order.push(packet(2, at=5000), FRAME)) == 1


def test_a_packet_without_audio_takes_a_number_and_no_time() -> None:
    order = Order(DEPTH, 10**6)
    order.push(packet(0), FRAME)
    assert numbers(order.push(packet(1, at=1), 0)) == [1]
    assert numbers(order.push(packet(2, at=1), 0)) == [2]
    assert order.push(packet(3, at=4), FRAME)[0] == Missing(3 * FRAME, 0)


def test_another_source_begins_anew() -> None:
    order = Order(DEPTH, 10**6)
    order.push(packet(0), FRAME)
    order.push(packet(2), FRAME)
    out = order.push(packet(9, start=20_000, ssrc=2, at=999), FRAME)
    assert numbers(out) == [2, 9]
    assert order.counts == {"lost": 1, "restarted": 1}


def test_two_strays_in_a_row_are_a_sender_that_began_anew() -> None:
    order = Order(DEPTH, 10**6)
    order.push(packet(0, start=0), FRAME)
    assert order.push(packet(0, start=30_000), FRAME) == []
    assert numbers(order.push(packet(1, start=0), FRAME)) == [1]
    assert order.push(packet(1, start=30_000), FRAME) == []
    assert numbers(order.push(packet(2, start=30_000), FRAME)) == [2]
    assert order.counts == {"stray": 2, "restarted": 1}
