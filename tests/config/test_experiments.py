"""Presets: what they set, what wins over them, those of the user, and those that are sweeps."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from snnrun.config.check import show
from snnrun.config.compose import compose
from snnrun.config.files import conf_folder
from snnrun.config.overrides import parse
from snnrun.config.plan import plan
from snnrun.config.tree import EXPERIMENT, read_tree
from snnrun.config.unroll import unroll
from snnrun.errors import UserError

PRESETS = read_tree().groups[EXPERIMENT]


@pytest.fixture
def presets(tmp_path: Path):
    """Writes DIR/experiment/<name>.yaml, with Hydra's line about packages; returns DIR."""

    def write(text: str, name: str = "mine", package: bool = True) -> Path:
        (tmp_path / "experiment").mkdir(exist_ok=True)
        (tmp_path / "experiment" / f"{name}.yaml").write_text(("# @package _global_\n" if package else "") + text)
        return tmp_path

    return write


@pytest.mark.parametrize("name", PRESETS)
def test_what_help_says_of_a_preset_is_what_it_sets(name):
    option = PRESETS[name]
    assert 10 < len(option.description) <= 90
    swept = OmegaConf.select(OmegaConf.load(conf_folder() / EXPERIMENT / f"{name}.yaml"), "hydra.sweeper.params") or {}
    shown = {key.name: key.default for key in option.keys}
    assert len(shown) > 1
    assert {key: shown[key] for key in swept} == {key: show(values) for key, values in swept.items()}
    alternatives = parse([f"{key}={show(values)}" for key, values in swept.items()], read_tree(), multirun=True)
    jobs = unroll(alternatives)
    fixed = [f"{key}={value}" for key, value in shown.items() if key not in swept]
    for end in (0, -1):  # all combinations would take minutes
        chosen = [setting.line for setting in jobs[end]]
        assert compose([*fixed, *chosen]) == compose([f"experiment={name}", *chosen])


def test_the_lecture_is_what_it_says():
    config = compose(["experiment=lecture"])
    assert (config.neuron.name, config.surrogate.name, config.beta) == ("lif", "sigmoid", 5.0)
    assert (config.network.hidden, config.network.recurrent) == ((200,), True)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("training.epochs=7", "training.epochs", 7),
        ("beta=3", "surrogate.beta", 3.0),
        ("dataset=poisson", "dataset.name", "poisson"),
        ("name=null", "name", None),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_typed_wins(presets, override, key, value, first):
    folder = presets("defaults:\n  - override /dataset: randman\nname: mine\nbeta: 9\ntraining:\n  epochs: 2\n")
    words = ["experiment=mine", override]
    found = compose(words if first else words[::-1], folder)
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_a_preset_can_build_on_another_and_change_the_model(presets):
    folder = presets("defaults:\n  - lecture\n  - override /neuron: cuba_lif\n")
    config = compose(["experiment=mine", "neuron.tau_syn=4"], folder)
    assert (config.name, config.neuron.name, config.neuron.tau_syn) == ("lecture", "cuba_lif", 4.0)


BAD = {
    "bet: 3": "experiment=mine: bet=3: no such key (did you mean beta?)",
    "training:\n  epochs: -1": "experiment=mine: training.epochs=-1: must be a whole number at least 0",
    "defaults:\n  - override /surogate: atan": "experiment=mine: In 'experiment/mine': Could not override 'surogate'",
    "defaults:\n  - override /surrogate: atn": "experiment=mine: In 'config': Could not find 'surrogate/atn'",
    "a: [": "mine.yaml",
    "hydra:\n  sweeper:\n    params:\n      bet: 1,2": "experiment=mine: bet=1: no such key (did you mean beta?)",
    "hydra:\n  sweeper:\n    params:\n      surrogate: atn,atan": "experiment=mine: surrogate=atn: no such surrogate",
}


@pytest.mark.parametrize("text", BAD)
def test_a_mistake_in_a_preset_names_the_preset(presets, text):
    folder = presets(text + "\n")
    with pytest.raises(UserError) as caught:
        plan(["experiment=mine"], multirun=True, config_dir=folder)
    assert BAD[text] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_without_the_line_about_packages_is_told(presets):
    with pytest.raises(UserError, match="experiment=mine: the file must begin with the line `# @package _global_`"):
        compose(["experiment=mine"], presets("beta: 3\n", package=False))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("experiment=debg", "no such experiment (did you mean debug?); allowed are baselines, best"),
        ("~experiment", "~experiment: a configuration has none unless it is given one: baselines"),
    ],
)
def test_words_that_are_refused(word, message):
    with pytest.raises(UserError) as caught:
        compose([word])
    assert message in str(caught.value)


RECIPE = "hydra:\n  sweeper:\n    params:\n      surrogate: sigmoid,atan\n      training.epochs: range(1,4)\n"


def test_a_recipe_is_a_sweep_and_what_is_typed_replaces_a_list(presets):
    folder = presets(RECIPE)
    planned = plan(["experiment=mine", "seed=1,2"], multirun=True, config_dir=folder)
    found = [(config.surrogate.name, config.training.epochs, config.seed) for config in planned.configs]
    assert found == [(name, epochs, seed) for name in ("sigmoid", "atan") for epochs in (1, 2, 3) for seed in (1, 2)]
    planned = plan(["experiment=mine", "training.epochs=5"], multirun=True, config_dir=folder)
    assert [config.training.epochs for config in planned.configs] == [5, 5]


def test_a_recipe_needs_multirun_unless_all_of_it_is_typed(presets):
    folder = presets(RECIPE)
    needs = plan(["experiment=mine", "surrogate=atan"], multirun=False, config_dir=folder).needs_multirun
    assert needs == "experiment=mine: this is a sweep over training.epochs, which needs -m"
    typed = ["experiment=mine", "surrogate=atan", "training.epochs=1"]
    assert plan(typed, multirun=False, config_dir=folder).needs_multirun == ""
    folder = presets("hydra:\n  mode: MULTIRUN\n", name="mode")
    assert "which needs -m" in plan(["experiment=mode"], multirun=False, config_dir=folder).needs_multirun
