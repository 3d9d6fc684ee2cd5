"""`snnrun show`: what a run was, what came out of it, and how it learned."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from snnrun.commands.line import HELP, split
from snnrun.errors import UserError
from snnrun.runs import is_run

if TYPE_CHECKING:
    from snnrun.run_folder import RunFolder
    from snnrun.run_list import Run

USAGE = """usage: snnrun show RUN...

Print what a run folder holds: results, where its configuration differs from the defaults of the options that it chose,
the environment in brief, and the learning curve.

example: snnrun show outputs/train/2026-01-31_12-00-00_abc123"""
PLOT_HEIGHT = 12


def main(arguments: Sequence[str]) -> int:
    """Run `snnrun show` with the words after the verb; returns the exit code."""
    line = split(arguments, (HELP,))
    if "--help" in line.flags or not line.words:
        print(USAGE)
        return 0
    for word in line.words:
        if not is_run(Path(word)):
            raise UserError(f"{word}: holds no run; `snnrun ls` lists those that there are")
    for number, word in enumerate(line.words):
        print("\n" * (number > 0) + "\n".join(_lines(Path(word))))
    return 0


def _lines(path: Path) -> Iterator[str]:
    from snnrun.run_folder import RunFolder
    from snnrun.run_list import read_run

    run, folder = read_run(path), RunFolder(path)
    yield f"{path}: {run.status}{f' ({run.problem})' if run.problem else ''}"
    if run.results:
        yield from _results(run)
    if run.config:
        yield from _configuration(folder)
    yield from _environment(path)
    yield from _curve(folder)


def _results(run: "Run") -> Iterator[str]:
    for section in ("accuracy", "loss"):
        found = run.results.get(section)
        if isinstance(found, dict):
            form = "{:.1%}" if section == "accuracy" else "{:.3f}"
            figures = (f"{name.replace('_', ' ')} {form.format(value)}" for name, value in found.items())
            yield f"{section:<12}{', '.join(figures)}"
    rates = run.results.get("rate_hz")
    if isinstance(rates, dict) and rates:
        yield f"{'rates':<12}{', '.join(f'{name} {value:.1f} Hz' for name, value in rates.items())}"
    best, seconds = run.results.get("best_epoch"), run.results.get("seconds")
    told = [f"{run.epochs}", *([f"the best is {best}"] if best else []), *([f"{seconds:.0f} s"] if seconds else [])]
    yield f"{'epochs':<12}{', '.join(told)}"
    if "error" in run.results:
        yield f"{'error':<12}{run.results['error']}"


def _configuration(folder: "RunFolder") -> Iterator[str]:
    from snnrun.config.check import show
    from snnrun.config.differences import differences

    yield "configuration, where it is not the default:"
    different = list(differences(folder.config()))
    for key, value, default in different:
        yield f"  {key}={show(value)}{'' if default is None else f'  (default {default})'}"
    if not different:
        yield "  nothing"


def _environment(path: Path) -> Iterator[str]:
    import json

    try:
        facts: Mapping[str, Any] = json.loads((path / "environment.json").read_text())
    except (OSError, ValueError):
        return
    versions = facts.get("versions", {})
    packages = ", ".join(f"{name} {versions[name]}" for name in ("snnrun", "python", "torch") if name in versions)
    yield f"{'computed on':<12}{facts.get('device_name')} ({facts.get('device')}, engine {facts.get('engine')})"
    yield f"{'versions':<12}{packages}"
    for name, state in (facts.get("git") or {}).items():
        dirty = ", with changes (git.diff)" if state.get("dirty") else ""
        yield f"{'git':<12}{name.replace('_', ' ')} at {str(state.get('commit'))[:12]}{dirty}"
    yield f"{'started':<12}{facts.get('started')}"
    yield f"{'command':<12}{facts.get('command')}"


def _curve(folder: "RunFolder") -> Iterator[str]:
    from snnrun.text_plot import plot

    try:
        rows = folder.metrics()
    except (OSError, ValueError) as error:
        yield f"metrics.csv cannot be read: {error}"
        return
    curves = {
        name: [(row["epoch"], 100 * row[f"accuracy/{name}"]) for row in rows if f"accuracy/{name}" in row]
        for name in ("train", "valid")
    }
    if any(curves.values()):
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
        yield ""
        yield plot(curves, min(width, 100), PLOT_HEIGHT, "epoch", "accuracy [%]")
