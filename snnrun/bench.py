"""Time and memory of one training step, for each engine, on random spike trains of a given size.

Engines do backpropagation through time; another rule that `learning` chooses is measured beside them.

Each measurement has a process of its own, since the high-water mark of a process only ever rises. That an engine agrees
with the reference on the very same work is proven in another process before.
"""

import importlib
import json
import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from snnrun.config.schema import BenchConfig, BenchSection
from snnrun.errors import RunError, SnnrunError
from snnrun.threads import importing_torch

Row = dict[str, Any]
# Columns of the table: key of a row, heading, form.
COLUMNS = (
    ("engine", "engine", "{}"),
    ("learning", "learning", "{}"),
    ("steps", "steps", "{}"),
    ("batch", "batch", "{}"),
    ("hidden", "hidden", "{}"),
    ("step_s", "step [s]", "{:.4f}"),
    ("forward_s", "forward [s]", "{:.4f}"),
    ("backward_s", "backward [s]", "{:.4f}"),
    ("peak_mb", "peak [MB]", "{:.1f}"),
    ("rate_hz", "rate [Hz]", "{:.1f}"),
    ("active", "active", "{:.1%}"),
    ("max_error", "max error", "{:.1e}"),
)
TAPS = ("taps", "taps", "{}")


def run(config: BenchConfig) -> None:
    """Print the figures of every engine, and of a learning rule other than `bptt`, at every size.

    Call it before anything has run in torch: the processes are forked.

    Raises:
        UserError: an engine that cannot run the network.
        RunError: an engine that differs from the reference, which is not timed, or a process that died.
    """
    late = config.spiking.delays != "none"
    columns = (*COLUMNS[:5], TAPS, *COLUMNS[5:]) if late else COLUMNS
    show = _JsonLines() if config.bench.format == "json" else _Table(columns)
    with show.display():
        for steps, hidden in _sizes(config.bench):
            for taps in config.bench.taps if late else (None,):
                case, size = config, {}
                if taps is not None:
                    case, size = with_delays(config, steps, taps), {"taps": taps}
                for engine in config.bench.engines:
                    errors = {"max_error": 0.0}
                    if engine != "reference":
                        errors = _in_own_process("prove", case, steps, hidden, engine)
                    show.add(_in_own_process("measure", case, steps, hidden, engine) | size | errors)
            if config.learning.name != "bptt":
                show.add(_in_own_process("measure_rule", config, steps, hidden))


def with_delays(config: BenchConfig, steps: int, taps: int) -> BenchConfig:
    """The configuration with delays of up to `taps` bins, for so many steps; without any for 0."""
    network = replace(config.spiking, delays="none")
    if taps > 0:
        network = replace(config.spiking, max_delay=taps * config.dataset.duration / steps)
    return replace(config, network=network)


def _sizes(size: BenchSection) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Steps and widths of the hidden layers of each measurement."""
    widths: Sequence[int | tuple[int, ...]] = (size.hidden,) if isinstance(size.hidden, int) else size.hidden
    for steps in size.steps:
        for width in widths:
            yield steps, (width,) if isinstance(width, int) else width


def _in_own_process(function: str, *arguments: object) -> Any:
    """What a function of `bench_case` returns or raises in a process that imports torch for itself.

    Its threads wait as they would in training with the engine, the fourth argument; a learning rule has none.
    """
    context = multiprocessing.get_context("fork")  # registered options and plugins come along
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(send, function, arguments))
    process.start()
    send.close()
    try:
        answer = receive.recv()
    except EOFError:
        process.join()
        raise RunError(f"the process that was to {function} ended with {process.exitcode}; out of memory?") from None
    process.join()
    if isinstance(answer, SnnrunError):
        raise answer
    return answer


def _answer(send: Connection, function: str, arguments: Sequence[object]) -> None:
    try:
        with importing_torch(str(arguments[3]) if len(arguments) > 3 else "reference", "bptt"):
            module = importlib.import_module("snnrun.bench_case")
        answer = getattr(module, function)(*arguments)
    except SnnrunError as error:
        answer = error
    except KeyboardInterrupt:
        return  # the parent is interrupted as well, and says so
    send.send(answer)


class _JsonLines:
    """One object a line."""

    @contextmanager
    def display(self) -> Iterator[None]:
        yield

    def add(self, row: Row) -> None:
        print(json.dumps(row), flush=True)


class _Table:
    """A table that grows on a terminal; elsewhere it is printed at the end."""

    def __init__(self, columns: Sequence[tuple[str, str, str]]) -> None:
        self._columns = columns
        self._table = Table()
        for heading in (*(heading for _, heading, _ in columns), "times faster"):
            self._table.add_column(Text(heading), justify="right", no_wrap=True)
        self._reference_s: dict[tuple[object, ...], float] = {}
        self._console = Console(file=sys.stdout)
        if not self._console.is_terminal:
            self._console.width = 160  # not cut to the usual 80 columns
        self._live = Live(self._table, console=self._console, auto_refresh=False)

    @contextmanager
    def display(self) -> Iterator[None]:
        if self._console.is_terminal:
            with self._live:
                yield
            return
        try:
            yield
        finally:
            if self._table.row_count:
                self._console.print(self._table)

    def add(self, row: Row) -> None:
        size = row["steps"], str(row["hidden"]), row.get("taps")
        if (row["engine"], row["learning"]) == ("reference", "bptt"):
            self._reference_s[size] = row["step_s"]
        faster = f"{self._reference_s[size] / row['step_s']:.1f}" if size in self._reference_s else ""
        self._table.add_row(*(form.format(row[key]) if key in row else "" for key, _, form in self._columns), faster)
        if self._console.is_terminal:
            self._live.refresh()
