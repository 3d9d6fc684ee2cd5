"""The summary of a sweep: a row a job, and mean and spread over the seeds; as CSV, Markdown and text."""

import csv
import io
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snnrun.atomic import write_atomically
from snnrun.sweeps.job import FINISHED, Job, read_results

SEED = "seed"
MOST_SHOWN = 40  # rows on the terminal
UNVARIED = "-"


@dataclass(frozen=True)
class Row:
    """What is known of one job.

    Attributes:
        overrides: value by key, as text.
        status: of results.json, or "not run".
        valid: best validation accuracy from 0 to 1, NaN where there is none.
        test: test accuracy from 0 to 1 at that epoch, NaN where there is none.
        seconds: duration, NaN where it is unknown.
        error: why it is not done, in one line; empty if it is.
    """

    name: str
    overrides: Mapping[str, str]
    status: str
    valid: float = math.nan
    test: float = math.nan
    seconds: float = math.nan
    error: str = ""


@dataclass(frozen=True)
class Group:
    """Jobs that differ in nothing but the seed, those that are finished."""

    overrides: Mapping[str, str]
    rows: tuple[Row, ...]

    def values(self, figure: str) -> list[float]:
        """The figures ("valid", "test", "seconds") of the jobs that have them."""
        found = (getattr(row, figure) for row in self.rows if row.status in FINISHED)
        return [value for value in found if not math.isnan(value)]

    def mean(self, figure: str) -> float:
        """Mean over the seeds, NaN without any."""
        values = self.values(figure)
        return statistics.fmean(values) if values else math.nan

    def spread(self, figure: str) -> float:
        """Standard deviation over the seeds, that of a sample; NaN for fewer than two."""
        values = self.values(figure)
        return statistics.stdev(values) if len(values) > 1 else math.nan


def read_row(job: Job, error: str | None = None) -> Row:
    """Read the row of a job from its folder; `error` is what its launcher knows beyond that."""
    overrides = dict(_pair(line) for line in job.overrides)
    results = read_results(job.folder)
    if results is None:
        begun = job.folder.exists()
        status = "failed" if error or begun else "not run"
        return Row(job.name, overrides, status, error=error or ("left no readable results.json" if begun else ""))
    status = str(results.get("status"))
    status = "cut off" if status == "running" else status
    told = "" if status in FINISHED else error or str(results.get("error", f"status {status}"))
    accuracy = results.get("accuracy")
    accuracy = accuracy if isinstance(accuracy, dict) else {}
    valid, test = _number(accuracy.get("valid_best")), _number(accuracy.get("test"))
    return Row(job.name, overrides, status, valid, test, _number(results.get("seconds")), told)


def group(rows: Sequence[Row]) -> list[Group]:
    """Put rows together that differ only in the seed, in their order."""
    groups: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in rows:
        key = tuple((name, value) for name, value in row.overrides.items() if name != SEED)
        groups.setdefault(key, []).append(row)
    return [Group(dict(key), tuple(members)) for key, members in groups.items()]


def write(folder: Path, rows: Sequence[Row]) -> None:
    """Write summary.csv and summary.md. Raises RunError."""
    write_atomically(folder / "summary.csv", as_csv(rows).encode())
    write_atomically(folder / "summary.md", as_markdown(folder, rows).encode())


def as_csv(rows: Sequence[Row]) -> str:
    """A line a job; each also has mean and standard deviation over the seeds that it is one of."""
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
    figures = ("valid", "test", "seconds")
    names = {"valid": "accuracy/valid_best", "test": "accuracy/test", "seconds": "seconds"}
    of_group = [f"{names[figure]}_{what}" for figure in figures for what in ("mean", "sd")]
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(["folder", *keys, "status", *names.values(), "seeds", *of_group, "error"])
    member_of = {id(row): found for found in group(rows) for row in found.rows}
    for row in rows:
        of = member_of[id(row)]
        own = [_exact(getattr(row, figure)) for figure in figures]
        over_seeds = [_exact(value) for figure in figures for value in (of.mean(figure), of.spread(figure))]
        given = [row.overrides.get(key, "") for key in keys]
        table.writerow([row.name, *given, row.status, *own, _finished(of), *over_seeds, row.error])
    return buffer.getvalue()


