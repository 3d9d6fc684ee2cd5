"""The training loop: from a checked configuration to a finished run folder."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnrun.calibration import Calibration, with_measured_rate
from snnrun.config import CalibratedConfig, ComparedConfig, Config
from snnrun.data import Dataset, load
from snnrun.data.batch import EventBatch
from snnrun.data.batches import batches, placed
from snnrun.data.binning import steps_in
from snnrun.data.device_events import DeviceEvents
from snnrun.data.events import EventSet
from snnrun.device import pick_device, reset_peak_memory
from snnrun.engine.select import choose
from snnrun.engine.types import Engine
from snnrun.epoch import Learner, Tally, train_epoch
from snnrun.evaluate import Evaluation, evaluate
from snnrun.learning import Task, build_rule
from snnrun.learning.comparison import Comparison
from snnrun.network import Network, NetworkOutput, build_network
from snnrun.optimizers import Schedule, build_optimizer
from snnrun.preflight import check_first_batch
from snnrun.regularizers import ActivityBounds
from snnrun.reporter import Reporter
from snnrun.run_folder import RunFolder
from snnrun.seeding import numpy_stream, seed_everything, stream


def run(config: Config, folder: Path, overrides: list[str]) -> float:
    """Train as `config` says and leave everything in `folder`.

    Returns:
        The best validation accuracy; the test accuracy where nothing was held out.

    Raises:
        UserError: the data or the device cannot be had; nothing was written.
        RunError: the run broke off; its folder has the status "failed".
    """
    started = time.perf_counter()
    seed_everything(config.seed, config.deterministic)
    device = pick_device(config.device)
    reset_peak_memory(device)
    data = load(config.dataset, config.seed)
    config = with_measured_rate(config, data.train)
    inputs = -(-data.channels // config.dataset.pool)
    network = build_network(config, inputs, len(data.classes), stream(config.seed, "weights")).to(device)
    engine, reason = choose(config.engine, device, network.tensors())
    training = Training(config, data, network, engine, device)
    with Reporter(RunFolder.create(folder), config, network, data, device, started) as reporter:
        reporter.start(overrides, training.learner.rule.trains_on, engine.name, reason)
        training.calibrate(reporter)
        training.fit(reporter)
        return training.finish(reporter)


@dataclass
class Best:
    """The best epoch so far by the validation figure `monitor` (accuracy, loss); the last one without validation."""

    monitor: str
    epoch: int = 0
    found: Evaluation | None = None

    @property
    def accuracy(self) -> float:
        """Validation accuracy of that epoch; NaN without one."""
        return math.nan if self.found is None else self.found.accuracy

    def update(self, epoch: int, found: Evaluation | None) -> bool:
        """Take over an epoch if it is better; returns whether it was."""
        if found is not None and self.found is not None and not self._key(found) > self._key(self.found):
            return False
        self.epoch, self.found = epoch, found
        return True

    def _key(self, found: Evaluation) -> tuple[float, float]:
        """What is compared, larger is better; the other figure decides a tie."""
        figures = (found.accuracy, -found.loss)
        return figures if self.monitor == "accuracy" else figures[::-1]


class Training:
    """A run in progress: the data, what learns, and how far it is."""

    def __init__(self, config: Config, data: Dataset, network: Network, engine: Engine, device: torch.device) -> None:
        self.config = config
        self.data = data
        options = config.dataset
        self.train = placed(data.train, device, options, changed=True)
        self.valid = None if data.valid is None else placed(data.valid, device, options, changed=False)
        self.test = None if data.test is None else placed(data.test, device, options, changed=False)
        self.network = network
        self.best = Best(config.training.monitor)
        self.epoch = 0
        self.shuffle = stream(config.seed, "shuffle")
        self.augment = numpy_stream(config.seed, "augment")
        rule = build_rule(config.learning, self._task(engine))
        compared = isinstance(config.learning, ComparedConfig) and config.learning.compare_to_bptt
        optimizer = build_optimizer(config.optimizer, [*network.parameters(), *rule.parameters()])
        batches = math.ceil(len(data.train) / config.training.batch_size)
        self.learner = Learner(
            network=network,
            engine=engine,
            optimizer=optimizer,
            schedule=Schedule(config.optimizer, optimizer, config.training.epochs, batches),
            rule=rule,
            comparison=Comparison(rule) if compared else None,
            clip=config.training.clip_grad_norm,
            duration_s=config.dataset.duration / 1000,
            device=device,
        )

    def _task(self, engine: Engine) -> Task:
        return Task(
            network=self.network,
            engine=engine,
            bounds=ActivityBounds(**asdict(self.config.regularizer)),
            duration_s=self.config.dataset.duration / 1000,
            generator=stream(self.config.seed, "feedback"),
            readout_scale=self.config.init.readout_scale,
        )

    def calibrate(self, reporter: Reporter) -> None:
        """Scale the initial weights on a batch of training data, where the scheme is to do so."""
        scheme = self.config.init
        if isinstance(scheme, CalibratedConfig):
            order = torch.randperm(len(self.data.train), generator=stream(self.config.seed, "calibration")).numpy()
            inputs, _ = next(self.batches(self.train, order))
            inputs = inputs.to(self.learner.device)
            lines = Calibration(
                self.network, self.learner.engine, inputs, scheme.target_rate_hz, self.learner.duration_s
            ).run()
            for line in lines:
                reporter.say(line)

    def fit(self, reporter: Reporter) -> None:
        """Train for the configured epochs, or until no epoch has been better for a while."""
        patience = self.config.training.early_stopping
        while self.epoch < self.config.training.epochs:
            self.epoch += 1
            reporter.begin_epoch(self.epoch)
            tally = train_epoch(self.learner, self.training_batches(), self.after_batch(reporter))
            valid = self.evaluate(self.valid)
            better = self.best.update(self.epoch, valid)
            self.learner.schedule.after_epoch(tally.loss if valid is None else valid.loss)
            reporter.end_epoch(self.epoch, tally, valid, self.best.accuracy, self.learner.schedule.lr)
            self.save(reporter.folder, better)
            if (self.epoch - 1) % self.config.training.log_every == 0:
                self.draw(reporter)
            if 0 < patience <= self.epoch - self.best.epoch:
                reporter.say(f"stopped early: no epoch since {self.best.epoch} was better")
                break

    def finish(self, reporter: Reporter) -> float:
        """Evaluate the test set, once, on the best checkpoint and on the last state; returns the run's value."""
        self.draw(reporter)
        last = best = self.evaluate(self.test)
        if last is not None and 0 < self.best.epoch < self.epoch:
            self.network.load_state_dict(reporter.folder.load_checkpoint("best", self.learner.device)["network"])
            best = self.evaluate(self.test)
        reporter.finish(self.epoch, self.best.epoch, self.best.found, last, best)
        return self.best.accuracy if self.best.found or best is None else best.accuracy

    def evaluate(self, events: EventSet | DeviceEvents | None) -> Evaluation | None:
        """Figures over a part of the data; None where there is no such part."""
        if events is None or len(events) == 0:
            return None
        order = np.arange(len(events))
        return evaluate(self.network, self.learner.engine, lambda: self.batches(events, order), self.learner.device)

    def training_batches(self) -> Iterator[tuple[EventBatch, Tensor]]:
        """All training samples in a new order, changed as the data set's keys ask for."""
        order = torch.randperm(len(self.data.train), generator=self.shuffle).numpy()
        return self.batches(self.train, order, self.augment)

    def batches(
        self, events: EventSet | DeviceEvents, order: NDArray[np.int64], augment: np.random.Generator | None = None
    ) -> Iterator[tuple[EventBatch, Tensor]]:
        """The samples `order` of a part, binned."""
        return batches(events, order, self.config.training.batch_size, self.config.dataset, augment)

    def after_batch(self, reporter: Reporter) -> Any:
        """What happens after each batch: the display, and the check of the very first one."""

        def act(tally: Tally, output: NetworkOutput) -> None:
            if self.epoch == 1 and tally.batches == 1 and self.config.training.check:
                steps = steps_in(self.config.dataset.duration, self.config.dataset.dt)
                for warning in check_first_batch(
                    self.network, output.counts, tally.norms, steps, self.learner.duration_s
                ):
                    reporter.warn(warning)
            reporter.batch(tally)

        return act

    def draw(self, reporter: Reporter) -> None:
        """Histograms, and rasters of the input and of every hidden layer for one fixed validation sample."""
        part = self.train if self.valid is None else self.valid
        inputs, _ = next(self.batches(part, np.array([0])))
        with torch.no_grad():
            self.network.eval()
            output = self.network(inputs.to(self.learner.device), self.learner.engine, record=True)
        reporter.draw(self.epoch, inputs, output.spikes)

    def save(self, folder: RunFolder, better: bool) -> None:
        """Write the checkpoint of this epoch, and the best one where it is the best."""
        state = {
            "epoch": self.epoch,
            "best_epoch": self.best.epoch,
            "network": self.network.state_dict(),
            "rule": self.learner.rule.state_dict(),
            "optimizer": self.learner.optimizer.state_dict(),
            "schedule": self.learner.schedule.state_dict(),
            "shuffle": self.shuffle.get_state(),
            "augment": self.augment.bit_generator.state,
        }
        folder.save_checkpoint("last", state)
        if better:
            folder.save_checkpoint("best", state)
