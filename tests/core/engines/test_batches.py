from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.batches import (
    BUCKETS,
    FIRST_FRAMES,
    BatchLimit,
    bucket,
    masks_padding,
    plan,
    run,
)
from ruasr_tel.engines.features import MEL_BINS, Features
from ruasr_tel.engines.runtime import open_session
from tests.layouts import ctc_onnx_asr, rnnt_onnx_asr
from tests.layouts_networks import MODELS_DIR

LENGTHS = st.lists(st.integers(1, 3000), max_size=40)


@given(frames=st.integers(1, 10_000))
def test_a_length_is_rounded_up_to_one_of_a_few(frames: int) -> None:
    rounded = bucket(frames)
    assert rounded >= frames
    assert rounded in BUCKETS or rounded % 500 == 0
    assert bucket(rounded) == rounded
    assert rounded - frames < max(100, frames)


@given(lengths=LENGTHS, most=st.integers(1, 16), most_frames=st.integers(1, 20_000))
def test_every_segment_runs_once_within_the_limits(
    lengths: list[int], most: int, most_frames: int
) -> None:
    groups = plan(lengths, most, most_frames)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        longest = bucket(max(lengths[index] for index in group))
        assert len(group) <= most
        assert len(group) == 1 or len(group) * longest <= most_frames
        assert len(group) == 1 or all(2 * lengths[index] >= longest for index in group)


def test_segments_of_like_lengths_go_together() -> None:
    assert plan([300, 1500, 290, 1600, 310], most=8, most_frames=10_000) == [[3, 1], [4, 0, 2]]


def test_a_run_holds_what_it_can_do_within_the_goal() -> None:
    limit = BatchLimit(goal_s=0.2)
    assert limit.most_frames == FIRST_FRAMES
    limit.ran(1000, 0.1)
    assert limit.most_frames == 2000
    for _ in range(100):
        limit.ran(1000, 0.01)
    assert limit.most_frames == pytest.approx(20_000, rel=0.01)


# -- networks


def heard(*lengths: int) -> list[Features]:
    random = np.random.default_rng(0)
    return [random.normal(-6, 3, (MEL_BINS, each)).astype(np.float32) for each in lengths]


class FakeSession:
    """Answers with the mean of each row, over all frames or over those that are not padding."""

    def __init__(self, *, masked: bool) -> None:
        self._masked = masked
        self.shapes: list[tuple[int, ...]] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="features"), SimpleNamespace(name="lengths")]

    def run(self, names: None, feed: dict[str, Any]) -> list[Any]:
        self.shapes.append(feed["features"].shape)
        ends = feed["lengths"] if self._masked else [feed["features"].shape[2]] * 2
        pairs = zip(feed["features"], ends, strict=False)
        return [np.array([[row[:, :end].mean()] for row, end in pairs])]


def test_lengths_are_rounded_only_where_it_is_asked_for() -> None:
    session = FakeSession(masked=True)
    run(session, heard(70, 120))
    run(session, heard(70, 120), bucketed=True)
    assert session.shapes == [(2, MEL_BINS, 120), (2, MEL_BINS, 150)]


def test_no_frame_is_an_error() -> None:
    with pytest.raises(ValueError, match="shorter than one frame"):
        run(FakeSession(masked=True), heard(10, 0))


@pytest.mark.parametrize("masked", [True, False])
def test_a_network_that_hears_its_padding_is_found_out(masked: bool) -> None:
    assert masks_padding(FakeSession(masked=masked)) is masked


def test_the_embedded_model_masks_its_padding(tmp_path: Path) -> None:
    ctc_onnx_asr("v3")(tmp_path)
    for path in (tmp_path / "v3_ctc.int8.onnx", MODELS_DIR / "ru-mini-ctc-8k/model.int8.onnx"):
        assert masks_padding(open_session(path))


def test_what_lies_in_the_padding_changes_nothing(tmp_path: Path) -> None:
    """Two rows of one batch, for int8 scales are a batch's; also an encoder that gives letters."""
    ctc_onnx_asr("v3")(tmp_path)
    rnnt_onnx_asr("v3")(tmp_path)
    features = np.zeros((2, MEL_BINS, 150), dtype=np.float32)
    features[:, :, :80] = heard(80)[0]
    features[1, :, 80:] = heard(70)[0]
    for name in ("v3_ctc.int8.onnx", "v3_rnnt_encoder.int8.onnx"):
        session = open_session(tmp_path / name)
        names = [port.name for port in session.get_inputs()]
        (out, *_) = session.run(None, dict(zip(names, (features, np.array([80, 80])), strict=True)))
        ends = tuple(slice(0, 20) if size == 38 else slice(None) for size in out.shape[1:])
        assert 38 in out.shape
        assert np.allclose(out[0][ends], out[1][ends], atol=1e-4)
