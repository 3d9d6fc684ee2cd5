"""From overrides to a checked configuration: values, references, rules, messages."""

import dataclasses

import pytest

from snnrun.config.compose import compose, from_container, to_container
from snnrun.config.plan import plan
from snnrun.config.schema import OPTIONS
from snnrun.config.tree import GROUPS, read_tree
from snnrun.errors import UserError


def test_the_defaults():
    config = compose()
    tree = read_tree()
    others = {"launcher": "local", "sweeper": "grid", "experiment": "null"}  # no part of what a run computes
    of_run = {group: getattr(config, group).name for group in GROUPS if group not in others}
    assert of_run | others == tree.defaults
    assert config.beta == config.surrogate.beta == 5.0


@pytest.mark.parametrize(
    ("overrides", "beta"),
    [
        (["beta=5"], 5.0),
        (["surrogate=superspike"], 100.0),
        (["surrogate=superspike", "beta=3"], 3.0),
        (["beta=3", "surrogate=none"], 3.0),
        (["surrogate.beta=7"], 7.0),
        (["surrogate.beta=7", "beta=7"], 7.0),
        (["beta=null", "surrogate=sigmoid"], 5.0),
    ],
    ids=str,
)
def test_beta_reaches_the_surrogate(overrides, beta):
    config = compose(overrides)
    assert config.beta == config.surrogate.beta == beta
    assert to_container(config)["beta"] == to_container(config)["surrogate"]["beta"] == beta


def test_defaults_that_refer_to_other_keys():
    config = compose(["dataset.dt=4", "neuron.tau_mem=7", "seed=9"])
    assert config.neuron.dt == 4.0
    assert config.network.readout_tau_mem == 7.0
    assert config.dataset.split_seed == 9
    config = compose(["dataset.dt=4", "neuron.dt=1", "dataset.split_seed=0", "seed=9"])
    assert (config.neuron.dt, config.dataset.dt, config.dataset.split_seed) == (1.0, 4.0, 0)


OTHERS = {"dataset=hdf5": ["dataset.train=a.h5", "dataset.test=b.h5"], "dataset=wav_folder": ["dataset.root=a"]}


@pytest.mark.parametrize("choice", [f"{group}={name}" for group, names in OPTIONS.items() for name in names])
def test_every_option_composes_and_survives_being_written(choice):
    config = compose([choice, *OTHERS.get(choice, [])])
    assert from_container(to_container(config)) == config


def test_a_configuration_cannot_be_changed():
    config = compose()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("network.hidden=[100,50]", (100, 50)),
        ("network.recurrent=[true]", (True,)),
        ("network.recurrent=false", False),
        ("optimizer.betas=[0.5,0.9]", (0.5, 0.9)),
        ("training.clip_grad_norm=0", 0.0),
        ("dataset.validation_speakers=[3,7]", (3, 7)),
        ("neuron.tau_mem=1e1", 10.0),
        ("neuron.tau_mem='${dataset.dt}'", 10.0),
        ("name=2024", "2024"),
        ("name='a b'", "a b"),
        ("tags=[a,b]", ("a", "b")),
        ("+seed=3", 3),
        ("++seed=3", 3),
        ("training={epochs:3}", 3),
        ("regularizer.upper=1", 1.0),
    ],
)
def test_values_that_are_taken(override, value):
    key = override.lstrip("+").split("=")[0]
    found = compose([override])
    for part in {"training": "training.epochs"}.get(key, key).split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["neuron.reset=zer"], "neuron.reset=zer: must be one of zero, subtract, none (did you mean zero?)"),
        (["neuron.reset=null"], "neuron.reset=null: must be one of zero, subtract, none"),
        (["neuron.tau_mem=0"], "neuron.tau_mem=0: must be a number above 0"),
        (["neuron.tau_mem=inf"], "neuron.tau_mem=inf: must be a number above 0"),
        (["neuron.tau_mem=true"], "neuron.tau_mem=true: must be a number above 0"),
        (["neuron.tau_mem=ten"], "neuron.tau_mem=ten: must be a number above 0"),
        (["neuron.detach_reset=1"], "neuron.detach_reset=1: must be true or false"),
        (["seed=-1"], "seed=-1: must be a whole number from 0 to 4294967295"),
        (["seed=true"], "seed=true: must be a whole number"),
        (["tags=a"], "tags=a: must be a list, each item a text"),
        (["name=a/b"], "name=a/b: must be a text that can name a folder"),
        (["name=.."], "name=..: must be a text that can name a folder"),
        (["output_dir=''"], "output_dir='': must be a text that is not empty"),
        (["network.hidden=[]"], "network.hidden=[]: must be a list that is not empty, each item a whole number"),
        (["network.hidden=[9,0]"], "network.hidden=[9,0]: must be a list"),
        (["network.hidden=9"], "network.hidden=9: must be a list"),
        (["optimizer.betas=[0.9]"], "optimizer.betas=[0.9]: must be a list of 2"),
        (["optimizer.betas=[0.9,1]"], "optimizer.betas=[0.9,1]: must be a list of 2"),
        (["training=5"], "training=5: must be a section with the keys epochs, batch_size"),
        (["training={epoch:3}"], "training={epoch:3}: training.epoch: no such key (did you mean training.epochs?)"),
        (["neuron=null"], "neuron=null: no such neuron"),
        (["neuron=[lif]"], "neuron=[lif]: no such neuron"),
        (["neuron.name=cuba_lif"], "neuron.name=cuba_lif: an option is chosen with neuron=..."),
        (["neuron@other=lif"], "neuron@other=lif: packages (@) are not supported"),
        (["neuron.dt=${nothing}"], "neuron.dt=${nothing}: Interpolation key 'nothing' not found"),
        (["training.epochs=???"], "training.epochs=???: must be given: a whole number at least 0"),
        (["hydra.mode=MULTIRUN"], "hydra.mode=MULTIRUN: a sweep is asked for with -m"),
        (["hydra=3"], "hydra=3: hydra is a section"),
        (["~nothing"], "~nothing: there is no such key"),
        (["a/b=3"], "a/b=3: no such key"),
        (["=3"], "'=3' is not understood"),
        ([""], "'' is not understood"),
        (["surogate.beta=3"], "surogate.beta=3: no such key (did you mean surrogate?)"),
        (
            ["dataset.train=a.h5"],
            "dataset.train=a.h5: no such key with dataset=spoken_digits (with dataset=hdf5",
        ),
        (["dataset.dt=2000"], "dataset.dt=2000: must be at most dataset.duration=1000.0"),
        (["dataset.validation=fraction", "dataset.validation_speakers=[1]"], "needs dataset.validation=speakers"),
        (["dataset.validation=none", "training.early_stopping=3"], "training.early_stopping=3: needs validation data"),
        (["engine=cpu", "device=cuda"], "engine=cpu: computes on the CPU and cannot go with device=cuda"),
        (
            ["regularizer.lower=1", "regularizer.upper=1", "regularizer.lower_rate_hz=50"],
            "regularizer.lower_rate_hz=50: must be below regularizer.upper_rate_hz=30.0",
        ),
    ],
    ids=str,
)
def test_values_that_are_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_lacks_a_key(tmp_path):
    (tmp_path / "neuron").mkdir()
    (tmp_path / "neuron" / "mine.yaml").write_text("name: lif\ntau_mem: 5.0\n")
    with pytest.raises(UserError, match=r"neuron=mine: neuron\.reset: is required and must be one of zero"):
        compose(["neuron=mine"], tmp_path)


