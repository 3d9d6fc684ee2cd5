"""What a run tells of itself: each epoch goes to the run folder, to TensorBoard and to the person who waits."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from types import TracebackType
from typing import Any

import torch

from snnrun import diagnosis_figure, figures, heterogeneity, heterogeneity_figure
from snnrun.config import Config
from snnrun.data import Dataset
from snnrun.data.batch import EventBatch
from snnrun.device import peak_memory_mb
from snnrun.diagnosis import Diagnosis
from snnrun.environment import environment, git_diff
from snnrun.epoch import Tally
from snnrun.errors import SnnrunError
from snnrun.evaluate import Evaluation
from snnrun.network import Network
from snnrun.progress import Progress, epoch_line
from snnrun.resuming import differences
from snnrun.run_folder import RunFolder, Status, to_yaml
from snnrun.tensorboard import Board

log = logging.getLogger(__name__)
NOT_SPIKING = "nothing in it spikes: neuron, surrogate, init, regularizer and learning.cutoff have no effect"


class Reporter:
    """Everything that a run writes and shows, in one place; use it in a `with` statement.

    A `with` statement left by an error gives the run the status "failed", by an interrupt "interrupted".
    """

    def __init__(
        self,
        folder: RunFolder,
        config: Config,
        network: Network,
        data: Dataset,
        device: torch.device,
        started: float,
        epoch: int = 0,
    ) -> None:
        """`started` is the perf_counter at which the run began; `epoch` the last one of a run that goes on."""
        self.folder = folder
        self.config = config
        self.network = network
        self.data = data
        self.device = device
        self.started = started
        self.epoch = epoch
        self._board = Board(folder.path, epoch)
        batches = -(-len(data.train) // config.training.batch_size)
        self._progress = Progress(config.training.epochs, batches, done=epoch)
        self._drawn_epoch = -1

    def __enter__(self) -> "Reporter":
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)
        try:
            if error is not None:
                with suppress(SnnrunError):  # the first failure is the one to tell
                    self._end("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        finally:
            self._board.close()

    def start(self, overrides: Sequence[str], engine: str, chosen: str, reason: str) -> None:
        """Write what is known before the first epoch, and show it.

        Args:
            overrides: what was typed.
            engine: the implementation of the scan over time that trains.
            chosen: the engine that was chosen, which evaluates; the same one but for rules that scan by themselves.
            reason: why that one.
        """
        config, facts = asdict(self.config), environment(str(self.device), engine)
        self.folder.start(config, overrides, facts)
        self.folder.save_diff(git_diff())
        if self.config.print_config:
            for line in to_yaml(config).splitlines():
                self.say(line)
        self.folder.save_split(self.data.split())
        self._board.start(config, facts)
        self._introduce(facts, chosen, reason)
        parameters = sum(p.numel() for p in self.network.parameters())
        self.folder.update_results(engine=engine, device=str(self.device), parameters=parameters)
        if chosen != engine:
            self.folder.update_results(evaluation_engine=chosen)
        if self.network.layer_names():
            self._picture("surrogate", "surrogate", figures.png(figures.surrogate_curve(self.network.surrogate)), 0)

    def go_on(self, overrides: Sequence[str], engine: str, chosen: str, reason: str) -> None:
        """Write that a run goes on, and show it, all as in `start`; what was recorded after its checkpoint goes.

        The board hides the checkpoint's own epoch too, at which the end of a finished run would stand, so that epoch is
        recorded again.
        """
        config, facts = asdict(self.config), environment(str(self.device), engine)
        changes = list(differences(self.folder.environment(), facts))
        self.folder.go_on(config, overrides, facts, self.epoch)
        if overrides:
            self._board.config(config, self.epoch)
        rows = self.folder.metrics()
        self.started -= sum(row.get("time/epoch_s", 0.0) for row in rows)
        self._introduce(facts, chosen, reason)
        for line in changes:
            self.warn(line)
        if [row["epoch"] for row in rows] != list(range(1, self.epoch + 1)):
            self.warn(f"metrics.csv lacks epochs; it should have all up to {self.epoch}")
        elif rows:
            self._board.scalars({tag: value for tag, value in rows[-1].items() if tag != "epoch"}, self.epoch)
        self.say(f"goes on after epoch {self.epoch} of {self.config.training.epochs}")

    def _introduce(self, facts: Mapping[str, Any], chosen: str, reason: str) -> None:
        for line in self.data.log:
            self.say(line)
        for line in self.data.warnings:
            self.warn(line)
        self.say(f"network: {self.network.summary()}")
        if not self.network.layer_names():
            self.say(NOT_SPIKING)
        self.say(f"engine: {chosen} ({reason}) on {facts['device_name']}, {facts['threads']} threads")
        rule = self.config.learning.name
        if rule != "bptt":
            self.say(f"learning: {rule} trains in plain torch, block by block; the engine {chosen} evaluates")

    def say(self, line: str) -> None:
        """Show a line and keep it in train.log."""
        self._progress.log(line)
        log.info(line)

    def warn(self, line: str) -> None:
        """Show a warning and keep it in train.log."""
        self.say(f"warning: {line}")

    def diagnosis(self, found: Diagnosis) -> None:
        """Write and show what the untrained network does."""
        self.folder.save_diagnosis(found.to_json())
        self.folder.update_results(rate_hz={layer.name: float(layer.rates_hz.mean()) for layer in found.layers})
        self._board.scalars(found.scalars(), 0)
        self._picture("diagnosis", "diagnosis", figures.png(diagnosis_figure.diagnosis(found)), 0)
        for line in found.table():
            self.say(line)
        for line in found.warnings:
            self.warn(line)

    def time_constants(
        self, epoch: int, start: heterogeneity.Populations, reference: heterogeneity.Sample | None
    ) -> None:
        """Write and show the distributions of the time constants, where they differ or are trained.

        Those of the network as it is, which at the end of a run is the best checkpoint; `start` are those before
        training.
        """
        if not heterogeneity.worth_telling(self.config):
            return
        learned = heterogeneity.time_constants(self.network)
        described = heterogeneity.describe(learned, reference)
        self.folder.update_results(tau_fits=described)
        figure = heterogeneity_figure.tau_fits(start, learned, described, reference)
        self._picture("tau_fits", "tau_fits", figures.png(figure), epoch)
        for line in heterogeneity.lines(described):
            self.say(line)

    def begin_epoch(self, epoch: int) -> None:
        """Epoch number `epoch`, counted from 1, begins."""
        self._progress.start_epoch(epoch)

    def batch(self, tally: Tally) -> None:
        """A batch is done."""
        self._progress.batch(tally.samples, tally.loss, tally.accuracy, tally.mean_rate_hz())

    def end_epoch(self, epoch: int, tally: Tally, valid: Evaluation | None, best_accuracy: float, lr: float) -> None:
        """Write and show the figures of an epoch; `lr` is the learning rate at its end."""
        row: dict[str, float | None] = dict(tally.scalars(self.network.layer_names()))
        row["loss/valid"] = None if valid is None else valid.loss
        row["accuracy/valid"] = None if valid is None else valid.accuracy
        row["accuracy/valid_best"] = None if valid is None else best_accuracy
        row["lr"] = lr
        row["memory/peak_mb"] = peak_memory_mb(self.device)
        self._board.scalars(row, epoch)
        self.folder.append_metrics({"epoch": epoch, **row})
        self._progress.epoch(row)
        log.info("epoch %d/%d  %s", epoch, self.config.training.epochs, epoch_line(row))

    def flush(self) -> None:
        """Wait until all that was recorded is on the disk."""
        self._board.flush()

    def draw(self, epoch: int, inputs: EventBatch, spikes: Sequence[EventBatch]) -> None:
        """Rasters of the first sample of a batch, and histograms of weights and time constants; once an epoch.

        The input is drawn after the first epoch only, as the sample is always the same one.
        """
        if epoch == self._drawn_epoch:
            return
        self._drawn_epoch = epoch
        dt = self.config.dataset.dt
        rows = [("input", inputs, "channel")] if epoch <= 1 else []
        rows += [(name, layer, "neuron") for name, layer in zip(self.network.layer_names(), spikes, strict=True)]
        for name, events, row in rows:
            figure = figures.sample_raster(events, 0, dt, name if name == "input" else f"{name}, epoch {epoch}", row)
            self._picture(f"raster/{name}", f"raster_{name}", figures.png(figure), epoch)
        self.histograms(epoch)

    def histograms(self, epoch: int) -> None:
        """Distributions of weights and time constants."""
        for tag, values in self.network.distributions().items():
            self._board.histogram(tag, values, epoch)

    def finish(
        self, epochs: int, best_epoch: int, valid: Evaluation | None, last: Evaluation | None, best: Evaluation | None
    ) -> None:
        """Write and show the final figures.

        Args:
            epochs: how many were trained.
            best_epoch: the epoch of the best checkpoint.
            valid: validation figures of the best checkpoint, or None.
            last: test figures of the last state, or None.
            best: test figures of the best checkpoint, or None.
        """
        rows = self.folder.metrics()
        accuracy, loss = _final_figures(rows, valid, last, best)
        if best is not None:
            accuracy |= _by_speaker(best, self.data)
            self._board.scalars({"accuracy/test": best.accuracy, "loss/test": best.loss}, epochs)
            counts = best.confusion(len(self.data.classes)).numpy()
            self._picture("confusion", "confusion", figures.png(figures.confusion(counts, self.data.classes)), epochs)
        if rows:
            self.folder.save_figure("curves", figures.png(figures.learning_curves(rows, best_epoch)))
        layers = self.network.layer_names()
        rates = {name: rows[-1].get(f"rate_hz/{name}") for name in layers} if rows else {}
        cosines = {tag.split("/")[1]: rows[-1][tag] for tag in rows[-1] if tag.startswith("cosine/")} if rows else {}
        self.folder.update_results(cosine=cosines or None)
        self.folder.update_results(accuracy=accuracy, loss=loss, epochs=epochs, best_epoch=best_epoch, rate_hz=rates)
        shown = [f"{name.replace('_', ' ')} {value:.1%}" for name, value in accuracy.items() if not math.isnan(value)]
        self.say("accuracy: " + ", ".join(shown) if shown else "nothing was trained")
        self._end("done")

    def _end(self, status: Status) -> None:
        self.folder.update_results(status=status, seconds=round(time.perf_counter() - self.started, 3))
        if status == "done" or (status == "failed" and not self.folder.checkpoints.path("last").exists()):
            self._board.finish(status)

    def _picture(self, tag: str, name: str, png: bytes, epoch: int) -> None:
        self.folder.save_figure(name, png)
        self._board.image(tag, png, epoch)


def _final_figures(
    rows: Sequence[dict[str, float]], valid: Evaluation | None, last: Evaluation | None, best: Evaluation | None
) -> tuple[dict[str, float], dict[str, float]]:
    """The sections accuracy and loss of results.json; NaN where a figure does not exist."""
    final = rows[-1] if rows else {}
    accuracy, loss = {}, {}
    for part in ("train", "valid"):
        accuracy[part] = final.get(f"accuracy/{part}", math.nan)
        loss[part] = final.get(f"loss/{part}", math.nan)
    for name, found in (("valid_best", valid), ("test", best), ("test_last", last)):
        accuracy[name] = math.nan if found is None else found.accuracy
        loss[name] = math.nan if found is None else found.loss
    return accuracy, loss


def _by_speaker(found: Evaluation, data: Dataset) -> dict[str, float]:
    """Test accuracy on speakers that were trained on, and on those that were neither trained nor validated on."""
    masks = {"test_known_speakers": data.known_speakers, "test_unseen_speakers": data.unseen_speakers}
    correct = found.correct
    return {
        name: float(correct[torch.from_numpy(mask)].double().mean())
        for name, mask in masks.items()
        if mask is not None and mask.any()
    }
