"""All cases of all runs: judged one after the other, written as soon as a run is through, shown in one table."""

import sys
from collections.abc import Sequence
from pathlib import Path

from snnrun.evaluation import output
from snnrun.evaluation.changes import Change, groups
from snnrun.evaluation.judge import Judgement, judge, split_warning
from snnrun.evaluation.trained import Trained, load_data

CLOSE = 1e-9  # two shares of the same number of samples are equal or further apart


def run(paths: Sequence[Path], changes: Sequence[tuple[Change, ...]], output_dir: Path | None) -> Path:
    """Judge every run under all conditions, print one table and return the folder of the results.

    Each run gets a folder of its own in its run folder; several runs together one more in outputs/, with the table.
    With `output_dir` everything is in there, and the run folders stay as they are.
    """
    runs = [Trained(path) for path in paths]
    plans = [[run.case(chosen) for chosen in changes] for run in runs]  # what is wrong is told before the work
    joint = output.new_folder(output_dir) if output_dir else None
    found: list[list[Judgement]] = []
    for number, (one, cases) in enumerate(zip(runs, plans, strict=True), start=1):
        judgements = []
        for chosen in cases:
            _progress(f"{one.path} ({number} of {len(runs)}): {chosen.label}")
            judgements.append(judge(one, chosen))
            _check(one, judgements[-1])
        found.append(judgements)
        folder = _own_folder(joint, one.path, len(runs)) if joint else output.new_folder(one.path)
        output.write_run(folder, str(one.path), judgements)
    rows = [
        output.row_of(name or _name_of(runs, members), [found[member][number] for member in members])
        for name, members in groups([one.container for one in runs])
        for number in range(len(changes))
    ]
    print(output.shown(rows))
    if len(runs) == 1:
        return folder
    joint = joint or output.new_folder(Path("outputs"))
    output.write_table(joint, rows, len(found[0][0].classes))
    return joint


def _own_folder(joint: Path, path: Path, runs: int) -> Path:
    if runs == 1:
        return joint
    folder = joint / path.name
    number = 1
    while folder.exists():  # jobs of two sweeps can have the same name
        number += 1
        folder = joint / f"{path.name}_{number}"
    folder.mkdir()
    return folder


def _name_of(runs: Sequence[Trained], members: Sequence[int]) -> str:
    return str(runs[members[0]].path) if len(members) == 1 else f"{len(members)} runs"


def _check(one: Trained, judgement: Judgement) -> None:
    """Warn where the run itself had found something else, and where its samples are divided otherwise."""
    case = judgement.case
    warning = split_warning(one, case, load_data(case.config))
    stored = one.stored_accuracy(case)
    if warning is None and stored is not None and abs(stored - judgement.found.accuracy) > CLOSE:
        warning = f"{one.path}: {judgement.found.accuracy:.2%} instead of {stored:.2%}, which the run had found itself"
    if warning:
        print(f"WARNING: {warning}", file=sys.stderr)


def _progress(line: str) -> None:
    """Say what is being done to a person who waits; a file or a pipe gets the table only."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)
