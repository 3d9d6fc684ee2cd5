"""The loss around a solution: steps with spikes, none where the spike function is smoothed."""

import csv
import json

import numpy as np
import pytest

from snnrun.cli import main
from snnrun.evaluation.trained import Trained, load_data


@pytest.fixture
def solution(run):
    """The folder of a small trained network."""
    return run("training.epochs=2")


def columns(path):
    with open(path, newline="") as file:
        rows = [[float(field) for field in row] for row in list(csv.reader(file))[1:]]
    return np.array(rows).T


def test_steps_with_spikes_and_none_without(solution, capsys):
    assert main(["landscape", str(solution), "points=41", "plane=3", "samples=4"]) == 0
    (folder,) = (solution / "landscape").iterdir()
    found = json.loads((folder / "landscape.json").read_text())["figures"]
    for name, points in (("line", 41), ("near", 41)):
        distance, spikes, smooth = columns(folder / f"{name}.csv")
        assert len(distance) == points
        assert spikes[20] == pytest.approx(found["loss_spikes"], abs=1e-12)
        assert smooth[20] == pytest.approx(found["loss_smooth"], abs=1e-12)
    # Near by, most neighbours are the same to the last digit and a few jump; smoothed, the loss goes on everywhere.
    assert 0.3 < np.mean(np.diff(spikes) == 0) < 1
    assert np.mean(np.diff(smooth) == 0) == 0
    assert found["near_smooth_roughness"] < 0.5
    assert found["near_spikes_roughness"] > 1
    x, y, spikes, smooth = columns(folder / "plane.csv")
    assert list(zip(x, y, strict=True)) == [(a, b) for b in (-1, 0, 1) for a in (-1, 0, 1)]
    assert spikes[4] == pytest.approx(found["loss_spikes"], abs=1e-12)
    assert (folder / "line.png").exists()
    assert (folder / "plane.png").exists()


def test_directions_are_as_long_as_the_weights_of_each_neuron(solution):
    from snnrun.landscape import Landscape, hidden_weights

    trained = Trained(solution)
    chosen = trained.case(())
    network, _ = trained.network(chosen, load_data(chosen.config), "cpu")
    weights = hidden_weights(network)
    directions = Landscape(network, None, None, None).directions(2, seed=0)
    for direction in directions:
        for drawn, weight in zip(direction, weights, strict=True):
            assert drawn.norm(dim=0).numpy() == pytest.approx(weight.norm(dim=0).numpy())
    assert not np.allclose(directions[0][0], directions[1][0])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "no run folder"),
        (["a", "b"], "takes one run folder"),
        (["a", "point=3"], "no such key (did you mean points?)"),
        (["a", "points=2"], "must be a whole number at least 3"),
        (["a", "span=0"], "must be a number above 0"),
        (["a", "part=trian"], "did you mean train?"),
    ],
)
def test_bad_input_is_one_line(words, told, capsys):
    assert main(["landscape", *words]) == 2
    assert told in capsys.readouterr().err


def test_a_network_without_a_surrogate_is_refused(run, capsys):
    folder = run("training.epochs=1", "surrogate=none")
    assert main(["landscape", str(folder)]) == 2
    assert "has no spikes with a surrogate" in capsys.readouterr().err