def test_a_file_that_names_no_known_model(tmp_path):
    (tmp_path / "neuron").mkdir()
    (tmp_path / "neuron" / "mine.yaml").write_text("defaults: [lif, _self_]\nname: lief\n")
    with pytest.raises(UserError, match=r"neuron=mine: neuron\.name: must be one of lif, .*\(did you mean lif\?\)"):
        compose(["neuron=mine"], tmp_path)


def test_a_file_that_lacks_a_key_that_others_refer_to(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text("name: shd\n")
    with pytest.raises(UserError, match=r"neuron.dt: Interpolation key 'dataset.dt' not found"):
        compose(["dataset=mine"], tmp_path)


def test_a_file_that_is_no_yaml(tmp_path):
    (tmp_path / "neuron").mkdir()
    (tmp_path / "neuron" / "mine.yaml").write_text("name: [lif\n")
    with pytest.raises(UserError) as caught:
        compose(["neuron=mine"], tmp_path)
    assert "\n" not in str(caught.value)
    assert "mine.yaml" in str(caught.value)


def test_a_sweep_is_planned_in_order():
    planned = plan(["surrogate=sigmoid,superspike", "beta=1,2", "training.epochs=1"], multirun=True)
    found = [(config.surrogate.name, config.beta) for config in planned.configs]
    assert found == [("sigmoid", 1.0), ("sigmoid", 2.0), ("superspike", 1.0), ("superspike", 2.0)]
    assert planned.subfolders[0] == "beta=1,surrogate=sigmoid,training.epochs=1"
    assert str(planned.folder).startswith("outputs/sweeps/unnamed/")


@pytest.mark.parametrize(
    ("override", "values"),
    [("seed=range(1,4)", [1, 2, 3]), ("seed=choice(4,5)", [4, 5]), ("seed=7", [7])],
)
def test_ways_to_write_a_sweep(override, values):
    assert [config.seed for config in plan([override], multirun=True).configs] == values


def test_a_sweep_over_all_options_of_a_group():
    planned = plan(["surrogate=glob(*,exclude=none)"], multirun=True)
    assert {config.surrogate.name for config in planned.configs} == set(read_tree().groups["surrogate"]) - {"none"}


def test_a_key_that_only_some_options_of_a_swept_group_have():
    planned = plan(["neuron=lif,cuba_lif", "neuron.tau_syn=5,10", "seed=1,2"], multirun=True)
    assert planned.overrides == (
        ("neuron=lif", "seed=1"),
        ("neuron=lif", "seed=2"),
        ("neuron=cuba_lif", "neuron.tau_syn=5", "seed=1"),
        ("neuron=cuba_lif", "neuron.tau_syn=5", "seed=2"),
        ("neuron=cuba_lif", "neuron.tau_syn=10", "seed=1"),
        ("neuron=cuba_lif", "neuron.tau_syn=10", "seed=2"),
    )
    assert len(set(planned.subfolders)) == 6
    assert planned.notes == ("neuron.tau_syn is for neuron=cuba_lif",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["neuron=lif,if", "neuron.tau_syn=5"], "neuron.tau_syn=5: no such key with neuron=lif"),
        (["seed=interval(1,4)"], "seed=interval(1,4): an interval needs sweeper=optuna, which searches"),
        (["seed=range(0,1000000)"], "at most 10000"),
        (["seed=range(0,3,0)"], "seed=range(0,3,0): "),
        (["surrogate=glob(x*)"], "surrogate=glob(x*): glob() matches no option"),
        (["output_dir=a,b"], "output_dir=a,b: output_dir cannot vary within a sweep"),
        (["surrogate=sigmoid,sigmod"], "surrogate=sigmod: no such surrogate (did you mean sigmoid?)"),
    ],
    ids=str,
)
def test_sweeps_that_are_refused(overrides, message):
    with pytest.raises(UserError) as caught:
        plan(overrides, multirun=True)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
