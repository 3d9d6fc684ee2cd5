"""The training loop: from a checked configuration to a finished run folder."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snnrun import __version__
from snnrun.baselines import build
from snnrun.best import Best
from snnrun.calibration import Calibration, with_measured_rate
from snnrun.config import CalibratedConfig, ComparedConfig, Config
from snnrun.config.stored import resumed_config
from snnrun.data import Dataset, load
from snnrun.data.batch import EventBatch
from snnrun.data.batches import batches, placed
from snnrun.data.binning import steps_in
from snnrun.data.device_events import DeviceEvents
from snnrun.data.digest import digests
from snnrun.data.events import EventSet
from snnrun.device import pick_device, reset_peak_memory
from snnrun.diagnosis import diagnose
from snnrun.engine.select import choose
from snnrun.engine.types import Engine
from snnrun.epoch import Learner, Tally, train_epoch
from snnrun.errors import UserError
from snnrun.evaluate import Evaluation, evaluate
from snnrun.heterogeneity import read_reference, time_constants
from snnrun.interrupts import Interrupts
from snnrun.learning import Task, build_rule
from snnrun.learning.comparison import Comparison
from snnrun.network import Network, NetworkOutput
from snnrun.optimizers import Schedule, build_optimizer
from snnrun.preflight import check_first_batch
from snnrun.regularizers import ActivityBounds
from snnrun.reporter import Reporter
from snnrun.resuming import FORMAT, Standing, already_done, check_data, check_epochs, check_state, value_of
from snnrun.run_folder import RunFolder
from snnrun.seeding import global_states, numpy_stream, restore_global_states, seed_everything, stream

Watch = Callable[[int, float], bool]  # (epoch, validation accuracy) -> whether to end the run early
DIAGNOSED_SAMPLES = 64  # at most: the reference engine keeps every potential of the batch


def run(config: Config, folder: Path, overrides: list[str], watch: Watch | None = None) -> float:
    """Train as `config` says and leave everything in `folder`; `watch` may end it early.

    Returns:
        The best validation accuracy; the test accuracy where nothing was held out.

    Raises:
        UserError: the data or the device cannot be had; nothing was written.
        RunError: the run broke off; its folder has the status "failed".
        Interrupted: a signal stopped it; its folder has the status "interrupted".
    """
    started = time.perf_counter()
    training = Training.prepare(config, watch)
    with RunFolder.create(folder) as made:
        return training.begin(made, overrides, started)


def resume(folder: Path, overrides: Sequence[str] = (), watch: Watch | None = None) -> float:
    """Go on with the run in `folder` after its last whole epoch, as if it had never stopped.

    A run that was killed before its first checkpoint begins anew; one that is done stays as it is, which a line says.

    Args:
        folder: of the run, which may have been moved since.
        overrides: of keys that do not change the experiment, such as training.epochs; see `resumed_config`.
        watch: as `run`.

    Returns:
        As `run`.

    Raises:
        UserError: there is no such run, another process is at it, or its data or version are not what they were.
        RunError, Interrupted: as `run`.
    """
    started = time.perf_counter()
    with RunFolder.open(folder).lock() as found:
        config, results = resumed_config(found.config(), overrides), found.results()
        state, warning = found.checkpoints.newest()
        if state is None:
            if len(found.metrics()) > 1:  # one row may have been written just before the first checkpoint
                raise UserError(f"{folder} has epochs in metrics.csv, but no checkpoint to go on from")
            print(f"{folder}: no epoch was finished; it begins anew", flush=True)
            return Training.prepare(config, watch).begin(found, [*results.get("overrides", []), *overrides], started)
        check_state(state, folder)
        found.environment()  # raises before anything is written
        standing = Standing(state["epoch"], state["best"]["epoch"])
        check_epochs(config, standing)
        if results.get("status") == "done" and standing.finished(config):
            line = already_done(folder, config, standing)
            if config.training.epochs > found.config()["training"]["epochs"]:
                raise UserError(f"training.epochs={config.training.epochs}: {line}")
            print(line, flush=True)
            return value_of(results)
        training = Training.prepare(config, watch)
        check_data(training.digests, state["data"], config)
        training.restore(state, folder)
        return training.go_on(found, overrides, started, warning)


class Training:
    """A run in progress: the data, what learns, and how far it is."""

    @classmethod
    def prepare(cls, config: Config, watch: Watch | None = None) -> "Training":
        """Load the data and build the network of a configuration. Raises UserError; writes nothing."""
        seed_everything(config.seed, config.deterministic)
        device = pick_device(config.device)
        reset_peak_memory(device)
        data = load(config.dataset, config.seed)
        config = with_measured_rate(config, data.train)
        inputs = -(-data.channels // config.dataset.pool)
        network = build(config, inputs, len(data.classes), stream(config.seed, "weights")).to(device)
        engine, reason = choose(config.engine, device, network.tensors())
        training = cls(config, data, network, engine, reason, device)
        training.watch = watch
        return training

    def __init__(
        self, config: Config, data: Dataset, network: Network, engine: Engine, reason: str, device: torch.device
    ) -> None:
        """`reason` says why the engine was chosen; `prepare` makes the rest."""
        self.watch: Watch | None = None
        self.config = config
        self.tau_reference = read_reference(config)
        self.tau_start = time_constants(network)
        self.data = data
        self.digests = digests(data)
        options = config.dataset
        self.train = placed(data.train, device, options, changed=True)
        self.valid = None if data.valid is None else placed(data.valid, device, options, changed=False)
        self.test = None if data.test is None else placed(data.test, device, options, changed=False)
        self.network = network
        self.reason = reason
        self.interrupts = Interrupts()
        self.best = Best(config.training.monitor)
        self.epoch = 0
        self.shuffle = stream(config.seed, "shuffle")
        self.augment = numpy_stream(config.seed, "augment")
        rule = build_rule(config.learning, self._task(engine))
        compared = isinstance(config.learning, ComparedConfig) and config.learning.compare_to_bptt
        delays = [delays.value for delays in network.delays().values()]
        optimizer = build_optimizer(config.optimizer, [*network.parameters(), *rule.parameters()], delays)
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
            label_smoothing=self.config.training.label_smoothing,
        )

    def begin(self, folder: RunFolder, overrides: Sequence[str], started: float) -> float:
        """Train from the first epoch to the end; `started` is the perf_counter at which the run began."""
        with self.interrupts, self.reporter(folder, started) as reporter:
            reporter.start(overrides, *self.engines, self.reason)
            self.calibrate(reporter)
            if self.config.training.diagnose or self.config.training.epochs == 0:
                self.diagnose(reporter)
            if self.config.training.epochs == 0:
                return self.untrained(reporter)
            reporter.histograms(0)
            return self.fit(reporter)

    def go_on(self, folder: RunFolder, overrides: Sequence[str], started: float, warning: str | None) -> float:
        """Train from a restored state to the end; `warning` is about the checkpoint it was restored from."""
        with self.interrupts, self.reporter(folder, started) as reporter:
            if warning:
                reporter.warn(warning)
            if self.learner.schedule.stretched:
                reporter.say(f"the learning rate goes on as that of a run of {self.config.training.epochs} epochs")
            self.save_best(folder)  # a kill may have come between the best checkpoint and the last one
            reporter.go_on(overrides, *self.engines, self.reason)
            self.draw_if_due(reporter)
            return self.fit(reporter)

    @property
    def engines(self) -> tuple[str, str]:
        """Names of the implementations that train and that evaluate."""
        return self.learner.rule.trains_on, self.learner.engine.name

    def reporter(self, folder: RunFolder, started: float) -> Reporter:
        """What this run writes and shows."""
        return Reporter(folder, self.config, self.network, self.data, self.learner.device, started, self.epoch)

    def calibrate(self, reporter: Reporter) -> None:
        """Scale the initial weights on a batch of training data, where the scheme is to do so."""
        scheme = self.config.init
        if isinstance(scheme, CalibratedConfig):
            inputs, _ = self.some_batch("calibration", self.config.training.batch_size)
            lines = Calibration(
                self.network, self.learner.engine, inputs, scheme.target_rate_hz, self.learner.duration_s
            ).run()
            for line in lines:
                reporter.say(line)

    def diagnose(self, reporter: Reporter) -> None:
        """Tell what the untrained network does."""
        inputs, labels = self.some_batch("diagnosis", min(self.config.training.batch_size, DIAGNOSED_SAMPLES))
        reporter.diagnosis(diagnose(self.config, self.learner.rule.task, inputs, labels))

    def untrained(self, reporter: Reporter) -> float:
        """End a run that only tells what the untrained network does; returns NaN, as nothing was learnt."""
        self.draw(reporter)
        reporter.finish(0, 0, None, None, None)
        return math.nan

    def fit(self, reporter: Reporter) -> float:
        """Train for the configured epochs, or until no epoch has been better for a while; returns the run's value."""
        while not self.standing.finished(self.config):
            self.epoch += 1
            reporter.begin_epoch(self.epoch)
            self.network.begin_epoch(self.epoch, self.config.training.epochs)
            tally = train_epoch(self.learner, self.training_batches(), self.after_batch(reporter))
            valid = self.evaluate(self.valid)
            better = self.best.update(self.epoch, valid, self.network)
            self.learner.schedule.after_epoch(tally.loss if valid is None else valid.loss)
            reporter.end_epoch(self.epoch, tally, valid, self.best.accuracy, self.learner.schedule.lr)
            self.draw_if_due(reporter)
            reporter.flush()  # a resumed run counts on what came before its checkpoint
            reporter.folder.checkpoints.save_last(self.state())
            if better:
                self.save_best(reporter.folder)
            if self.watch is not None and valid is not None and self.watch(self.epoch, valid.accuracy):
                reporter.say("ended early by the search: others were better at this epoch")
                break
        if self.standing.stopped_early(self.config):
            reporter.say(f"stopped early: no epoch since {self.best.epoch} was better")
        return self.finish(reporter)

    @property
    def standing(self) -> Standing:
        """How far it is."""
        return Standing(self.epoch, self.best.epoch)

    def finish(self, reporter: Reporter) -> float:
        """Evaluate the test set, once, on the best checkpoint and on the last state; returns the run's value."""
        self.draw(reporter)
        last = best = self.evaluate(self.test)
        if 0 < self.best.epoch < self.epoch:
            self.network.load_state_dict(self.best.network)
            best = self.evaluate(self.test)
        reporter.time_constants(self.epoch, self.tau_start, self.tau_reference)
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

    def some_batch(self, purpose: str, size: int) -> tuple[EventBatch, Tensor]:
        """At most `size` training samples, unchanged, drawn from the random stream `purpose`."""
        order = torch.randperm(len(self.data.train), generator=stream(self.config.seed, purpose)).numpy()
        inputs, labels = next(self.batches(self.train, order[:size]))
        return inputs.to(self.learner.device), labels.to(self.learner.device)

    def batches(
        self, events: EventSet | DeviceEvents, order: NDArray[np.int64], augment: np.random.Generator | None = None
    ) -> Iterator[tuple[EventBatch, Tensor]]:
        """The samples `order` of a part, binned; a signal ends the run between two batches."""
        for batch in batches(events, order, self.config.training.batch_size, self.config.dataset, augment):
            self.interrupts.check()
            yield batch

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
        # No signal is looked at, since the epoch before it is not saved yet.
        inputs, _ = next(batches(part, np.array([0]), 1, self.config.dataset))
        with torch.no_grad():
            self.network.eval()
            output = self.network(inputs.to(self.learner.device), self.learner.engine, record=True)
        reporter.draw(self.epoch, inputs, output.spikes)

    def draw_if_due(self, reporter: Reporter) -> None:
        """Draw after every so many epochs, and after the last one."""
        if (self.epoch - 1) % self.config.training.log_every == 0 or self.standing.finished(self.config):
            self.draw(reporter)

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on, as plain data."""
        return {
            "format": FORMAT,
            "version": __version__,
            "data": self.digests,
            "epoch": self.epoch,
            "best": self.best.state_dict(),
            "network": self.network.state_dict(),
            "rule": self.learner.rule.state_dict(),
            "schedule": self.learner.schedule.state_dict(),
            "shuffle": self.shuffle.get_state(),
            "augment": self.augment.bit_generator.state,
            "random": global_states(),
        }

    @torch.no_grad()
    def restore(self, state: dict[str, Any], folder: Path) -> None:
        """Take over what `state` returned. Raises UserError, which names `folder`, if it does not fit the network."""
        try:
            self.network.load_state_dict(state["network"])
            self.learner.rule.load_state_dict(state["rule"])
            self.learner.schedule.load_state_dict(state["schedule"], state["epoch"])
        except (RuntimeError, ValueError) as error:
            text = " ".join(str(error).split())
            raise UserError(f"{folder}: its checkpoint does not fit the network of its configuration: {text}") from None
        self.epoch = state["epoch"]
        self.best.load_state_dict(state["best"])
        self.shuffle.set_state(state["shuffle"])
        self.augment.bit_generator.state = state["augment"]
        restore_global_states(state["random"])

    def save_best(self, folder: RunFolder) -> None:
        """Write the best network so far, from which the run is evaluated."""
        folder.checkpoints.save_best(
            {
                "format": FORMAT,
                "version": __version__,
                "data": self.digests,
                "epoch": self.best.epoch,
                "network": self.best.network,
            }
        )
