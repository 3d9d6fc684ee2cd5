"""What a run shows in TensorBoard: scalars, histograms, pictures, texts, and its row of hyper-parameters."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from snnrun import summaries
from snnrun.event_file import EventFile
from snnrun.run_folder import plain, to_yaml

if TYPE_CHECKING:
    from torch import Tensor

SCALARS = re.compile(
    r"loss/(train|valid|test)|accuracy/(train|valid|test|valid_best)|(rate_hz|silent|active|grad_norm|cosine)/\w+|lr"
    r"|(saturated|membrane_mean|membrane_std|grad_gain)/\w+"
    r"|time/(samples_per_s|epoch_s|data_share)|memory/peak_mb"
)
HISTOGRAMS = re.compile(r"(tau_mem_ms|tau_syn_ms|tau_adapt_ms|delay_ms|weights)/\w+")
IMAGES = re.compile(r"raster/\w+|surrogate|confusion|diagnosis|tau_fits")
NOT_VARIED = ("output_dir", "name", "tags", "print_config", "beta")  # every run has surrogate.beta, resolved
HEADLINES = {
    "accuracy/valid_best": "best validation accuracy",
    "accuracy/test": "test accuracy",
    "loss/valid": "validation loss",
    "time/epoch_s": "time of an epoch [s]",
}
CHARTS = {"loss": "loss/(train|valid)$", "accuracy": "accuracy/(train|valid)$"}


class Board:
    """The event file of a run, in the run folder itself. The one step axis is epochs, counted from 1.

    Always close it, or use it in a `with` statement. What cannot be written raises RunError.
    """

    def __init__(self, folder: Path, resume_epoch: int | None = None) -> None:
        """Make an event file in `folder`. A resumed run gives the first epoch that it repeats: older records of it
        and of later ones are hidden."""
        self._file = EventFile(folder, resume_epoch)

    def start(self, config: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        """Record the texts `config` and `environment`, the layout of the charts, and that the session has started.

        The description of the experiment, which names columns, belongs to the root of a sweep: TensorBoard takes the
        first that it finds, so that one in each run would hide the columns that the first run lacks.
        """
        self._file.add(_config_text(config), 0)
        self._file.add(summaries.text("environment", markdown_table(environment)), 0)
        self._file.add(summaries.chart_layout(CHARTS), 0)
        self._file.add(summaries.session_start(hyper_parameters(config)), 0)
        self._file.flush()

    def scalars(self, values: Mapping[str, float | None], epoch: int) -> None:
        """Record figures by tag; None is left out. Raises ValueError for a tag that runs do not have."""
        for tag, value in values.items():
            _check(tag, SCALARS)
            if value is not None:
                self._file.add(summaries.scalar(tag, float(value)), epoch)
        self._file.flush()

    def histogram(self, tag: str, values: "Tensor", epoch: int) -> None:
        """Record the distribution of `values`, of any shape, under weights/<layer>, tau_mem_ms/<layer>, ..."""
        _check(tag, HISTOGRAMS)
        self._file.add(summaries.histogram(tag, values.detach().cpu().numpy()), epoch)

    def image(self, tag: str, png: bytes, epoch: int) -> None:
        """Record a picture under raster/<layer>, surrogate, confusion, diagnosis or tau_fits."""
        _check(tag, IMAGES)
        self._file.add(summaries.picture(tag, png), epoch)

    def config(self, config: Mapping[str, Any], epoch: int) -> None:
        """Record the text `config` anew, for a run that goes on from `epoch` with changes."""
        self._file.add(_config_text(config), epoch)

    def flush(self) -> None:
        """Wait until all that was recorded is on the disk."""
        self._file.flush(durably=True)

    def finish(self, status: Literal["done", "failed"]) -> None:
        """Record how the session ended.

        Not for a run that can be resumed: TensorBoard keeps the first end that it reads.
        """
        self._file.add(summaries.session_end(status), 0)
        self._file.flush()

    def close(self) -> None:
        """Write what waits and close the file; closing again does nothing."""
        self._file.close()

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def describe_sweep(folder: Path, configs: Sequence[Mapping[str, Any]], complete: bool) -> None:
    """Name the columns of the hyper-parameters table at the root of a sweep.

    They are the keys that its jobs differ in and the headline figures. TensorBoard takes the first description that it
    finds, so no job has one of its own.

    Args:
        folder: the sweep's.
        configs: those of its jobs.
        complete: whether there will be no other jobs; of a search, the numbers that it will try are not known.
    """
    jobs = [hyper_parameters(config) for config in configs]
    columns: dict[str, list[float | str]] = {}
    for key in dict.fromkeys(key for job in jobs for key in job):
        if key != "seed" and all(job.get(key) == job["seed"] for job in jobs):
            continue  # a seed of the split or the data that was left to follow
        values = list(dict.fromkeys(job[key] for job in jobs if key in job))
        if len(values) > 1 or any(key not in job for job in jobs):
            columns[key] = values
    with EventFile(folder) as file:
        file.add(summaries.experiment(columns, HEADLINES, complete), 0)


def hyper_parameters(config: Mapping[str, Any]) -> dict[str, float | str]:
    """Return the keys of `config` that runs can differ in, in full ("neuron.tau_mem"): numbers as float, else text.

    A number is always a float and a switch always "true" or "false", since a column of mixed types becomes text.
    """
    flat = {key: value for key, value in _flat(plain(config)) if key not in NOT_VARIED and value is not None}
    return {key: _hyper_parameter(value) for key, value in flat.items()}


def markdown_table(content: Mapping[str, Any]) -> str:
    """Return a table of two columns, names in full and values, as Markdown."""
    rows = (f"| {key} | {_cell(value)} |" for key, value in _flat(plain(content)) if value is not None)
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _config_text(config: Mapping[str, Any]) -> Any:
    return summaries.text("config", f"```yaml\n{to_yaml(config)}```")


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def _hyper_parameter(value: Any) -> float | str:
    if isinstance(value, bool):
        return str(value).lower()
    return float(value) if isinstance(value, int | float) else str(value)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _check(tag: str, known: re.Pattern[str]) -> None:
    if not known.fullmatch(tag):
        raise ValueError(f"tag {tag!r} is none of {known.pattern}")
