"""What `data show` prints and draws, against a set that is easily counted."""

import matplotlib.image
import numpy as np
import pytest

from snnrun.data.dataset import Dataset
from snnrun.data.events import EventSet
from snnrun.data.show import channel_rates, describe, draw
from snnrun.errors import RunError

EVENTS = EventSet.from_offsets(
    unit=[0, 0, 2, 1],
    time=[0, 100_000, 400_000, 600_000],
    offsets=[0, 3, 4, 4],
    labels=[0, 1, 1],
    speakers=[5, 5, 6],
    channels=3,
    classes=["no", "yes"],
)
DATA = Dataset(EVENTS, None, None, np.arange(3), None, log=("validation: none", "train: 1 of 4 spikes dropped"))


def test_rates_are_spikes_within_the_duration_over_its_seconds():
    np.testing.assert_allclose(channel_rates(EVENTS, 500.0), [2 / 1.5, 0, 1 / 1.5])


def test_the_numbers_are_told():
    text = "\n".join(describe(DATA, 500.0))
    assert "3 channels; 2 classes: no, yes" in text
    assert "samples                 3, 1 to 2 a class" in text
    assert "speakers                2, 1 to 2 samples each" in text
    assert "spikes a sample         1 +- 1 (0 to 3)" in text
    assert "last spike of a sample  333 +- 249 ms (up to 600 ms)" in text
    assert "rate of a channel       0.67 Hz (0.00 to 1.33; 1 silent)" in text
    assert text.endswith("validation: none\ntrain: 1 of 4 spikes dropped")


def test_the_picture_has_a_panel_for_each_class(tmp_path):
    draw(DATA, 500.0, tmp_path / "a.png")
    picture = matplotlib.image.imread(tmp_path / "a.png")
    assert picture.shape[1] > 1000
    dark = picture[..., :3].mean(axis=2) < 0.5
    thirds = dark[:, : 3 * dark.shape[1] // 5].reshape(len(dark), 3, -1).sum(axis=(0, 2))
    assert (thirds > 100).all()  # two rasters and the rates
    assert dark[:, 4 * dark.shape[1] // 5 :].sum() == 0


def test_a_picture_that_cannot_be_written(tmp_path):
    with pytest.raises(RunError, match="cannot be written"):
        draw(DATA, 500.0, tmp_path / "nowhere" / "a.png")
