"""What a person sees while a network trains: a bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

UPDATES_PER_S = 5.0
LINE_EVERY_S = 60.0  # within a long epoch, where there is no bar


class Progress:
    """The display of one training run; use it in a `with` statement.

    On a terminal a bar for the run, one for the epoch, and a line that stays for each epoch. Elsewhere the lines
    only, and one after the first batch and in each minute of a long epoch, so that a job's log soon tells how fast
    it is. NO_COLOR is respected.
    """

    def __init__(self, epochs: int, batches: int, done: int = 0, stream: TextIO | None = None) -> None:
        """`epochs` of `batches` each, of which `done` epochs were trained before; writes to stdout."""
        self.epochs, self.batches = epochs, batches
        self._stream = sys.stdout if stream is None else stream
        self._bar = _bar(self._stream) if _interactive(self._stream) else None
        self._first_epoch = self._epoch = done + 1
        self._batch = 0
        self._begin = self._epoch_begin = self._next_update = time.perf_counter()
        if self._bar:
            self._run_task = self._bar.add_task("training", total=epochs * batches, completed=done * batches, info="")
            self._epoch_task = self._bar.add_task("", total=batches, info="", visible=False)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def log(self, line: str) -> None:
        """Show a line that stays."""
        if self._bar:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)

    def start_epoch(self, epoch: int) -> None:
        """Begin epoch number `epoch`, counted from 1."""
        self._epoch, self._batch = epoch, 0
        self._epoch_begin = time.perf_counter()
        if self._bar:
            self._bar.update(self._epoch_task, description=f"epoch {epoch}", completed=0, info="", visible=True)

    def batch(self, samples: int, loss: float, accuracy: float, rate_hz: float | None) -> None:
        """Show that one more batch is done. All figures are of the epoch so far; accuracy is from 0 to 1.

        `rate_hz` is None where nothing spikes.
        """
        self._batch += 1
        now = time.perf_counter()
        if now < self._next_update and self._batch < self.batches:
            return
        speed = samples / max(now - self._epoch_begin, 1e-9)
        rate = "" if rate_hz is None else f"{rate_hz:.1f} Hz  "
        figures = f"loss {loss:.3f}  accuracy {accuracy:.1%}  {rate}{speed:.0f} samples/s"
        left = f"{_duration(self._seconds_left(now))} to go"
        if self._bar:
            self._next_update = now + 1 / UPDATES_PER_S
            self._update_bars(self._bar, figures, left)
        elif now >= self._next_update:
            self._next_update = now + LINE_EVERY_S
            self.log(f"epoch {self._epoch}/{self.epochs}, batch {self._batch}/{self.batches}: {figures}, about {left}")

    def epoch(self, row: Mapping[str, float | None]) -> None:
        """Show the figures of an epoch, by their TensorBoard tags; those that are None or absent are left out."""
        self.log(f"epoch {self._epoch:>{len(str(self.epochs))}}/{self.epochs}  {epoch_line(row)}")
        if self._bar:
            self._bar.update(self._epoch_task, visible=False)
        else:
            self._next_update = time.perf_counter() + LINE_EVERY_S

    def _update_bars(self, bar: "RichProgress", figures: str, left: str) -> None:
        bar.update(self._epoch_task, completed=self._batch, info=figures)
        done = (self._epoch - 1) * self.batches + self._batch
        bar.update(self._run_task, completed=done, info=f"epoch {self._epoch} of {self.epochs}, {left}")

    def _seconds_left(self, now: float) -> float:
        """Seconds that the rest takes if it is as fast as this process was so far."""
        done = (self._epoch - self._first_epoch) * self.batches + self._batch
        all_batches = (self.epochs - self._first_epoch + 1) * self.batches
        return (now - self._begin) / max(done, 1) * (all_batches - done)


def epoch_line(row: Mapping[str, float | None]) -> str:
    """Return the figures of an epoch in one line: loss and accuracy (train, valid), rate, speed and time.

    Where `learning.cutoff` spares neuron-steps the backward pass, also the share of those that it did not, by layer.

    >>> epoch_line({"loss/train": 1.5, "loss/valid": 2.0, "rate_hz/hidden1": 12.25, "time/epoch_s": 4.0})
    'loss 1.500 valid 2.000  rate 12.2 Hz  4.0 s'
    """
    given = {tag: value for tag, value in row.items() if value is not None}
    parts = [_pair("loss", given, "{:.3f}"), _pair("accuracy", given, "{:.1%}")]
    rates = [f"{value:.1f}" for tag, value in given.items() if tag.startswith("rate_hz/")]
    parts.append(f"rate {', '.join(rates)} Hz" if rates else "")
    active = [value for tag, value in given.items() if tag.startswith("active/")]
    parts.append(f"active {', '.join(f'{share:.1%}' for share in active)}" if any(x < 1 for x in active) else "")
    for tag, form in (("time/samples_per_s", "{:.0f} samples/s"), ("time/epoch_s", "{:.1f} s")):
        parts.append(form.format(given[tag]) if tag in given else "")
    return "  ".join(part for part in parts if part)


def _pair(name: str, row: Mapping[str, float], form: str) -> str:
    """Return "name TRAIN valid VALID", as far as they are given."""
    train, valid = (form.format(row[tag]) if tag in row else "" for tag in (f"{name}/train", f"{name}/valid"))
    words = [train, f"valid {valid}" if valid else ""]
    return " ".join([name, *filter(None, words)]) if train or valid else ""


def _duration(seconds: float) -> str:
    """Return a rough duration: "45 s", "3 min", "2 h 10 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _interactive(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _bar(stream: TextIO) -> "RichProgress":
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        TextColumn("{task.fields[info]}"),
        console=Console(file=stream),
        refresh_per_second=UPDATES_PER_S,
        redirect_stdout=False,
        redirect_stderr=False,
    )
