"""The pictures show what they are given, with the same axes every time, and nothing of them stays in memory."""

import gc
import io
import weakref

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from snnrun import figures
from snnrun.data.batch import EventBatch
from snnrun.surrogates import Surrogate

ROWS = [{"epoch": e, "loss/train": 3.0 / e, "accuracy/train": 1 - 1 / e, "accuracy/valid": 0.5} for e in range(1, 6)]


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(matplotlib.image.imread(io.BytesIO(figures.png(figure)), format="png"))


def batch(*spikes: tuple[int, int, int], channels: int = 30) -> EventBatch:
    """Two samples of 10 steps with spikes at (sample, step, channel)."""
    counts = torch.zeros(2, 10, channels)
    for place in spikes:
        counts[place] += 1
    return EventBatch.from_dense(counts)


def test_a_raster_shows_the_spikes_of_its_sample_only() -> None:
    events = batch((0, 2, 5), (1, 0, 7), (1, 9, 29), (1, 9, 29))
    (axes,) = figures.sample_raster(events, 1, dt=10.0, title="input", rows="channel").axes
    times, units = axes.lines[0].get_data()
    assert list(times) == [5.0, 95.0, 95.0]
    assert list(units) == [7, 29, 29]
    assert axes.get_title(loc="left") == "input (1.0 Hz per channel)"  # 3 spikes, 30 channels, 0.1 s


def test_rasters_of_a_layer_have_the_same_axes_and_size_whatever_spikes() -> None:
    empty, full = (figures.sample_raster(events, 0, 10.0, "hidden1") for events in (batch(), batch((0, 1, 1))))
    assert empty.axes[0].axis() == full.axes[0].axis() == (0, 100, -0.5, 29.5)
    assert pixels(empty).shape == pixels(full).shape
    assert (pixels(empty) != pixels(full)).any()


@pytest.mark.parametrize(("name", "beta"), [("sigmoid", 5.0), ("superspike", 100.0), ("none", 1.0)])
def test_the_surrogate_is_drawn_around_the_threshold(name: str, beta: float) -> None:
    figure = figures.surrogate_curve(Surrogate(name, beta))
    left, right = figure.axes
    potential, derivative = left.lines[0].get_data()
    assert np.asarray(derivative).max() == pytest.approx(Surrogate(name, beta).peak)
    assert np.asarray(potential)[np.argmax(derivative)] == pytest.approx(0 if name == "none" else 1)
    assert left.get_xlim() == right.get_xlim() == (0, 2)
    assert f"{name}, beta = {beta:g}" == left.get_title(loc="left")
    pixels(figure)


@pytest.mark.parametrize("classes", [2, 20, 60])
def test_a_confusion_matrix_names_its_classes_and_its_accuracy(classes: int) -> None:
    counts = np.eye(classes, dtype=int) * 3
    counts[0, 1] = 3 * classes
    figure = figures.confusion(counts, [f"class {k}" for k in range(classes)], "test")
    assert figure.axes[0].get_title(loc="left") == f"test: 50.0% of {6 * classes} samples right"
    assert figure.axes[0].get_yticklabels()[1].get_text() == "class 1"
    pixels(figure)


def test_an_empty_class_is_drawn() -> None:
    pixels(figures.confusion(np.zeros((3, 3), dtype=int), ["a", "b", "c"]))


def test_learning_curves_show_what_there_is() -> None:
    left, right = figures.learning_curves(ROWS, best_epoch=3).axes
    assert [line.get_label() for line in left.lines] == ["train", "best checkpoint"]
    assert [line.get_label() for line in right.lines] == ["train", "valid", "best checkpoint"]
    assert list(np.asarray(right.lines[1].get_ydata())) == [50.0] * 5


@pytest.mark.parametrize("rows", [[], ROWS[:1], [{"epoch": 1, "loss/train": float("inf")}]], ids=["none", "one", "inf"])
def test_learning_curves_of_short_and_failed_runs_are_drawn(rows: list[dict[str, float]]) -> None:
    pixels(figures.learning_curves(rows))


def test_no_figure_stays_in_memory() -> None:
    figure = figures.surrogate_curve(Surrogate("sigmoid", 5.0))
    figures.png(figure)
    gone = weakref.ref(figure)
    del figure
    gc.collect()
    assert gone() is None
