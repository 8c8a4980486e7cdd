import pytest

from ruasr_tel import store


@pytest.mark.parametrize("name", store.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(store, name).__name__ == name
    assert getattr(store, name).__module__.startswith("ruasr_tel.store.")


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match=r"^module 'ruasr_tel.store' has no attribute 'Shop'$"):
        _ = store.Shop
