import math

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training.batches import BLANK, TOKENS, output_frames  # noqa: E402
from models.training.network import (  # noqa: E402
    Network,
    Size,
    ctc_loss,
    disagreement,
    greedy,
    positions,
)

TINY = Size(d=16, heads=2, fine=1, middle=1, last=1)


def test_the_published_size_has_its_parameters_and_names() -> None:
    network = Network(Size())
    assert round(sum(one.numel() for one in network.parameters()) / 1e6, 2) == 20.33
    names = set(network.state_dict())
    assert {"c1.weight", "fine.1.qkv.weight", "fold.bias", "last.1.down.bias"} <= names


@pytest.mark.parametrize("frames", [8, 37, 100, 101, 102, 103])
def test_a_quarter_of_the_frames_come_out(frames: int) -> None:
    network = Network(TINY).eval()
    with torch.no_grad():
        end, middle = network.both(torch.randn(1, 64, frames) - 6, torch.tensor([frames]))
    assert end.shape == middle.shape == (1, output_frames(frames), len(TOKENS))
    assert torch.allclose(end.exp().sum(-1), torch.ones(end.shape[:2]), atol=1e-4)


@pytest.mark.parametrize("frames", [77, 78, 79, 80])
def test_what_lies_behind_an_utterance_is_not_heard(frames: int) -> None:
    network = Network(TINY).eval()
    features = torch.randn(1, 64, frames) - 6
    padded = torch.cat([features, torch.full((1, 64, 41), -15.9)], 2)
    with torch.no_grad():
        alone = network(features, torch.tensor([frames]))
        beside = network(padded, torch.tensor([frames]))
    assert torch.allclose(alone[0], beside[0, : output_frames(frames)], atol=1e-4)


def test_the_level_and_the_tilt_of_a_line_cancel() -> None:
    network = Network(TINY).eval()
    features = torch.randn(1, 64, 80) - 4
    tilt = torch.linspace(-2, 1, 64)[None, :, None]
    with torch.no_grad():
        soft = network(features - 2, torch.tensor([80]))
        tilted = network(features + tilt - tilt[:, :46].mean(), torch.tensor([80]))
        loud = network(features, torch.tensor([80]))
    assert torch.allclose(soft, loud, atol=1e-3)
    assert torch.allclose(tilted, loud, atol=1e-3)


def test_places_are_sines_and_cosines() -> None:
    found = positions(torch.zeros(1, 5, 8))
    assert found.shape == (5, 8)
    assert found[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert float(found[3, 0]) == pytest.approx(math.sin(3))
    assert float(found[3, 7]) == pytest.approx(math.cos(3 / 10_000), abs=1e-6)


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


def test_two_views_of_one_utterance_disagree_by_what_is_heard() -> None:
    views = torch.log_softmax(torch.randn(4, 6, 5), -1).requires_grad_()
    frames = torch.tensor([6, 4, 6, 4])
    same = torch.cat([views[:2], views[:2]])
    assert float(disagreement(same, frames).detach()) == pytest.approx(0, abs=1e-6)
    apart = disagreement(views, frames)
    fixed = views.detach()
    expected = sum(
        float((b.exp() * (b - a)).sum())
        for one, other in ((0, 2), (2, 0), (1, 3), (3, 1))
        for a, b in zip(fixed[one, : frames[one]], fixed[other, : frames[other]], strict=True)
    )
    assert float(apart.detach()) == pytest.approx(expected, rel=1e-4)
    apart.backward()
    assert views.grad is not None
    assert float(views.grad[:, 4:][[1, 3]].abs().sum()) == 0
    assert float(views.grad[0].abs().sum()) > 0


def test_greedy_takes_out_repeats_and_blanks() -> None:
    letters = [BLANK, 5, 5, BLANK, 5, 1, 1, 0, 2, 3]
    scores = torch.nn.functional.one_hot(torch.tensor([letters]), len(TOKENS)).float()
    assert greedy(scores, [10]) == ["".join(TOKENS[one] for one in (5, 5, 1, 0, 2, 3))]
    assert greedy(scores, [3]) == [TOKENS[5]]
