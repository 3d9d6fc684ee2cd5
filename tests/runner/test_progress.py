"""What the display shows on a terminal and in a file."""

import contextlib
import io
import os
import pty
import re
import threading
import time

import pytest

from snnrun.progress import Progress, epoch_line

ROW = {
    "loss/train": 1.5, "loss/valid": 2.0, "accuracy/train": 0.456, "accuracy/valid": 0.4, "lr": 1e-3,
    "rate_hz/hidden1": 12.3, "rate_hz/hidden2": 4.0, "time/samples_per_s": 812.4, "time/epoch_s": 4.06,
}  # fmt: skip
LINE = "loss 1.500 valid 2.000  accuracy 45.6% valid 40.0%  rate 12.3, 4.0 Hz  812 samples/s  4.1 s"


def train(progress: Progress, epochs: int, batches: int) -> None:
    with progress:
        progress.log("[bold]not markup[/bold]")
        for epoch in range(1, epochs + 1):
            progress.start_epoch(epoch)
            for batch in range(batches):
                progress.batch(64 * (batch + 1), 1.5, 0.456, 12.3)
            progress.epoch(ROW)


class Terminal:
    """A terminal of 100 columns; `shown` is all that was written to it, once the `with` statement is left."""

    def __enter__(self) -> "Terminal":
        self._leader, follower = pty.openpty()
        self.stream = os.fdopen(follower, "w")
        self._parts: list[bytes] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()  # a terminal that nobody reads would block the writer
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._reader.join()
        os.close(self._leader)
        self.shown = b"".join(self._parts).decode()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # how a terminal tells that its other side is closed
            while part := os.read(self._leader, 65536):
                self._parts.append(part)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}.items():
        monkeypatch.setenv(name, value)


def on_terminal() -> str:
    """What a run writes to a terminal."""
    with Terminal() as terminal:
        train(Progress(2, 3, stream=terminal.stream), 2, 3)
    return terminal.shown


def test_a_line_has_what_is_given() -> None:
    assert epoch_line(ROW) == LINE
    assert epoch_line({"loss/train": 1.0, "accuracy/valid": None}) == "loss 1.000"
    assert epoch_line({"active/hidden1": 1.0, "active/hidden2": 1.0}) == ""
    assert epoch_line({"active/hidden1": 0.064, "active/hidden2": 1.0}) == "active 6.4%, 100.0%"


def test_a_file_gets_one_line_an_epoch_and_an_early_one() -> None:
    stream = io.StringIO()
    train(Progress(10, 3, stream=stream), 10, 3)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[bold]not markup[/bold]"
    assert re.fullmatch(
        r"epoch 1/10, batch 1/3: loss 1\.500  accuracy 45\.6%  12\.3 Hz  \d+ samples/s, about \d+ s to go", lines[1]
    )
    assert lines[2] == f"epoch  1/10  {LINE}"
    assert lines[11] == f"epoch 10/10  {LINE}"
    assert len(lines) == 12


def test_a_long_epoch_in_a_file_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snnrun.progress.LINE_EVERY_S", 0.2)
    stream = io.StringIO()
    with Progress(1, 100, stream=stream) as progress:
        progress.start_epoch(1)
        begin = time.perf_counter()
        for batch in range(100):
            time.sleep(0.01)
            progress.batch(64 * (batch + 1), 1.5, 0.456, 12.3)
        seconds = time.perf_counter() - begin
    lines = stream.getvalue().splitlines()
    assert 2 <= len(lines) <= 1 + seconds / 0.2
    speeds = [int(re.findall(r"(\d+) samples/s", line)[0]) for line in lines]
    assert all(0 < speed <= 6400 for speed in speeds)


def test_a_terminal_gets_a_bar_and_the_lines() -> None:
    shown = on_terminal()
    assert "━" in shown
    assert f"epoch 2/2  {LINE}" in shown
    assert "[bold]not markup[/bold]" in shown
    assert "epoch 2 of 2" in shown
    assert cursor_is_back(shown)


def cursor_is_back(shown: str) -> bool:
    return shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*\b(3|4|9|10)[0-9]\b[0-9;]*m")
    assert colour.search(on_terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(on_terminal())


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    shown = on_terminal()
    assert "\x1b" not in shown
    assert "━" not in shown


def test_an_interrupt_puts_the_cursor_back() -> None:
    with Terminal() as terminal, pytest.raises(KeyboardInterrupt), Progress(1, 1, stream=terminal.stream):
        raise KeyboardInterrupt
    assert cursor_is_back(terminal.shown)


def test_many_batches_cost_little() -> None:
    with Terminal() as terminal, Progress(1, 20_000, stream=terminal.stream) as progress:
        progress.start_epoch(1)
        begin = time.process_time()
        for batch in range(20_000):
            progress.batch(batch, 1.5, 0.456, 12.3)
        assert time.process_time() - begin < 1.0  # 50 microseconds a batch
