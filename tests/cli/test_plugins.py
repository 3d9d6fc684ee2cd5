"""Users' own modules, through the installed command: the README's example, sweeps, help, and what goes wrong."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from snnrun.cli import main
from snnrun.commands.completion import candidates
from snnrun.config.compose import from_container
from snnrun.run_folder import RunFolder

README = Path(__file__).parents[2] / "README.md"
SHORT = ("dataset=poisson", "dataset.samples=40", "dataset.dt=10", "network.hidden=[8]", "training.epochs=1")
MORE = '''
import numpy as np
import torch

from snnrun.config.types import Count
from snnrun.data import SOURCES
from snnrun.data.dataset import Parts
from snnrun.data.events import EventSet
from snnrun.init import SCHEMES
from my_neuron import cauchy


@SCHEMES.register("constant")
def constant(layer, generator, *, value: float = 0.5):
    """Every weight is the same"""
    return torch.full((layer.inputs, layer.neurons), value), None


@SOURCES.register("clicks")
def clicks(options, seed, *, samples: Count = 20, duration: float = 50.0):
    """One click a sample, early or late"""
    late = np.arange(samples) % 2
    time, unit = 1000 + 30_000 * late, np.zeros(samples)
    return Parts(EventSet.from_offsets(
        unit=unit, time=time, offsets=np.arange(samples + 1), labels=late, channels=1, classes=("early", "late")
    ))
'''


def example() -> str:
    """The plug-in that the README shows."""
    found = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    return found.group(1)


def snnrun(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "snnrun"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two plug-ins in it."""
    (tmp_path / "my_neuron.py").write_text(example())
    (tmp_path / "more.py").write_text(MORE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_the_readme_trains(here):
    words = ("plugins=[my_neuron.py]", "neuron=qif", "surrogate=cauchy", "neuron.critical=0.9", *SHORT)
    done = snnrun(here, "train", *words)
    assert done.returncode == 0, done.stderr
    assert "engine: reference (not cpu: neuron qif has no fused equations)" in done.stdout + done.stderr
    folder = RunFolder.open(here / done.stdout.splitlines()[-1])
    assert folder.results()["status"] == "done"
    config = folder.config()
    assert config["plugins"] == [str(here / "my_neuron.py")]
    assert (config["neuron"]["critical"], config["neuron"]["tau_mem"], config["beta"]) == (0.9, 20.0, 3.0)
    assert (folder.path / "plugins" / "my_neuron.py").read_text() == example()
    (here / "my_neuron.py").unlink()
    assert snnrun(here, "train", f"resume={folder.path}", "training.epochs=2").returncode == 0
    assert folder.results()["epochs"] == 2  # by the copy of the plug-in


def test_a_run_folder_is_enough_to_build_its_configuration_elsewhere(here, tmp_path_factory):
    shown = snnrun(here, "train", "plugins=[my_neuron.py]", "neuron=qif", "--cfg", "job", "--resolve").stdout
    code = "import sys, yaml; from snnrun.config.compose import from_container; "
    code += "print(from_container(yaml.safe_load(sys.stdin)).neuron.critical)"
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run([sys.executable, "-c", code], cwd=elsewhere, input=shown, capture_output=True, text=True)
    assert done.stdout == "0.8\n", done.stderr


def test_a_sweep_over_options_of_plugins(here):
    words = ("plugins=[more.py,my_neuron.py]", "init=constant,normal", "dataset=clicks", *SHORT[2:])
    done = snnrun(here, "train", "-m", *words, "neuron=qif,lif")
    assert done.returncode == 0, done.stderr
    results = [json.loads(path.read_text()) for path in Path(done.stdout.splitlines()[-1]).glob("*/results.json")]
    assert [found["status"] for found in results] == ["done"] * 4
    assert {found["engine"] for found in results} == {"reference", "cpu"}


def test_a_preset_can_name_plugins(here):
    (here / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\n# Mine\ndefaults:\n  - override /neuron: qif\nplugins: [my_neuron.py]\n"
    (here / "mine" / "experiment" / "quadratic.yaml").write_text(text)
    words = ("experiment=quadratic", "--config-dir", "mine", "neuron.critical=0.7")
    done = snnrun(here, "train", *words, "--cfg", "job", "--resolve")
    assert "name: qif" in done.stdout, done.stderr
    assert "critical: 0.7" in done.stdout
    assert candidates(["train", *words[:3], "neuron=q"]) == ["neuron=qif"]


def test_help_and_completion_know_the_options_without_importing(here, capsys):
    assert main(["train", "plugins=[my_neuron.py,more.py]", "--help"]) == 0
    assert "Quadratic integrate-and-fire" in capsys.readouterr().out
    assert main(["train", "plugins=[my_neuron.py]", "neuron=qif", "--help"]) == 0
    assert re.search(r"neuron.critical=0.8 +potential above which", capsys.readouterr().out)
    assert candidates(["train", "plugins=[my_neuron.py]", "surrogate=ca"]) == ["surrogate=cauchy"]
    assert candidates(["train", "plugins=[my_neuron.py]", "neuron=qif", "neuron.cr"]) == ["neuron.critical="]
    assert candidates(["train", "plugins=[nowhere.py]", "surrogate=ca"]) == []
    assert "my_neuron" not in sys.modules


MISTAKES = {
    "import nothing_there": "line 1: ModuleNotFoundError: No module named 'nothing_there'",
    "\ndef f(:": "line 2: SyntaxError: invalid syntax",
    "import torch\n1 / 0": "line 2: ZeroDivisionError: division by zero",
    "from snnrun.init import SCHEMES\nSCHEMES.register('normal')(print)": "line 2: init 'normal' is registered already",
    "from snnrun.init import SCHEMES\nSCHEMES.register('my-own')(print)": "init 'my-own': a name must be of letters",
    "from snnrun.init import SCHEMES\n@SCHEMES.register('mine')\ndef mine(layer, generator, *, x: object): ...": (
        "init mine: x has the type <class 'object'>; allowed are float, int"
    ),
    "from snnrun.neurons import *\n@NEURONS.register('mine')\nclass Mine(Neuron):\n    def __init__(self, dt): ...": (
        "neuron mine: __init__ must take neurons, dt, reset, detach_reset, generator; neurons is not there"
    ),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_plugin_is_one_line(here, capsys, text):
    (here / "bad.py").write_text(text)
    assert main(["train", "plugins=[bad.py]", "neuron=mine"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: plugins=[bad.py]: " + MISTAKES[text])
    assert told.count("\n") == 1
    assert not (here / "outputs").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plugins=[nowhere.py]"], "plugins=[nowhere.py]: there is no such file"),
        (["plugins=my_neuron.py"], "plugins=my_neuron.py: must be a list of files, as in plugins=[my_neuron.py]"),
        (["plugins=[my_neuron.py]", "neuron=qfi"], "neuron=qfi: no such neuron (did you mean qif?)"),
        (["plugins=[my_neuron.py]", "neuron=qif", "neuron.tau_mem=0"], "neuron.tau_mem=0: must be a number above 0"),
        (["plugins=[my_neuron.py]", "neuron=qif", "neuron.critcal=1"], "(did you mean neuron.critical?)"),
    ],
    ids=str,
)
def test_a_mistake_on_the_line_is_one_line(here, words, message):
    done = snnrun(here, "train", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr


def test_a_failed_plugin_leaves_nothing_behind(here, capsys):
    (here / "bad.py").write_text("from snnrun.init import SCHEMES\nSCHEMES.register('half')(print)\n1 / 0\n")
    for _ in range(2):
        assert main(["train", "plugins=[bad.py]"]) == 2
        assert "line 3: ZeroDivisionError" in capsys.readouterr().err


def test_a_plugin_that_has_gone(here):
    with pytest.raises(Exception, match="there is no such file"):
        from_container({"plugins": [str(here / "gone.py")]})
