"""Every scheme trains from the configuration, and what is taken from the data is right."""

import pytest
import yaml

from snnrun.calibration import input_rate_hz
from snnrun.config.compose import compose
from snnrun.config.schema import OPTIONS
from snnrun.data import load
from snnrun.errors import UserError
from snnrun.run_folder import RunFolder

SHORT = ("training.epochs=1", "dataset.dt=5", "init.scale=1", "init.readout_scale=1")


@pytest.mark.parametrize("name", OPTIONS["init"])
def test_schemes_train(run, name):
    row = RunFolder(run(f"init={name}", *SHORT)).metrics()[0]
    assert row["loss/valid"] > 0


def test_the_measured_rate_is_written_down(run):
    config = yaml.safe_load((run("init=fluctuation", *SHORT) / "config.yaml").read_text())
    assert config["init"]["rate_hz"] == pytest.approx(120 / 30 / 0.1)  # spikes, channels, seconds of the task


def test_the_rate_is_that_of_what_the_network_gets(configure):
    for overrides, expected in ((["dataset.pool=2"], 80.0), (["dataset.binary=true", "dataset.dt=50"], None)):
        config = configure(*overrides)
        rate = input_rate_hz(load(config.dataset, 0).train, config.dataset)
        assert rate == pytest.approx(expected) if expected else rate < 39


def test_calibrated_layers_fire_as_asked_for(run, capsys):
    run("init=calibrated", "init.target_rate_hz=40", "network.hidden=[16,16]", *SHORT)
    said = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("calibrated:")]
    assert [words[1] for words in said] == ["hidden1", "hidden2"]
    assert all(float(words[words.index("Hz") - 1]) == pytest.approx(40, rel=0.02) for words in said)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["init=fluctuation_dale", "network=feedforward"], "init=fluctuation_dale: needs recurrent layers"),
        (["init=fluctuation_dale", "init.inhibitory=0"], "init.inhibitory=0: must be a number above 0 and below 1"),
        (["init=fluctuation_dale", "network.hidden=[2]"], "init.inhibitory: leaves 0 of 2 neurons inhibitory"),
        (["init=calibrated", "init.target_rate_hz=100"], "init.target_rate_hz=100: must be below 100 Hz"),
        (["init=fluctuation", "init.mu_u=1"], "init.mu_u=1: must be a number below 1"),
        (["init=fluctuation", "init.alpha=1"], "init.alpha=1: must be a number above 0 and below 1"),
        (["init.xi=1"], "init.xi=1: no such key with init=normal"),
    ],
    ids=str,
)
def test_what_is_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert message in str(caught.value)
