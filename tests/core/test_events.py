from dataclasses import fields, is_dataclass
from typing import get_args

import pytest

from ruasr_tel.events import Event, Ledger


def test_a_ledger_adds_up() -> None:
    ledger = Ledger(8000, received=1000, decoded=600, silence=300, dropped={"not decoded": 100})
    assert ledger.difference == 0


def test_a_ledger_says_how_many_samples_are_unaccounted_for() -> None:
    lost = Ledger(8000, received=1000, decoded=600, silence=300, dropped={"a": 10, "b": 20})
    assert lost.difference == 70
    twice = Ledger(8000, received=1000, decoded=800, silence=300, dropped={})
    assert twice.difference == -100


@pytest.mark.parametrize("kind", get_args(Event))
def test_every_event_is_frozen_and_says_which_call_and_when(kind: type) -> None:
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]  # not in typeshed
    assert {"call_id", "at"} <= {field.name for field in fields(kind)}
