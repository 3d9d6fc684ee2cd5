"""`snnrun train` from outside: folders, exit codes, messages, sweeps."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from snnrun.cli import main


def contents(folder: Path) -> set[str]:
    """All files in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_run_ends_with_its_folder(snnrun, tmp_path):
    done = snnrun("train", "beta=3", "surrogate=superspike")
    assert done.returncode == 0, done.stderr
    assert "training superspike beta=3.0" in done.stdout
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert folder.parent == tmp_path / "outputs" / "train"
    assert contents(folder) == {"train.log", "config.yaml", "overrides.yaml", "results.json"}  # nothing of Hydra's own
    assert "a line for the log" in (folder / "train.log").read_text()
    assert done.stderr == ""


@pytest.mark.parametrize(
    "words", [[], ["name=my run", "seed=3"], ["--config-dir", "more", "beta=2"], ["-m", "beta=2,3"]]
)
def test_training_sees_the_command_as_it_was_typed(snnrun, tmp_path, words):
    (tmp_path / "more").mkdir()
    assert snnrun("train", *words).returncode == 0
    for log in tmp_path.glob("outputs/**/train.log"):
        (program, *called) = ast.literal_eval(log.read_text().partition("called as ")[2].splitlines()[0])
        assert (Path(program).name, called) == ("snnrun", ["train", *words])
    assert list(tmp_path.glob("outputs/**/train.log"))


def test_two_runs_have_two_folders(snnrun):
    assert snnrun("train").stdout.splitlines()[-1] != snnrun("train").stdout.splitlines()[-1]


def test_a_name_goes_into_the_folder(snnrun):
    assert snnrun("train", "name=my run").stdout.splitlines()[-1].endswith("_my run")


def test_output_dir_moves_the_folder(snnrun, tmp_path):
    done = snnrun("train", "output_dir=some/where")
    assert done.stdout.splitlines()[-1].startswith("some/where/train/")
    assert not (tmp_path / "outputs").exists()


