"""`snnrun eval`: judge trained networks again, as they were trained or on changed data."""

from collections.abc import Sequence
from pathlib import Path

from snnrun.commands.line import HELP, shown_path, split
from snnrun.config.tree import read_tree
from snnrun.errors import UserError
from snnrun.evaluation.keys import COMPUTING, OWN, SPLIT
from snnrun.runs import find_runs, is_run

USAGE = """usage: snnrun eval RUN... [KEY=VALUE[,VALUE...] ...]

Judge the network of a run folder on its test data, as it was trained or on changed data.
Several values of a key are several evaluations; a folder of runs, such as a sweep's, stands for all of them, and runs
that differ in the seed alone are put together as mean and standard deviation.

keys:
  part=test            samples to judge on: test, valid or train
  checkpoint=best      best on the validation data, or last
  seed=SEED            what random changes of the data are drawn with (default: the run's seed)
  output_dir=DIR       put the results there and not into the run folder
  device=, engine=     as in `snnrun train`
  training.batch_size= samples that are computed together
  network.readout=     how the readout over time becomes a score: max, mean or last
  dataset.KEY=         any key of the run's data set but those of the split; the random changes (speed, time_jitter,
                       channel_jitter, channel_shift, deletion, insertion) are off unless they are given here

A table of accuracy, spikes and synaptic operations is printed. RUN/eval/<date>_<time>_<id>/ gets it as table.csv, with
accuracy.png, confusion.png, confusion.csv, speakers.csv, predictions.csv, rasters.png and evaluation.json.

examples:
  snnrun eval outputs/train/2026-01-31_12-00-00_abc123
  snnrun eval outputs/sweeps/slopes/2026-01-31_12-00-00 dataset.speed=0.5,0.75,1,1.5,2
  snnrun eval RUN dataset.deletion=0,0.2,0.4 seed=1,2,3 part=valid"""


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun eval` with the words after the verb; returns the exit code."""
    line = split(arguments, (HELP,))
    if "--help" in line.flags or not line.words:
        print(USAGE)
        return 0
    folders = [word for word in line.words if "=" not in word or is_run(Path(word))]
    paths = find_runs(map(Path, folders))
    if not paths:
        shown = ", ".join(folders)
        raise UserError(f"{shown}: holds no run" if folders else "a run folder is missing: snnrun eval RUN KEY=VALUE")
    from snnrun.evaluation.changes import read_changes

    changes, output_dir = read_changes([word for word in line.words if word not in folders])
    from snnrun.evaluation.run import run  # not before the line stands: it imports torch

    folder = run(paths, changes, None if output_dir is None else Path(output_dir))
    print(shown_path(folder.absolute()))
    return 0


def eval_keys() -> list[str]:
    """Return the keys that may change, for tab completion."""
    split_keys = {f"dataset.{key}" for key in SPLIT}
    names = (name for name in read_tree().names() if name.startswith("dataset.") and name not in split_keys)
    return [*COMPUTING, *OWN, *names]
