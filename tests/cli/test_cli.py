"""The command itself: help, version, verbs, and what is not imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from snnrun.cli import VERBS, main


def test_version(snnrun):
    import snnrun as package

    assert snnrun("--version").stdout == f"snnrun {package.__version__}\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], []], ids=str)
def test_help_names_the_verbs(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


def test_an_unknown_verb(snnrun):
    done = snnrun("trian")
    assert done.returncode == 2
    assert done.stderr.startswith("error: trian: no such verb (did you mean train?); verbs are train,")


def test_train_help_lists_everything_settable_in_a_line_each(capsys):
    from snnrun.config.tree import read_tree

    main(["train", "--help"])
    shown = capsys.readouterr().out.splitlines()
    tree = read_tree()
    for group, options in tree.groups.items():
        assert f"  {group}" in shown
        for option in options.values():
            assert any(line.split()[:1] in ([option.name], [option.name + "*"]) for line in shown), option.name
    for key in (*tree.keys, *(key for keys in tree.sections.values() for key in keys)):
        assert any(line.startswith(f"  {key.name}={key.default}") for line in shown), key.name
    assert max(map(len, shown)) <= 110


def test_help_for_chosen_options_lists_their_keys(capsys):
    main(["train", "neuron=cuba_lif", "--help"])
    shown = capsys.readouterr().out
    assert "neuron.tau_syn=10.0" in shown
    assert "seed=" not in shown


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["completion", "bash"],
        ["completion", "words", "--", "train", ""],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(words, tmp_path):
    code = (
        "import sys; from snnrun.cli import main; main(sys.argv[1:]); "
        "heavy = {'torch', 'hydra', 'omegaconf', 'numpy', 'numba', 'h5py', 'yaml', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_torch_is_not_imported_for_a_mistake(tmp_path):
    code = "import sys; from snnrun.cli import main; main(['train', 'beat=5']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1)


def test_a_reader_that_goes_away():
    code = f"{sys.executable} -m snnrun train --help | head -1"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True)
    assert done.stderr == ""


def test_data_list(snnrun):
    shown = snnrun("data", "list").stdout
    assert {line.split()[0] for line in shown.splitlines()} >= {"hdf5", "shd", "spoken_digits"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("data mak", "data mak: no such action (did you mean make?)"),
        ("data make", "the data set must be one of spoken_digits"),
        ("data make spoken_digit", "(did you mean spoken_digits?)"),
        ("data make spoken_digits sed=1", "sed=1: no such key (did you mean seed?); allowed are path, samples"),
        ("data make spoken_digits seed=x", "seed=x: must be a whole number"),
        ("data make spoken_digits seed", "seed: key=value is expected"),
        ("data list all", "data list all: nothing is expected after list"),
        ("completion fish", "completion fish: the shell must be one of bash, zsh"),
        ("bench bench.stps=[3]", "bench.stps=[3]: no such key (did you mean bench.steps?)"),
        ("bench bench.engines=[cuda]", "bench.engines=[cuda]: must be a list"),
        ("bench -m", "-m: no such flag"),
    ],
)
def test_mistakes_with_other_verbs(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert len(shown.splitlines()) == 1
    assert list(Path(tmp_path).iterdir()) == []


def test_data_make_calls_the_maker(monkeypatch, capsys):
    import types

    called = {}
    module = types.SimpleNamespace(
        make_spoken_digits=lambda **keys: called.update(keys) or [Path("a.h5"), Path("b.h5")]
    )
    monkeypatch.setitem(sys.modules, "snnrun.data.spoken_digits", module)
    assert main(["data", "make", "spoken_digits", "samples=40", "path=there", "jobs=2"]) == 0
    assert called == {"samples": 40, "path": "there", "jobs": 2}
    assert capsys.readouterr().out == "a.h5\nb.h5\n"


def test_bench_gets_a_checked_config(monkeypatch):
    import types

    from snnrun.config.schema import BenchConfig

    seen = []
    monkeypatch.setitem(sys.modules, "snnrun.bench", types.SimpleNamespace(run=seen.append))
    assert main(["bench", "neuron=cuba_lif", "bench.steps=[5]", "bench.format=json"]) == 0
    config = seen[0]
    assert isinstance(config, BenchConfig)
    assert (config.bench.steps, config.bench.format, config.neuron.name) == ((5,), "json", "cuba_lif")
