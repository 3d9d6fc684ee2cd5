"""The folder of one run: what was asked for, where it ran, what came out. Every file in it is written atomically."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from omegaconf import OmegaConf

from snnrun import checkpoints
from snnrun.atomic import append_durably, write_atomically, write_errors
from snnrun.errors import RunError, UserError

if TYPE_CHECKING:
    import torch

Status = Literal["running", "done", "interrupted", "failed"]
Row = Mapping[str, float | int | None]
RESULT_KEYS = frozenset(
    {"status", "accuracy", "loss", "rate_hz", "epochs", "best_epoch", "seconds"}
    | {"engine", "evaluation_engine", "cosine", "device", "parameters", "overrides"}
)


class RunFolder:
    """The files of one run.

        config.yaml  overrides.yaml  environment.json  metrics.csv  results.json
        checkpoints/{last,best}.pt  figures/*.png

    Whatever cannot be written raises RunError with the file and the reason; what was there before stays.
    """

    def __init__(self, path: Path) -> None:
        """The run folder at `path`; `create` makes one, `open` looks whether there is one."""
        self.path = path

    @classmethod
    def create(cls, path: Path | str) -> "RunFolder":
        """Make a run folder at `path`, which may exist but must not hold a run.

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
        return cls(path)

    @classmethod
    def open(cls, path: Path | str) -> "RunFolder":
        """Return the run folder at `path`. Raises UserError if there is none."""
        path = Path(path)
        if not (path / "config.yaml").is_file():
            raise UserError(f"{path} is no run folder: it has no config.yaml")
        return cls(path)

    def start(self, config: Mapping[str, Any], overrides: Sequence[str], environment: Mapping[str, Any]) -> None:
        """Write what is known before the first epoch: config, overrides, environment and the status "running"."""
        self._write("config.yaml", to_yaml(config))
        for file in map(Path, config.get("plugins", ())):  # as it was, whatever becomes of the original
            with write_errors(self.path / "plugins"):
                (self.path / "plugins").mkdir(exist_ok=True)
            self._write(f"plugins/{file.name}", file.read_text(encoding="utf-8"))
        self._write("overrides.yaml", to_yaml(list(overrides)))
        self._write("environment.json", _to_json(environment))
        self.update_results(status="running", overrides=list(overrides))

    def config(self) -> dict[str, Any]:
        """The resolved config of the run. Raises UserError if the file cannot be read."""
        return self._read_mapping("config.yaml", _from_yaml)

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
        self._write("results.json", _to_json(results))

    def save_split(self, split: Mapping[str, Sequence[int]]) -> None:
        """Write split.json: the indices of the samples of each part in the training data as it was given."""
        self._write("split.json", json.dumps(plain(split)) + "\n")

    def append_metrics(self, row: Row) -> None:
        """Add the row of an epoch to metrics.csv and wait until it is on the disk.

        The columns are those of the first row; a value that is None or absent leaves its field empty.

        Raises:
            ValueError: a column that the first row did not have.
        """
        path = self.path / "metrics.csv"
        if not path.exists():
            write_atomically(path, _csv_lines([list(row)]))
        columns = self._metrics_lines()[0]
        unknown = set(row) - set(columns)
        if unknown:
            raise ValueError(f"metrics.csv has no column {sorted(unknown)}")
        append_durably(path, _csv_lines([[_field(row.get(column)) for column in columns]]))

    def metrics(self) -> list[dict[str, float | int]]:
        """The rows of metrics.csv, without empty fields and without a last line that was cut off."""
        if not (self.path / "metrics.csv").exists():
            return []
        columns, *rows = self._metrics_lines()
        return [
            {column: _number(field) for column, field in zip(columns, row, strict=True) if field != ""} for row in rows
        ]

    def keep_metrics(self, epochs: int) -> None:
        """Keep the rows up to and with epoch number `epochs` in metrics.csv, as a resumed run needs it."""
        if not (self.path / "metrics.csv").exists():
            return
        columns, *rows = self._metrics_lines()
        number = columns.index("epoch")
        kept = [row for row in rows if float(row[number]) <= epochs]
        write_atomically(self.path / "metrics.csv", _csv_lines([columns, *kept]))

    def save_checkpoint(self, name: Literal["last", "best"], state: Mapping[str, Any]) -> None:
        """Write checkpoints/<name>.pt: tensors, numbers, strings, and lists and dicts of them."""
        write_atomically(self._checkpoint(name), checkpoints.pack(state))

    def load_checkpoint(self, name: Literal["last", "best"], device: "torch.device | str" = "cpu") -> dict[str, Any]:
        """Return the state in checkpoints/<name>.pt with its tensors on `device`.

        Raises:
            UserError: there is no such checkpoint.
            RunError: it is damaged, or holds more than plain data.
        """
        path = self._checkpoint(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"{self.path} has no checkpoint {name!r}") from None
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}") from None
        return checkpoints.unpack(data, str(path), device)

    def save_figure(self, name: str, png: bytes) -> None:
        """Write figures/<name>.png."""
        write_atomically(self.path / "figures" / f"{name}.png", png)

    def _checkpoint(self, name: str) -> Path:
        return self.path / "checkpoints" / f"{name}.pt"

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

    def _metrics_lines(self) -> list[list[str]]:
        text = (self.path / "metrics.csv").read_text()
        whole = text[: text.rfind("\n") + 1]
        return list(csv.reader(io.StringIO(whole)))


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


def _number(field: str) -> float | int:
    return int(field) if field.lstrip("-").isdigit() else float(field)


def _csv_lines(rows: Iterable[Sequence[str]]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    return buffer.getvalue().encode()