def as_markdown(folder: Path, rows: Sequence[Row]) -> str:
    """A page: what all jobs share, the tables, and the failures."""
    parts = [f"# {folder.parent.name}/{folder.name}", heading(rows)]
    tables = [("## Over seeds", seed_table(rows)), ("## Jobs", job_table(rows))]
    for title, table in tables:
        if table:
            head, *body = [[cell.replace("|", "\\|") for cell in line] for line in table]
            lines = [head, ["---"] * len(head), *body]
            parts += [title, "\n".join("| " + " | ".join(line) + " |" for line in lines)]
    failed = [f"- `{row.name}`: {row.error}" for row in rows if row.error]
    parts += ["## Not done", "\n".join(failed)] if failed else []
    return "\n\n".join(parts) + "\n"


def as_text(rows: Sequence[Row]) -> str:
    """The tables as a terminal shows them; of a large sweep the first rows only."""
    parts = [heading(rows)]
    for table in (job_table(rows), seed_table(rows)):
        if table:
            shown = table[: MOST_SHOWN + 1]
            widths = [max(len(line[column]) for line in shown) for column in range(len(table[0]))]
            lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in shown]
            more = [f"... and {len(table) - len(shown)} more in summary.csv"] if len(shown) < len(table) else []
            parts.append("\n".join(line.rstrip() for line in [*lines, *more]))
    return "\n\n".join(parts)


def line(row: Row) -> str:
    """One job in a line: why it is not done, or its figures."""
    if row.error:
        return f"{row.status}: {row.error}"
    figures = {"best valid": percent(row.valid), "test": percent(row.test), "time": duration(row.seconds)}
    return ", ".join([row.status, *(f"{name} {value}" for name, value in figures.items() if value)])


def heading(rows: Sequence[Row]) -> str:
    """How many jobs are in which state, and the overrides that all of them share."""
    states = [row.status for row in rows]
    counts = ", ".join(f"{states.count(status)} {status}" for status in dict.fromkeys(states))
    varied = _varied(rows)
    shared = ", ".join(f"{key}={value}" for key, value in rows[0].overrides.items() if key not in varied)
    return f"{len(rows)} jobs: {counts}" + (f"; all with {shared}" if shared else "")


def job_table(rows: Sequence[Row]) -> list[list[str]]:
    """Head and a line a job."""
    keys = _varied(rows)
    head = [*keys, "status", "best valid", "test", "time"]
    lines = [
        [*_cells(row.overrides, keys), row.status, percent(row.valid), percent(row.test), duration(row.seconds)]
        for row in rows
    ]
    return [head, *lines]


def seed_table(rows: Sequence[Row]) -> list[list[str]]:
    """Head and a line a group, mean ± standard deviation; empty where no two jobs differ only in the seed."""
    groups = group(rows)
    if all(len(found.rows) == 1 for found in groups):
        return []
    keys = [key for key in _varied(rows) if key != SEED]
    lines = []
    for found in groups:
        figures = [_mean_text(found, figure) for figure in ("valid", "test")]
        lines.append([*_cells(found.overrides, keys), _finished(found), *figures, duration(found.mean("seconds"))])
    return [[*keys, "seeds", "best valid", "test", "time"], *lines]


def percent(value: float) -> str:
    """Return a share from 0 to 1 as "85.2%"; nothing for NaN."""
    return "" if math.isnan(value) else f"{value:.1%}"


def duration(seconds: float) -> str:
    """Return seconds as "12.3 s" or "5 min 10 s"; nothing for NaN."""
    if math.isnan(seconds):
        return ""
    return f"{seconds:.1f} s" if seconds < 100 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _mean_text(found: Group, figure: str) -> str:
    mean, spread = found.mean(figure), found.spread(figure)
    return percent(mean) if math.isnan(spread) else f"{percent(mean)} ± {percent(spread)}"


def _finished(found: Group) -> str:
    """Return how many seeds are finished, and of how many where some are not."""
    done = sum(row.status in FINISHED for row in found.rows)
    return str(done) if done == len(found.rows) else f"{done} of {len(found.rows)}"


def _varied(rows: Sequence[Row]) -> list[str]:
    keys = dict.fromkeys(key for row in rows for key in row.overrides)
    return [key for key in keys if len({row.overrides.get(key) for row in rows}) > 1]


def _cells(overrides: Mapping[str, str], keys: Sequence[str]) -> list[str]:
    return [overrides.get(key, UNVARIED) for key in keys]


def _pair(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.lstrip("+"), value


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _exact(value: float) -> str:
    return "" if math.isnan(value) else repr(value)