def test_an_existing_folder_is_refused_and_left_alone(snnrun, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")
    done = snnrun("train", "hydra.run.dir=mine")
    assert (done.returncode, done.stderr) == (2, "error: mine exists already; nothing was changed\n")
    assert contents(tmp_path) == {"mine/file"}


def test_a_file_in_the_way_of_the_output_folder(snnrun, tmp_path):
    (tmp_path / "taken").write_text("")
    done = snnrun("train", "output_dir=taken")
    assert done.returncode == 2
    assert done.stderr.startswith("error: taken/train/")
    assert done.stderr.endswith("choose another with output_dir=\n")


MISTAKES = {
    "surogate=sigmoid": ["surogate=sigmoid: no such key (did you mean surrogate?)"],
    "surrogate=sigmod": ["surrogate=sigmod: no such surrogate (did you mean sigmoid?)", "superspike"],
    "beat=5": ["beat=5: no such key (did you mean beta?)"],
    "+beat=5": ["+beat=5: no such key (did you mean beta?)"],
    "++training.epoch=5": ["++training.epoch=5: no such key (did you mean training.epochs?)"],
    "epochs=5": ["(did you mean training.epochs?)"],
    "neuron.tau_syn=5": ["neuron.tau_syn=5: no such key with neuron=lif (with neuron=cuba_lif"],
    "hydra.job.nam=x": ["hydra.job.nam=x: there is no such key"],
    "+hydra.nothing=1": ["+hydra.nothing=1: there is no such key"],
    "beta=1,5": ["beta=1,5: several values are a sweep, which needs -m"],
    "beta=nan": ["beta=nan: must be a number above 0"],
    "beta=": ["beta=: must be a number above 0"],
    "training.epochs=1.5": ["training.epochs=1.5: must be a whole number at least 0"],
    "~training.epochs": ["~training.epochs: is required and must be a whole number at least 0"],
    "~surrogate": ["~surrogate: a configuration needs one surrogate: ", "sigmoid"],
    "dataset=hdf5": ["dataset=hdf5: dataset.train: must be given"],
    "beta=5 surrogate.beta=3": ["beta=5: differs from surrogate.beta=3.0"],
    "network.hidden=[9,9] network.recurrent=[true]": ["network.recurrent=[true]: has 1 items", "has 2 layers"],
    "device=cuda:0,1": ["device=cuda:0,1: one run computes on a single device; allowed are auto, cpu and cuda"],
    "nonsense": ["'nonsense' is not understood: key=value is expected"],
    "name=a(b": ["'name=a(b' is not understood"],
    "--mutlirun": ["--mutlirun: no such flag (did you mean --multirun?)"],
    "--config-dir nowhere": ["--config-dir nowhere: there is no such folder"],
    "-m beta=1,-5": ["beta=-5: must be a number above 0"],
    "-m seed=1,1": ["two jobs of the sweep would be the same: seed=1"],
    "-m name=a,b": ["name=a,b: name cannot vary within a sweep"],
    "-m hydra/launcher=joblib": ["hydra/launcher=joblib: a launcher is chosen with launcher=..., one of joblib, local"],
    "-m launcher=slrum": ["launcher=slrum: no such launcher (did you mean slurm?)"],
    "-m --cfg job": ["--multirun cannot go with --cfg"],
    "resume=nowhere": ["nowhere is no run folder: there is no such folder"],
    "resume=.": ["is no run folder: it has no config.yaml"],
    "resume=": ["resume=: must be the folder of one run"],
    "resume=a resume=b": ["resume=a,b: must be the folder of one run"],
    "-m resume=a": ["--multirun cannot go with resume="],
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *words.split()]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1, told.err
    assert told.err.startswith("error: ")
    for part in MISTAKES[words]:
        assert part in told.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", ["surogate=sigmoid", "+beat=5", "beta=1,5", "-m beta=1,-5"])
def test_a_mistake_with_the_installed_command(snnrun, tmp_path, words):
    done = snnrun("train", *words.split())
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert list(tmp_path.iterdir()) == []


def test_cuda_where_there_is_none(snnrun, tmp_path):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    done = snnrun("train", "device=cuda")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("error: device=cuda: there is no CUDA device here")
    assert not (tmp_path / "outputs").exists()


def test_bad_data_leaves_no_folder(snnrun, tmp_path):
    done = snnrun("train", "seed=14")
    assert (done.returncode, done.stderr) == (2, "error: digits.h5: no such file\n")
    assert contents(tmp_path) == set()


def test_a_fault_leaves_its_traceback_in_the_log(snnrun, tmp_path):
    done = snnrun("train", "seed=13")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ValueError: thirteen (traceback in ")
    assert len(done.stderr.splitlines()) == 1
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert "Traceback" in (folder / "train.log").read_text()


def test_an_interrupted_run(snnrun):
    done = snnrun("train", "seed=15")
    assert done.returncode == 130
    resumed, told = done.stderr.splitlines()
    assert resumed.startswith("go on with: snnrun train resume=outputs/train/")
    assert told == "interrupted"


def test_flags_may_stand_anywhere(snnrun, tmp_path):
    done = snnrun("train", "seed=2", "-m", "beta=1,2", "name=slopes")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / done.stdout.splitlines()[-1]
    assert folder.parent == tmp_path / "outputs" / "sweeps" / "slopes"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"beta=1,seed=2", "beta=2,seed=2"}


def test_in_a_sweep_a_failure_does_not_stop_the_others(snnrun, tmp_path):
    done = snnrun("train", "-m", "seed=13,14,1")
    assert done.returncode == 1
    folder = tmp_path / done.stdout.splitlines()[-1]
    status = {path.parent.name: json.loads(path.read_text())["status"] for path in folder.glob("*/results.json")}
    assert status == {"seed=13": "failed", "seed=14": "failed", "seed=1": "done"}
    first, *listed = done.stderr.splitlines()
    assert first == "error: 2 of 3 jobs failed"
    assert listed[0].startswith("  seed=13: ValueError: thirteen (traceback in ")
    assert listed[1] == "  seed=14: digits.h5: no such file"
    assert "Traceback" in (folder / "seed=13" / "train.log").read_text()


def test_a_sweep_over_surrogates_and_slopes(snnrun):
    done = snnrun("train", "-m", "surrogate=sigmoid,superspike", "beta=1,2", "+training.epochs=1")
    assert done.returncode == 0, done.stderr
    for surrogate in ("sigmoid", "superspike"):
        for beta in ("1.0", "2.0"):
            assert f"training {surrogate} beta={beta} " in done.stdout


def test_a_sweep_over_options_with_a_key_that_the_default_lacks(snnrun):
    done = snnrun("train", "-m", "neuron=cuba_lif", "neuron.tau_syn=5", "seed=1,2")
    assert done.returncode == 0, done.stderr


def test_the_config_is_shown(snnrun, tmp_path):
    done = snnrun("train", "surrogate=superspike", "--cfg", "job", "--resolve", "neuron.tau_mem=7")
    shown = OmegaConf.create(done.stdout)
    assert (shown.beta, shown.surrogate.beta, shown.neuron.tau_mem) == (100.0, 100.0, 7.0)
    assert (shown.neuron.dt, shown.network.readout_tau_mem) == (shown.dataset.dt, 7.0)
    assert "${dataset.dt}" in snnrun("train", "--cfg=job").stdout
    assert "surrogate/sigmoid" in snnrun("train", "--info", "defaults").stdout
    assert contents(tmp_path) == set()


def test_options_from_a_folder_of_the_user(snnrun, tmp_path):
    folder = tmp_path / "my conf" / "neuron"
    folder.mkdir(parents=True)
    (folder / "slow.yaml").write_text("# A slow neuron\ndefaults:\n  - lif\n  - _self_\ntau_mem: 99.0\n")
    shown = snnrun("train", "--cfg", "job", "--resolve", "neuron=slow", "--config-dir", "my conf")
    assert OmegaConf.create(shown.stdout).neuron.tau_mem == 99.0
    assert "slow" in snnrun("train", "--config-dir=my conf", "--help").stdout
    done = snnrun("train", "neuron=slow", "--config-dir", "my conf")
    assert done.returncode == 0, done.stderr


def test_a_preset_of_the_user_and_its_sweep(snnrun, tmp_path):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    recipe = "hydra:\n  sweeper:\n    params:\n      neuron: lif,cuba_lif\n      beta: 1,2\n"
    (folder / "mine.yaml").write_text(f"# @package _global_\n# Mine\n\nname: mine\n{recipe}")
    done = snnrun("train", "experiment=mine", "--config-dir=conf")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: experiment=mine: this is a sweep over neuron, beta, which needs -m\n"
    done = snnrun("train", "-m", "experiment=mine", "beta=3", "--config-dir=conf")
    assert done.returncode == 0, done.stderr
    made = tmp_path / done.stdout.splitlines()[-1]
    assert made.parent == tmp_path / "outputs" / "sweeps" / "mine"
    jobs = {f"beta=3,experiment=mine,neuron={name}" for name in ("lif", "cuba_lif")}
    assert {path.name for path in made.iterdir() if path.is_dir()} == jobs
    assert "beta=1,2" in snnrun("train", "experiment=mine", "--config-dir=conf", "--help").stdout


def test_a_sweep_over_presets_with_a_key_that_the_default_lacks(snnrun, tmp_path):
    folder = tmp_path / "conf" / "experiment"
    folder.mkdir(parents=True)
    for name, neuron in (("a", "cuba_lif"), ("b", "alif")):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\ndefaults:\n  - override /neuron: {neuron}\n")
    done = snnrun("train", "-m", "experiment=a,b", "seed=1,2", "beta=3", "--config-dir=conf")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("training sigmoid beta=3.0") == 4


@pytest.mark.parametrize("where", ["elsewhere", "checkout"])
def test_python_m(where, tmp_path):
    """In the folder of the sources Python takes snnrun/ from there, whatever is installed."""
    folder = tmp_path if where == "elsewhere" else Path(__file__).parents[2]
    command = [sys.executable, "-m", "snnrun", "train", "--cfg", "job", "--resolve"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert "name: spoken_digits" in done.stdout, done.stderr


def test_python_m_has_the_same_version(snnrun, tmp_path):
    done = subprocess.run([sys.executable, "-m", "snnrun", "--version"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == snnrun("--version").stdout
