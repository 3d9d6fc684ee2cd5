"""One job of a search, seen from inside: what it reports, and whether it is hopeless."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

FILE = "file:"  # a storage that is a journal file, and no database


@dataclass(frozen=True)
class Trial:
    """Which trial of which search a job is; plain data.

    Attributes:
        storage: URL of a database, or "file:" and the path of a journal.
        study: name of the search in it.
        id: number of the trial in the storage.
        pruner: as in the configuration.
        warmup: epochs before it can be ended.
    """

    storage: str
    study: str
    id: int
    pruner: str
    warmup: int

    def watch(self) -> "Watch":
        """Open the search, to report to it."""
        import optuna

        study = optuna.load_study(
            study_name=self.study, storage=open_storage(self.storage), pruner=build_pruner(self.pruner, self.warmup)
        )
        return Watch(optuna.trial.Trial(study, self.id))


class Watch:
    """What a run calls after each epoch with its number and validation accuracy; returns whether it is hopeless."""

    def __init__(self, trial: "optuna.trial.Trial") -> None:
        """`trial` is told each accuracy."""
        self._trial = trial
        self.pruned = False

    def __call__(self, epoch: int, accuracy: float) -> bool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a job that goes on reports an epoch twice, which is no fault
            self._trial.report(accuracy, epoch)
        self.pruned = self._trial.should_prune()
        return self.pruned


def open_storage(name: str) -> "optuna.storages.BaseStorage":
    """Open the storage of a search, which several processes may do."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if name.startswith(FILE):
        return JournalStorage(JournalFileBackend(name.removeprefix(FILE)))
    return optuna.storages.get_storage(name)


def build_pruner(name: str, warmup: int) -> "optuna.pruners.BasePruner":
    """Return the pruner of that name."""
    import optuna

    if name == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=warmup)
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(min_resource=max(1, warmup))
    return optuna.pruners.NopPruner()
