import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training.batches import BLANK, TOKENS, output_frames  # noqa: E402
from models.training.network import Network, Size, ctc_loss, greedy  # noqa: E402

TINY = Size(d=16, d2=16, n1=2, n2=2, n3=1)


def test_the_published_size_has_its_parameters_and_names() -> None:
    network = Network(Size(n2=6))
    assert round(sum(one.numel() for one in network.parameters()) / 1e6, 2) == 3.74
    names = set(network.state_dict())
    assert {"c1.weight", "b1.1.se.2.bias", "b2.5.dw.weight", "b3.0.scale", "mid.weight"} <= names
    assert not any(name.startswith(("b1.0.se", "b3.1.se")) for name in names)


@pytest.mark.parametrize("frames", [8, 37, 100, 101, 102, 103])
def test_a_quarter_of_the_frames_come_out(frames: int) -> None:
    network = Network(TINY).eval()
    with torch.no_grad():
        end, middle = network.both(torch.randn(1, 64, frames) - 6, torch.tensor([frames]))
    assert end.shape == middle.shape == (1, output_frames(frames), len(TOKENS))
    assert torch.allclose(end.exp().sum(-1), torch.ones(end.shape[:2]), atol=1e-4)


def test_what_lies_behind_an_utterance_is_not_heard() -> None:
    network = Network(TINY).eval()
    features = torch.randn(1, 64, 80) - 6
    padded = torch.cat([features, torch.full((1, 64, 40), -15.9)], 2)
    with torch.no_grad():
        alone = network(features, torch.tensor([80]))
        beside = network(padded, torch.tensor([80]))
    assert torch.allclose(alone[0], beside[0, :20], atol=1e-4)


def test_the_level_of_a_line_cancels() -> None:
    network = Network(TINY).eval()
    features = torch.randn(1, 64, 80) - 4
    with torch.no_grad():
        soft = network(features - 2, torch.tensor([80]))
        loud = network(features, torch.tensor([80]))
    assert torch.allclose(soft, loud, atol=1e-3)


def test_the_loss_teaches_every_weight() -> None:
    network = Network(TINY)
    frames = torch.tensor([80, 60])
    outputs = torch.tensor([output_frames(80), output_frames(60)])
    scores = network.both(torch.randn(2, 64, 80) - 6, frames)
    labels, lengths = torch.tensor([1, 2, 3, 4, 5]), torch.tensor([3, 2])
    loss, own = ctc_loss(scores, outputs, labels, lengths)
    loss.backward()
    assert float(loss.detach()) > own > 0
    assert all(one.grad is not None for one in network.parameters())


def test_greedy_takes_out_repeats_and_blanks() -> None:
    letters = [BLANK, 5, 5, BLANK, 5, 1, 1, 0, 2, 3]
    scores = torch.nn.functional.one_hot(torch.tensor([letters]), len(TOKENS)).float()
    assert greedy(scores, [10]) == ["".join(TOKENS[one] for one in (5, 5, 1, 0, 2, 3))]
    assert greedy(scores, [3]) == [TOKENS[5]]
