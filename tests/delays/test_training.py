"""Delays from the command line: they train, are shown and stored; what makes no sense is refused."""

import json

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.cli import main
from snnrun.run_folder import RunFolder

SHORT = ("network.max_delay=30", "training.epochs=1", "training.batch_size=36", "dataset.dt=5")


@pytest.mark.parametrize(
    ("overrides", "shapes"),
    [
        (["network.delays=synaptic"], {"hidden.0.delays": (30, 24)}),
        (["network.delays=axonal", "network.delayed=both", "network.delay_interpolation=gaussian"],
         {"hidden.0.delays": (30, 1), "hidden.0.recurrent_delays": (24, 1)}),
        (["network.delays=synaptic", "network.delayed=recurrent"], {"hidden.0.recurrent_delays": (24, 24)}),
    ],
    ids=str,
)  # fmt: skip
def test_delays_train_and_are_shown(run, overrides, shapes):
    folder = run(*SHORT, *overrides)
    state = RunFolder(folder).load_checkpoint("last")["network"]
    assert {k.removesuffix(".value"): tuple(v.shape) for k, v in state.items() if "delays.value" in k} == shapes
    learned = sum(rows * columns for rows, columns in shapes.values())
    results = json.loads((folder / "results.json").read_text())
    assert results["parameters"] == 30 * 24 + 24 * 24 + 24 * 3 + learned
    tags = EventAccumulator(str(folder), size_guidance={"histograms": 0}).Reload().Tags()["histograms"]
    expected = {f"delay_ms/hidden1{'_recurrent' if 'recurrent' in name else ''}" for name in shapes}
    assert {tag for tag in tags if tag.startswith("delay")} == expected
    for name in shapes:
        assert 0 <= float(state[f"{name}.value"].min()) <= float(state[f"{name}.value"].max()) <= 30


def test_delays_move_at_their_own_rate_and_not_at_all_at_0(run):
    values = {}
    for rate in ("0", "0.5", "2"):
        folder = run(*SHORT, "network.delays=synaptic", f"optimizer.delay_lr={rate}")
        values[rate] = RunFolder(folder).load_checkpoint("last")["network"]["hidden.0.delays.value"]
    moved = [float((values[rate] - values["0"]).abs().max()) for rate in ("0.5", "2")]
    assert 0 < moved[0] <= 1.5  # three steps of Adam
    assert 2 < moved[1] <= 6
    assert float(values["0"].std()) > 5


def test_weights_start_the_same_with_and_without(configure):
    from snnrun.network import build_network
    from snnrun.seeding import stream

    plain, late = (
        build_network(configure("network.max_delay=20", f"network.delays={kind}"), 30, 3, stream(0, "weights"))
        for kind in ("none", "synaptic")
    )
    state = late.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())


MISTAKES = {
    "network.max_delay=9": "network.max_delay=9: must be from dataset.dt=10.0, one bin, to dataset.duration=1000.0",
    "network.max_delay=1001": "network.max_delay=1001: must be from dataset.dt=10.0",
    "network.max_delay=0": "network.max_delay=0: must be a number above 0",
    "network.delay_sigma=[5,10]": "network.delay_sigma=[5,10]: must shrink, the larger number first",
    "network.delayed=recurent": "(did you mean recurrent?)",
    "learning=eprop": "network.delays=synaptic: has no gradient for delays with learning=eprop; learning=bptt does",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line(mistake, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "network.delays=synaptic", mistake]) == 2
    error = capsys.readouterr().err
    assert MISTAKES[mistake] in error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_recurrent_delays_need_recurrent_layers(capsys):
    assert main(["train", "network=feedforward", "network.delays=axonal", "network.delayed=both"]) == 2
    assert "network.delayed=both: needs recurrent layers" in capsys.readouterr().err


def test_delays_off_ask_nothing_of_the_other_keys(configure):
    assert configure("network.max_delay=1000").network.delays == "none"
