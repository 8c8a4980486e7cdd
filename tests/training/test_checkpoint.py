from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training import checkpoint  # noqa: E402
from models.training.checkpoint import Checkpoint, Origin, Spent, average, load  # noqa: E402
from models.training.network import Network, Size  # noqa: E402
from ruasr_tel.errors import ConfigError  # noqa: E402

ORIGIN = Origin("somebody's", Spent(3, 30.0, 90.0))
TINY = Size(d=8, heads=2, fine=1, middle=1, last=1)


def made(fill: float, size: Size = TINY) -> Checkpoint:
    weights = {name: torch.full_like(w, fill) for name, w in Network(size).state_dict().items()}
    return Checkpoint(size, weights, weights, None, Spent(7, 60.0, 900.0), ORIGIN)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    made(0.5).save(tmp_path / "last.pt")
    found = load(tmp_path / "last.pt")
    assert (found.size, found.spent, found.optimiser) == (TINY, Spent(7, 60.0, 900.0), None)
    assert found.origin == ORIGIN
    assert all(torch.equal(w, torch.full_like(w, 0.5)) for w in found.averaged.values())
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert not found.network().training


def test_a_checkpoint_without_a_clock_begins_at_0(tmp_path: Path) -> None:
    weights = dict(made(1.0).raw)
    torch.save({"model": weights, "raw": weights, "cfg": TINY.to_json()}, tmp_path / "old.pt")
    old = load(tmp_path / "old.pt")
    assert (old.spent, old.origin) == (Spent(), Origin())


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "last.pt"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"checkpoint .*last\.pt cannot be read"):
        load(path)


def test_the_mean_of_checkpoints() -> None:
    mean = average([made(1.0), made(2.0), made(6.0)])
    assert all(torch.equal(w, torch.full_like(w, 3.0)) for w in mean.averaged.values())
    assert (mean.spent, mean.origin) == (Spent(7, 60.0, 900.0), ORIGIN)


def test_only_checkpoints_of_one_size_have_a_mean() -> None:
    with pytest.raises(ConfigError, match="different sizes"):
        average([made(1.0), made(1.0, Size(d=8, heads=2, fine=1, middle=2, last=1))])
    with pytest.raises(ConfigError, match="no checkpoint"):
        average([])


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(ConfigError, match="of another network"):
        checkpoint.fill(Network(TINY), {})
