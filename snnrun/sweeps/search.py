"""sweeper=optuna: jobs whose values are chosen by how well those before them did on the validation data."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import optuna
from optuna.trial import TrialState

from snnrun.config.overrides import Span
from snnrun.config.search import Space, Values
from snnrun.config.sweeps import OptunaConfig
from snnrun.errors import UserError
from snnrun.sweeps.job import Job, Outcome, read_results, state
from snnrun.sweeps.trial import FILE, Trial, build_pruner, open_storage

JOURNAL = "search.log"
STUDY = "search"
WORDS = "words"  # of the command line of a trial, kept with it so that it can go on
Compose = Callable[[list[str]], Job]


class Search:
    """A search in a sweep's folder; iterate it for the jobs, and tell it how each of them ended."""

    def __init__(self, config: OptunaConfig, space: Space, compose: Compose, folder: Path) -> None:
        """`compose` makes a job of the words of a command line. Raises UserError where the storage cannot be had."""
        self._config, self._space, self._compose = config, space, compose
        self._storage = config.storage or f"{FILE}{folder / JOURNAL}"
        self._name = STUDY if config.storage is None else f"{folder.parent.name}/{folder.name}"
        try:
            self._study = optuna.create_study(
                study_name=self._name,
                storage=open_storage(self._storage),
                sampler=_sampler(config),
                pruner=build_pruner(config.pruner, config.warmup),
                direction="maximize",
                load_if_exists=True,
            )
        except Exception as error:  # a database has its own errors
            raise UserError(f"sweeper.storage={config.storage}: {str(error).strip().splitlines()[0]}") from None
        self._trials: dict[str, optuna.Trial] = {}
        self._cut_off = self._study.get_trials(states=(TrialState.RUNNING,))
        finished = self._study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
        self._left = max(len(self._cut_off), config.trials - len(finished))

    def jobs(self) -> Iterator[Job]:
        """Yield jobs until there are as many trials as asked for; first those that were cut off."""
        for earlier in self._cut_off:
            yield self._job(optuna.Trial(self._study, earlier._trial_id), earlier.user_attrs.get(WORDS))
        for _ in range(self._left - len(self._cut_off)):
            yield self._job(self._study.ask())

    @property
    def left(self) -> int:
        """How many jobs there still were at the start."""
        return self._left

    def all(self) -> list[Job]:
        """The jobs of all trials so far, in their order."""
        return [
            self._numbered(trial.number, trial.user_attrs[WORDS])
            for trial in self._study.get_trials()
            if WORDS in trial.user_attrs
        ]

    def tell(self, outcome: Outcome) -> None:
        """Take note of how a job ended; only its validation accuracy counts."""
        trial = self._trials.pop(outcome.job.name)
        results = read_results(outcome.job.folder) or {}
        accuracy = results.get("accuracy", {}).get("valid_best")
        if results.get("status") == "pruned":
            self._study.tell(trial, state=TrialState.PRUNED)
        elif results.get("status") == "done" and accuracy is not None:
            self._study.tell(trial, accuracy)
        elif state(outcome.job.folder) != "cut off":  # which goes on when the sweep does
            self._study.tell(trial, state=TrialState.FAIL)

    def _job(self, trial: optuna.Trial, words: list[str] | None = None) -> Job:
        if words is None:
            words = self._space.words(lambda key, values: _suggest(trial, key, values))
            trial.set_user_attr(WORDS, words)
        job = self._numbered(trial.number, words)
        self._trials[job.name] = trial
        watched = Trial(self._storage, self._name, trial._trial_id, self._config.pruner, self._config.warmup)
        return replace(job, trial=watched)

    def _numbered(self, number: int, words: list[str]) -> Job:
        """The job of a trial; its folder begins with its number, since values may come twice."""
        job = self._compose(words)
        return replace(job, folder=job.folder.with_name(f"trial={number:04d},{job.name}"))


def _suggest(trial: optuna.Trial, key: str, values: Values) -> str:
    if not isinstance(values, Span):
        return str(trial.suggest_categorical(key, list(values)))
    if values.integer:
        return str(trial.suggest_int(key, int(values.low), int(values.high), log=values.log))
    value = trial.suggest_float(key, values.low, values.high, log=values.log)
    return repr(float(f"{value:.6g}"))  # all that matters, in a name that can be read


def _sampler(config: OptunaConfig) -> optuna.samplers.BaseSampler:
    kinds: dict[str, Callable[..., optuna.samplers.BaseSampler]] = {
        "tpe": optuna.samplers.TPESampler,
        "gp": optuna.samplers.GPSampler,
        "random": optuna.samplers.RandomSampler,
        "qmc": optuna.samplers.QMCSampler,
    }
    return kinds[config.sampler](seed=config.sampler_seed)
