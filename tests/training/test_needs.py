import pytest

from models.training import needs
from ruasr_tel.errors import ConfigError


def test_nothing_missing_is_no_error() -> None:
    needs.check({"festival": lambda: True}, {"torch": lambda: True})


def test_all_that_is_missing_is_named_with_its_cure() -> None:
    packages = {"festival": lambda: False, "espeak-ng": lambda: True, "libgsm1": lambda: False}
    with pytest.raises(ConfigError) as caught:
        needs.check(packages, {"torch": lambda: False})
    assert str(caught.value) == (
        "the recipe needs more than is here: apt-get install festival libgsm1; "
        "pip install -e '.[train]' (for torch)"
    )


def test_every_probe_answers() -> None:
    answers = [probe() for probe in (*needs.PACKAGES.values(), *needs.MODULES.values())]
    assert all(answer in (True, False) for answer in answers)
