from ruasr_tel.models.catalog import Catalog
from ruasr_tel.models.machine import Machine, fits, this_machine
from tests.core.broken_models import MODELS_DIR


def test_a_model_fits_where_its_need_was_measured() -> None:
    catalog = Catalog.load(MODELS_DIR)
    entries = {entry.name: entry for entry in catalog.entries}
    small, large = Machine(700, cuda=False), Machine(16_000, cuda=True)
    assert [fits(entries["gigaam-v2-ctc"], each) for each in (small, large)] == [False, True]
    assert fits(entries["vosk-model-ru"], large) is None


def test_this_machine_has_memory() -> None:
    assert 100 < this_machine().memory_mb < 10**8
