"""The folder of one run: what was asked for, where it ran, what came out. Every file in it is written atomically."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, get_args

from omegaconf import OmegaConf

from snnrun.atomic import append_durably, write_atomically, write_errors
from snnrun.checkpoints import Checkpoints, Name
from snnrun.errors import UserError
from snnrun.lock import Lock, is_locked

if TYPE_CHECKING:
    import torch

Status = Literal["running", "done", "interrupted", "failed", "pruned"]  # pruned: ended early by a search
Row = Mapping[str, float | int | None]
RESULT_KEYS = frozenset(
    {"status", "accuracy", "loss", "rate_hz", "epochs", "best_epoch", "seconds"}
    | {"engine", "evaluation_engine", "cosine", "device", "parameters", "overrides", "tau_fits"}
)


class RunFolder:
    """The files of one run.

        config.yaml  overrides.yaml  environment.json  metrics.csv  results.json
        checkpoints/{last,previous,best}.pt  figures/*.png

    Whatever cannot be written raises RunError with the file and the reason; what was there before stays. Who writes has
    the lock of the folder, until the end of a `with` statement.
    """

    def __init__(self, path: Path) -> None:
        """The run folder at `path`; `create` makes one, `open` looks whether there is one."""
        self.path = path
        self.checkpoints = Checkpoints(path / "checkpoints")
        self._lock: Lock | None = None

    def lock(self) -> "RunFolder":
        """Take the lock, to write. Raises UserError if another process has it, or the folder cannot be written."""
        self._lock = Lock(self.path)
        return self

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.release()

    @classmethod
    def create(cls, path: Path | str) -> "RunFolder":
        """Make a run folder at `path`, which may exist but must not hold a run, and take its lock.

        Raises:
            UserError: there is a run already; two processes never get the same folder.
            RunError: the folder cannot be made.
        """
        path = Path(path)
        with write_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            try:
                (path / "checkpoints").mkdir()  # fails for all but the first to claim the folder
            except FileExistsError:
                raise UserError(f"{path} holds a run already; choose another output_dir or name") from None
            (path / "figures").mkdir(exist_ok=True)
        return cls(path).lock()

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Return the run folder at `path`. Raises UserError if there is none."""
        path = Path(path)
        if not path.is_dir():
            raise UserError(f"{path} is no run folder: there is no such folder")
        if not (path / "config.yaml").is_file():
            raise UserError(f"{path} is no run folder: it has no config.yaml")
        return cls(path)

    def request(self, config: Mapping[str, Any], overrides: Sequence[str]) -> None:
        """Write what is asked for, config and overrides, so that a run that is killed from here on can be resumed."""
        for file in map(Path, config.get("plugins", ())):  # as it was, whatever becomes of the original
            with write_errors(self.path / "plugins"):
                (self.path / "plugins").mkdir(exist_ok=True)
            self._write(f"plugins/{file.name}", file.read_text(encoding="utf-8"))
        self._write("overrides.yaml", to_yaml(list(overrides)))
        self._write("config.yaml", to_yaml(config))

    def start(self, config: Mapping[str, Any], overrides: Sequence[str], environment: Mapping[str, Any]) -> None:
        """Write what is known before the first epoch: config, overrides, environment and the status "running"."""
        for name in ("checkpoints", "figures"):
            with write_errors(self.path / name):
                (self.path / name).mkdir(exist_ok=True)
        self.request(config, overrides)
        self._write("environment.json", _to_json(environment))
        self.keep_metrics(0)  # of a run that was killed before its first checkpoint
        self.update_results(status="running", overrides=list(overrides))

    def go_on(
        self, config: Mapping[str, Any], overrides: Sequence[str], environment: Mapping[str, Any], epoch: int
    ) -> None:
        """Write that the run is resumed after `epoch`: rows of later epochs go, the environment joins the first one.

        Args:
            config: the resolved config, as it is from now on.
            overrides: what was typed to resume.
            environment: where it goes on.
            epoch: the last one that stays.
        """
        before = self.environment()
        typed = [*self.results().get("overrides", []), *overrides]
        self.keep_metrics(epoch)
        self.request(config, typed)
        sessions = [*before.get("resumed", []), {"after_epoch": epoch, **environment}]
        self._write("environment.json", _to_json({**before, "resumed": sessions}))
        self.update_results(status="running", overrides=typed)

    def status(self) -> Status | None:
        """How the run stands, None before it began; a run whose process died without a word is "interrupted"."""
        found: Status | None = self.results().get("status")
        return "interrupted" if found == "running" and not is_locked(self.path) else found

    def environment(self) -> dict[str, Any]:
        """Where the run began, with a list "resumed" of where it went on. Raises UserError if it cannot be read."""
        return self._read_mapping("environment.json", json.loads)

    def config(self) -> dict[str, Any]:
        """The resolved config of the run. Raises UserError if the file cannot be read.

        Where a plug-in is gone or has changed, it is the folder's copy that is named.
        """
        config = self._read_mapping("config.yaml", _from_yaml)
        if plugins := config.get("plugins"):
            config["plugins"] = [str(self._plugin(Path(file))) for file in plugins]
        return config

    def results(self) -> dict[str, Any]:
        """The content of results.json, empty before there is one. Raises UserError if the file cannot be read."""
        if not (self.path / "results.json").exists():
            return {}
        return self._read_mapping("results.json", json.loads)

    def update_results(self, **changes: Any) -> None:
        """Change keys of results.json; figures in a section (accuracy, loss, rate_hz) are added to those there.

        What is None or not a finite number does not apply and is left out.

        Raises:
            ValueError: a key or a status that results.json does not have.
            RunError: the file cannot be written; it is as it was.
        """
        unknown = set(changes) - RESULT_KEYS
        if unknown:
            raise ValueError(f"results.json has no {sorted(unknown)}")
        if changes.get("status", "running") not in get_args(Status):
            raise ValueError(f"status {changes['status']!r} is none of {get_args(Status)}")
        results = self.results()
        for key, value in changes.items():
            section = results.get(key)
            results[key] = {**section, **value} if isinstance(section, dict) and isinstance(value, Mapping) else value
        if results.get("status") != "failed":
            results.pop("error", None)
        self._write("results.json", _to_json(results))

    def save_split(self, split: Mapping[str, Sequence[int]]) -> None:
        """Write split.json: the indices of the samples of each part in the training data as it was given."""
        self._write("split.json", json.dumps(plain(split)) + "\n")

    def save_diff(self, diff: str) -> None:
        """Write git.diff, the changes that were not committed, where there are any."""
        if diff:
            self._write("git.diff", diff)

    def split(self) -> dict[str, Any] | None:
        """The content of split.json, or None if there is none. Raises UserError if the file cannot be read."""
        return self._read_mapping("split.json", json.loads) if (self.path / "split.json").exists() else None

    def save_diagnosis(self, content: Mapping[str, Any]) -> None:
        """Write diagnosis.json; what is None or not a finite number is left out."""
        self._write("diagnosis.json", _to_json(content))

    def append_metrics(self, row: Row) -> None:
        """Add the row of an epoch to metrics.csv and wait until it is on the disk.

        The columns are those of the first row; a value that is None or absent leaves its field empty.

        Raises:
            ValueError: a column that the first row did not have.
        """
        path = self.path / "metrics.csv"
        if not path.exists():
            write_atomically(path, _csv_lines([list(row)]))
        columns, _ = self._table()
        unknown = set(row) - set(columns)
        if unknown:
            raise ValueError(f"metrics.csv has no column {sorted(unknown)}")
        append_durably(path, _csv_lines([[_field(row.get(column)) for column in columns]]))

    def metrics(self) -> list[dict[str, float | int]]:
        """The rows of metrics.csv, without empty fields and without a last line that was cut off."""
        if not (self.path / "metrics.csv").exists():
            return []
        columns, rows = self._table()
        return [
            {column: _number(field) for column, field in zip(columns, row, strict=True) if field != ""} for row in rows
        ]

    def keep_metrics(self, epochs: int) -> None:
        """Keep the rows up to and with epoch number `epochs` in metrics.csv, as a resumed run needs it."""
        if not (self.path / "metrics.csv").exists():
            return
        columns, rows = self._table()
        kept = [row for row in rows if float(row[columns.index("epoch")]) <= epochs]
        write_atomically(self.path / "metrics.csv", _csv_lines([columns, *kept]))

    def load_checkpoint(self, name: Name, device: "torch.device | str" = "cpu") -> dict[str, Any]:
        """Return the state in checkpoints/<name>.pt; see `Checkpoints.load`."""
        return self.checkpoints.load(name, device)

    def save_figure(self, name: str, png: bytes) -> None:
        """Write figures/<name>.png."""
        write_atomically(self.path / "figures" / f"{name}.png", png)

    def _plugin(self, file: Path) -> Path:
        """The file if it still is what it was, else the copy of it."""
        copy = self.path.absolute() / "plugins" / file.name
        if not copy.is_file() or (file.is_file() and file.read_bytes() == copy.read_bytes()):
            return file
        return copy

    def _write(self, name: str, text: str) -> None:
        write_atomically(self.path / name, text.encode())

    def _read_mapping(self, name: str, parse: Any) -> dict[str, Any]:
        path = self.path / name
        try:
            content = parse(path.read_text())
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"cannot read {path}: {reason}") from None
        if not isinstance(content, dict):
            raise UserError(f"cannot read {path}: it holds no keys")
        return content

    def _table(self) -> tuple[list[str], list[list[str]]]:
        """Columns and rows of metrics.csv, without a last line that was cut off. Raises UserError if it is damaged."""
        path = self.path / "metrics.csv"
        try:
            text = path.read_text()
            columns, *rows = csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))
            for number, row in enumerate(rows, start=2):
                _check_row(columns, row, number)
        except (OSError, ValueError, csv.Error) as error:
            raise UserError(f"cannot read {path}: {error}") from None
        return columns, rows


def to_yaml(content: Mapping[str, Any] | Sequence[Any]) -> str:
    """Return YAML in the order of the keys; tuples become lists and paths strings."""
    return OmegaConf.to_yaml(OmegaConf.create(plain(content)))


def _from_yaml(text: str) -> Any:
    """Parse YAML; raises ValueError, as the parser of JSON does."""
    try:
        return OmegaConf.to_container(OmegaConf.create(text))
    except Exception as error:  # PyYAML's and OmegaConf's errors have no common class
        raise ValueError(str(error)) from None


def plain(value: Any) -> Any:
    """Return `value` of dicts, lists, numbers, strings and None only; numpy and torch scalars become numbers."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.item() if hasattr(value, "item") else str(value)


def _to_json(content: Mapping[str, Any]) -> str:
    return json.dumps(_applicable(plain(content)), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _applicable(value: Any) -> Any:
    """Drop from dicts what is None or not finite: JSON has no NaN, and a figure that does not exist is absent."""
    if not isinstance(value, dict):
        return value
    kept = {key: _applicable(item) for key, item in value.items()}
    return {k: v for k, v in kept.items() if v is not None and not (isinstance(v, float) and not math.isfinite(v))}


def _field(value: float | int | None) -> str:
    """Return a field of the table; repr gives a float back bit for bit."""
    return "" if value is None else repr(plain(value))


def _check_row(columns: Sequence[str], row: Sequence[str], number: int) -> None:
    """Raise ValueError unless the line `number` of the table has a number, or nothing, for each column."""
    try:
        fields = dict(zip(columns, row, strict=True))
        float(fields["epoch"])
        _ = [float(field) for field in row if field]
    except (KeyError, ValueError):
        raise ValueError(f"line {number} does not fit the columns") from None


def _number(field: str) -> float | int:
    return int(field) if field.lstrip("-").isdigit() else float(field)


def _csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
