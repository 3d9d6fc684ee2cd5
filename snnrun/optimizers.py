"""Optimisers and learning-rate schedules, all torch's own."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from snnrun.config.schema import AdamConfig, OptimizerConfig, SgdConfig


def _plain(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """`kind` without its ties to torch's compiler, which the first call imports: 140 MB and seconds a run."""
    tied = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    own = {name: inspect.unwrap(getattr(kind, name)) for name in tied}
    own["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(kind.__name__, (kind,), own)


OPTIMIZERS = {
    "adam": _plain(torch.optim.Adam),
    "adamax": _plain(torch.optim.Adamax),
    "adamw": _plain(torch.optim.AdamW),
    "sgd": _plain(torch.optim.SGD),
}


def build_optimizer(
    config: OptimizerConfig, parameters: Iterable[nn.Parameter], delays: Sequence[nn.Parameter] = ()
) -> torch.optim.Optimizer:
    """The optimiser that the config names, over `parameters`; those of them that are `delays` have their own rate.

    Only weights, which have two dimensions, decay: a time constant that shrinks would be another neuron.
    """
    others = [p for p in parameters if not any(p is delay for delay in delays)]
    groups: list[dict[str, Any]] = [{"params": [p for p in others if p.dim() == 2]}]
    if constants := [p for p in others if p.dim() != 2]:
        groups.append({"params": constants, "weight_decay": 0.0})
    if learned := [p for p in delays if p.requires_grad]:
        groups.append({"params": learned, "weight_decay": 0.0, "lr": config.delay_lr})
    kind: Any = OPTIMIZERS[config.name]
    if isinstance(config, SgdConfig):
        own: dict[str, Any] = {"momentum": config.momentum}
    else:
        assert isinstance(config, AdamConfig)
        own = {"betas": config.betas}
    made: torch.optim.Optimizer = kind(groups, lr=config.lr, weight_decay=config.weight_decay, **own)
    return made


class Schedule:
    """How the learning rate changes: `onecycle` after every batch, the others after every epoch."""

    def __init__(self, config: OptimizerConfig, optimizer: torch.optim.Optimizer, epochs: int, batches: int) -> None:
        """For `epochs` epochs of `batches` batches each."""
        self.by_batch = config.schedule == "onecycle"
        self.epochs = epochs
        self.stretched = False  # whether it goes on as that of a longer run than it began with
        self.spans_run = config.schedule in ("cosine", "onecycle")
        self._batches = batches
        self._optimizer = optimizer
        self._torch: lr_scheduler.LRScheduler | None = None
        match config.schedule:
            case "step":
                self._torch = lr_scheduler.StepLR(optimizer, config.schedule_step, config.schedule_gamma)
            case "exponential":
                self._torch = lr_scheduler.ExponentialLR(optimizer, config.schedule_gamma)
            case "cosine":
                self._torch = lr_scheduler.CosineAnnealingLR(optimizer, max(epochs, 1))
            case "onecycle":
                # The peak is the configured rate; torch starts at a 25th of it and ends near zero.
                peaks = [group["lr"] for group in optimizer.param_groups]
                self._torch = lr_scheduler.OneCycleLR(optimizer, peaks, total_steps=max(epochs * batches, 1))
            case "plateau":
                self._torch = lr_scheduler.ReduceLROnPlateau(
                    optimizer, factor=config.schedule_gamma, patience=config.schedule_step
                )

    @property
    def lr(self) -> float:
        """The present learning rate."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_batch(self) -> None:
        """Call after every gradient step."""
        if self.by_batch and self._torch is not None:
            self._torch.step()

    def after_epoch(self, loss: float) -> None:
        """Call after every epoch; `plateau` waits for `loss` (validation, or training without it) to stop falling."""
        if self.by_batch or self._torch is None:
            return
        if isinstance(self._torch, lr_scheduler.ReduceLROnPlateau):
            self._torch.step(loss)
        else:
            self._torch.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of the schedule and of its optimiser, to go on later."""
        own = {} if self._torch is None else self._torch.state_dict()
        return {"epochs": self.epochs, "schedule": own, "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any], epoch: int) -> None:
        """Go on from a state after `epoch` epochs, in a schedule that has just been made.

        Where the schedule spans the run and the run is now longer, it goes on as that of the longer run at this epoch.
        """
        groups = state["optimizer"]["param_groups"]
        self.stretched = self.spans_run and state["epochs"] != self.epochs
        if self.stretched:
            self._skip(epoch)
            groups = self._optimizer.state_dict()["param_groups"]
        elif self._torch is not None:
            self._torch.load_state_dict(state["schedule"])
        self._optimizer.load_state_dict({"state": state["optimizer"]["state"], "param_groups": groups})

    def _skip(self, epochs: int) -> None:
        assert self._torch is not None
        self._optimizer.step()  # torch warns of a schedule that is ahead of its optimiser; without gradients it idles
        for _ in range(epochs * (self._batches if self.by_batch else 1)):
            self._torch.step()
