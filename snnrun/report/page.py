"""The page of a report: Markdown with tables and figures, and the runs as CSV."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from snnrun.report.compare import Comparison
from snnrun.report.groups import SEED, Group, Groups, Spread, shown
from snnrun.report.runs import Run

FIGURES = {
    "accuracy/valid_best": "best validation",
    "accuracy/test": "test",
    "accuracy/test_unseen_speakers": "test, unseen speakers",
}
CAPTIONS = {
    "accuracy": "Accuracy: mean over seeds and standard deviation.",
    "learning_curves": "Learning curves: mean over seeds, band of one standard deviation.",
    "rates": "Firing rates at the end; a dot is a run.",
    "cost": "Time and memory of training; a dot is a run.",
    "time_constants": "Learned time constants; a dot is a run.",
}


def markdown(
    title: str,
    runs: Sequence[Run],
    groups: Groups,
    comparisons: Sequence[Comparison],
    problems: Sequence[str],
    pictures: Mapping[str, str],
) -> str:
    """The page.

    Args:
        title: its heading.
        runs: all runs.
        groups: the same, by setting.
        comparisons: what was asked to be compared.
        problems: a line for each folder that could not be read.
        pictures: file by name of the figure.
    """
    states = [run.status for run in runs]
    counts = ", ".join(f"{states.count(status)} {status}" for status in dict.fromkeys(states))
    parts = [f"# {_escaped(title)}", f"{len(runs)} runs: {counts}.", _settings(groups)]
    if comparisons:
        lines = "\n".join(f"- {_escaped(str(comparison))}" for comparison in comparisons)
        parts += ["## Compared", lines, "The pairs agree in seed and all other keys."]
    for name, file in pictures.items():
        parts.append(f"![{CAPTIONS[name]}]({file})\n\n{CAPTIONS[name]}")
    failed = [f"- `{run.path.name}`: {run.results.get('error', run.status)}" for run in runs if run.status == "failed"]
    if failed or problems:
        parts += [
            "## Not in the figures above, or not whole",
            "\n".join([*failed, *(f"- {line}" for line in problems)]),
        ]
    parts.append(
        "The epoch was chosen on validation data, and is the last where nothing was held out; the test data were "
        "judged once, with its weights."
    )
    return "\n\n".join(parts) + "\n"


def as_csv(runs: Sequence[Run], groups: Groups) -> str:
    """A line a run: folder, status, setting, seed and the final figures as they are in results.json."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["folder", "status", *groups.keys, SEED, *FIGURES, "best_epoch", "epochs", "seconds"])
    for run in runs:
        values = [shown(run.config.get(key)) for key in (*groups.keys, SEED)]
        figures = [run.figure(name) for name in (*FIGURES, "best_epoch", "epochs", "seconds")]
        table.writerow([run.path, run.status, *values, *("" if math.isnan(x) else f"{x:.12g}" for x in figures)])
    return buffer.getvalue()


def _settings(groups: Groups) -> str:
    """A table with a line a setting."""
    figures = {name: title for name, title in FIGURES.items() if any(g.spread(name).count for g in groups.groups)}
    head = [*groups.keys, "runs", *(f"{title} [%]" for title in figures.values()), "time [s]"]
    lines = [_line(member, figures) for member in groups.groups]
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(_escaped(cell) for cell in row) + " |" for row in rows)


def _line(member: Group, figures: Mapping[str, str]) -> list[str]:
    cells = [shown(value) for value in member.setting]
    time = member.spread("seconds")
    found = [percent(member.spread(name)) for name in figures]
    return [*cells, str(len(member.runs)), *found, "" if math.isnan(time.mean) else f"{time.mean:.1f}"]


def percent(found: Spread) -> str:
    """Return "85.2 ± 1.3 (5)": mean, standard deviation and over how many runs; nothing without one."""
    if found.count == 0:
        return ""
    spread = "" if math.isnan(found.deviation) else f" ± {100 * found.deviation:.1f}"
    return f"{100 * found.mean:.1f}{spread} ({found.count})"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def title_of(folders: Sequence[Path]) -> str:
    """Return what the page is about."""
    return ", ".join("/".join(folder.resolve().parts[-2:]) for folder in folders)
