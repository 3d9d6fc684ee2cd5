"""Every learning rule trains from the configuration, says what it ran on, and is compared with backpropagation."""

import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from snnrun.config.schema import OPTIONS
from snnrun.run_folder import RunFolder

RULES = [name for name in OPTIONS["learning"] if name != "bptt"]
LONGER = ("training.epochs=8", "training.batch_size=12", "optimizer.lr=0.02")


@pytest.mark.parametrize("name", RULES)
def test_rules_learn_and_are_compared(run, name):
    folder = RunFolder(run(f"learning={name}", "learning.compare_to_bptt=true", "engine=auto", *LONGER))
    rows, results = folder.metrics(), folder.results()
    assert rows[-1]["loss/train"] < rows[0]["loss/train"]
    assert results["accuracy"]["train"] > 0.7  # a third by chance
    assert (results["engine"], results["evaluation_engine"]) == ("reference", "cpu")
    board = EventAccumulator(str(folder.path)).Reload()
    for layer in ("hidden1", "readout"):
        cosine = results["cosine"][layer]
        assert 0 < cosine <= 1 + 1e-6
        assert math.isclose(board.Scalars(f"cosine/{layer}")[-1].value, cosine, rel_tol=1e-5)
        assert rows[-1][f"cosine/{layer}"] == cosine
    assert results["cosine"]["readout"] > 0.99 or name == "truncated_bptt"  # its gradient is exact, but for the blocks


def test_eprop_is_bptt_in_training_too(run):
    keys = ("neuron.detach_recurrent=true", "learning.compare_to_bptt=true", "training.epochs=1")
    cosines = RunFolder(run("learning=eprop", *keys)).results()["cosine"]
    assert all(math.isclose(cosine, 1, abs_tol=1e-5) for cosine in cosines.values())


def test_weights_of_a_rule_are_in_the_checkpoint(run):
    keys = ("learning.feedback=adaptive", "training.epochs=1")
    state = RunFolder(run("learning=eprop", *keys)).load_checkpoint("last")
    assert state["rule"]["feedback1"].shape == state["network"]["readout.weight"].shape
    assert not (state["rule"]["feedback1"] == state["network"]["readout.weight"]).all()


def test_bptt_says_nothing_of_another_engine(run):
    results = RunFolder(run("training.epochs=1")).results()
    assert "evaluation_engine" not in results
    assert "cosine" not in results
