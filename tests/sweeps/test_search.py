"""sweeper=optuna: what it searches through, that only validation decides, pruning, and going on."""

import csv
import json

import pytest

from snnrun.config.overrides import Span, parse
from snnrun.config.plan import plan
from snnrun.config.search import read_space
from snnrun.config.tree import read_tree
from snnrun.errors import UserError
from snnrun.sweeps.job import Job, Outcome
from snnrun.sweeps.search import Search
from tests.sweeps.conftest import results

WORDS = ["surrogate=sigmoid,atan", "beta=tag(log,interval(1,100))", "training.batch_size=int(interval(8,64))"]


def test_the_space():
    space = read_space(parse([*WORDS, "seed=3"], read_tree(), multirun=True, intervals=True))
    assert space.varied == {
        "surrogate": ("sigmoid", "atan"),
        "beta": Span(1.0, 100.0, log=True, integer=False),
        "training.batch_size": Span(8, 64, log=False, integer=True),
    }
    assert space.words(lambda key, values: "7") == ["seed=3", "surrogate=7", "beta=7", "training.batch_size=7"]


def test_a_key_that_only_some_options_have():
    words = ["neuron.tau_syn=interval(3,10)", "neuron=lif,cuba_lif", "sweeper=optuna"]
    planned = plan(words, multirun=True)
    assert planned.space is not None
    assert planned.overrides == (("neuron=lif",), ("neuron=cuba_lif", "neuron.tau_syn=3.0"), ("neuron=lif",))
    assert planned.space.words(lambda key, _: "lif" if key == "neuron" else "5") == ["sweeper=optuna", "neuron=lif"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["beta=interval(1,-5)"], "beta=interval(1,-5): must be an interval, the smaller number first"),
        (["beta=interval(-5,1)"], "beta=-5.0: must be a number above 0"),
        (["beta=tag(log,interval(0,1))"], "a logarithmic interval begins above 0"),
        (["seed=1,2"], "seed: a search must not choose the seed"),
        (["beta=3"], "sweeper=optuna: nothing varies"),
        (["beta=1,2", "dataset=poisson"], "sweeper=optuna: needs validation data"),
        (["beta=1,2", "sweeper.prunr=none"], "did you mean sweeper.pruner?"),
    ],
    ids=str,
)
def test_mistakes(words, message):
    with pytest.raises(UserError) as caught:
        plan(["sweeper=optuna", *words], multirun=True)
    assert message in str(caught.value)


def test_a_search_goes_on(sweep):
    words = ("sweeper=optuna", "sweeper.trials=2", "optimizer.lr=tag(log,interval(0.001,0.1))")
    code, folder = sweep(*words)
    assert code == 0
    first = results(folder)
    code, _ = sweep(f"sweep.resume={folder}", "sweeper=optuna", "sweeper.trials=3")
    found = results(folder)
    assert (code, len(first), len(found)) == (0, 2, 3)
    assert first.items() <= found.items()
    assert len(list(csv.DictReader((folder / "summary.csv").read_text().splitlines()))) == 3


def test_only_validation_counts(tmp_path):
    """The trial with the worse test figure wins, if its validation figure is better."""
    planned = plan(["sweeper=optuna", "sweeper.sampler=random", "beta=interval(1,9)"], multirun=True)
    search = Search(
        planned.sweep.sweeper, planned.space, lambda words: Job({}, tmp_path / "job", tuple(words)), tmp_path
    )
    for job, valid, test in zip(search.jobs(), (0.9, 0.5), (0.1, 1.0), strict=False):
        job.folder.mkdir()
        accuracy = {"valid_best": valid, "test": test}
        (job.folder / "results.json").write_text(json.dumps({"status": "done", "accuracy": accuracy}))
        search.tell(Outcome(job))
    assert [trial.value for trial in search._study.get_trials() if trial.value is not None] == [0.9, 0.5]
    assert search._study.best_trial.number == 0


def test_a_hopeless_job_ends_early(sweep, monkeypatch):
    monkeypatch.setattr("optuna.pruners.MedianPruner.prune", lambda self, study, trial: trial.last_step >= 2)
    words = ("sweeper=optuna", "sweeper.trials=1", "sweeper.warmup=1", "training.epochs=5", "beta=interval(1,9)")
    code, folder = sweep(*words)
    ((name, result),) = results(folder).items()
    assert (code, result["status"], result["epochs"]) == (0, "pruned", 2)
    assert "ended early by the search" in (folder / name / "train.log").read_text()
