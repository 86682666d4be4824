"""The trials of one study: how many there are to be, who has which, and how each ended.

A study is a row of places, made as they are needed up to the total; a worker takes the first that is free, and
a place whose worker died is free again, with what it had found: so the total is exact, however often all are killed.
"""

import contextlib
import json
import re
import secrets
import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Literal

import optuna
from optuna import Trial
from optuna.storages import BaseStorage
from optuna.storages._heartbeat import BaseHeartbeat
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from ... import paths
from ...config.base import NAME_PATTERN
from ...errors import ParamsError
from ..formatting import named
from ..identity import DEATHS, FOLDS, IDENTITY, MARK, REASON, TOTAL, WORKER, difference, other_study
from ..space import Values
from .liveness import Lost, Worker, bury, lives
from .storage import exclusive, exists, open_storage, where

Direction = Literal["minimize", "maximize"]

AHEAD = 100
"""Places that are made at once."""

ATTEMPTS = 5
"""Workers that die of a trial, one after the other and without a new fold or checkpoint, before it has failed."""
FAILURES = 5
"""Trials that fail one after the other before a study stops."""


@dataclass(frozen=True)
class Trials:
    """An opened study.

    name: under which it is kept. study: Optuna's.
    """

    name: str
    study: optuna.Study

    @classmethod
    def open(cls, name: str, identity: Mapping[str, Any], directions: Sequence[Direction]) -> "Trials":
        """Open study `name`, made if need be.

        Raises:
            ParamsError: it is a study of something else; says of what.
            StudyError: its storage does not answer.
        """
        storage = open_storage(name)
        with exclusive(name):
            trials = cls(name, _study(storage, name, directions))
            known = trials.study.user_attrs.get(IDENTITY)
            others = trials.others(identity) if known is not None else {}
            if others and trials._nothing_found():
                print(f"{name} begins anew with what params.yaml says now: nothing had come of it so far", flush=True)
                optuna.delete_study(study_name=name, storage=storage)
                trials, known, others = cls(name, _study(storage, name, directions)), None, {}
            if known is None:
                _name_objectives(trials.study, **identity["study"])
                trials.study.set_user_attr(MARK, secrets.token_hex(8))
                trials.study.set_user_attr(IDENTITY, dict(identity))
        if others:
            raise other_study(name, identity["name"], others)
        return trials

    @classmethod
    def load(cls, name: str) -> "Trials":
        """Open study `name`, which must exist.

        Raises:
            ParamsError: it does not.
        """
        none = ParamsError(
            f"study {name!r} must have begun, but {where(name)} holds none; run `fivefold study run {name}`"
        )
        if not re.fullmatch(NAME_PATTERN, name) or not exists(name):
            raise none
        try:
            study = optuna.load_study(
                storage=open_storage(name), study_name=name, sampler=optuna.samplers.RandomSampler()
            )
        except KeyError:
            raise none from None
        return cls(name, study)

    def others(self, identity: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return what this is a study of and `identity` is not, by dotted key."""
        return dict(difference(self.study.user_attrs[IDENTITY], json.loads(json.dumps(identity))))

    @property
    def storage(self) -> BaseStorage:
        """Where it is kept."""
        return self.study._storage

    def work(self, number: int) -> Path:
        """Return the folder of a trial's checkpoints, one below it for each fold; it lies on this machine."""
        return paths.study(self.name) / f"trial-{number}"

    def all(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in one of `states`, in order; without states all of them."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def places(self, total: int, fixed: list[Values]) -> None:
        """Make places, `total` at most; the first ones are to try `fixed` values, as Optuna keeps them."""
        with exclusive(self.name):
            have = len(self.all())
            for values in fixed[have:total]:
                self.study.enqueue_trial(values)
            self._make(total)

    def ask(self, total: int) -> None:
        """Write down how many trials there are to be, and make places for them, those beyond `AHEAD` later."""
        if self.study.user_attrs.get(TOTAL) != total:
            self.study.set_user_attr(TOTAL, total)
        self.places(total, [])

    def _make(self, total: int) -> None:
        """Make more places, `AHEAD` at most, while there are fewer than `total`. The caller holds the study."""
        for _ in range(min(total - len(self.all()), AHEAD)):
            self.study.add_trial(create_trial(state=TrialState.WAITING))

    def take(self, worker: Worker, total: int, most: int = 1) -> list[FrozenTrial]:
        """Return up to `most` free places among the first `total`, which are the worker's now.

        A trial that a worker died of is taken alone, so that it takes no other one with it.
        """
        with exclusive(self.name):
            self.free_dead()
            if len(self.all(TrialState.WAITING)) < most:
                self._make(total)
            free = [trial for trial in self.all(TrialState.WAITING) if trial.number < total]
            calm = [trial for trial in free if DEATHS not in trial.user_attrs]
            chosen = free[:1] if free[:1] != calm[:1] else calm[:most]
            return [trial for trial in chosen if self._claim(trial, worker)]

    def _claim(self, trial: FrozenTrial, worker: Worker) -> bool:
        """Make a free place the worker's; return whether it was free still.

        A database that was restarted meanwhile has forgotten who holds the study.
        """
        if isinstance(self.storage, BaseHeartbeat):
            self.storage.record_heartbeat(trial._trial_id)  # before it runs: one without is never taken back
        if not self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
            return False
        self.storage.set_trial_user_attr(trial._trial_id, WORKER, worker.name)
        return True

    def free_dead(self) -> None:
        """Make the places of dead workers free again. The caller holds the study."""
        stale = (
            self.storage._get_stale_trial_ids(self.study._study_id) if isinstance(self.storage, BaseHeartbeat) else []
        )
        dead = set()
        for trial in self.all(TrialState.RUNNING):
            worker = trial.user_attrs.get(WORKER, "")
            living = lives(self.name, worker)
            if living is False or (living is None and trial._trial_id in stale):
                dead.add(worker)
                self._free(trial)
        for worker in dead - {""}:
            bury(self.name, worker)

    def _free(self, trial: FrozenTrial) -> None:
        """Make the place of a dead worker free, unless one after the other died of it and came to nothing new."""
        reached = [len(trial.user_attrs.get(FOLDS, [])), written(self.work(trial.number))]
        before, deaths = trial.user_attrs.get(DEATHS, (reached, 0))
        deaths = deaths + 1 if before == reached else 1
        self.storage.set_trial_user_attr(trial._trial_id, DEATHS, [reached, deaths])
        if deaths < ATTEMPTS:
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            return
        why = (
            f"{deaths} workers died of it, one after the other, without a fold or a checkpoint in between; does its"
            " model fit memory?"
        )
        self.storage.set_trial_user_attr(trial._trial_id, REASON, why)
        self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def keep(self, trial: Trial) -> None:
        """Make sure that this process still has a trial.

        Raises:
            Lost: it was taken for dead, and another one has it.
        """
        now = self.storage.get_trial(trial._trial_id)
        if now.state != TrialState.RUNNING or now.user_attrs.get(WORKER) != trial.user_attrs.get(WORKER):
            raise Lost

    def tell(self, trial: Trial, values: list[float] | None, state: TrialState) -> None:
        """Write down how a trial ended.

        Raises:
            Lost: another process has it.
        """
        with exclusive(self.name):
            self.keep(trial)
            self.study.tell(trial, values, state=state)

    def give_back(self, places: Sequence[FrozenTrial], worker: Worker) -> None:
        """Make places free whose worker must end, but for those that it has done or lost."""
        with exclusive(self.name):
            for trial in self.all(TrialState.RUNNING):
                if trial.user_attrs.get(WORKER) == worker.name and trial.number in {each.number for each in places}:
                    self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def ended(self) -> set[int]:
        """Return the numbers of the trials that have ended."""
        return {trial.number for trial in self.all() if trial.state.is_finished()}

    def failing(self, before: Container[int]) -> str:
        """Return why the study must stop, since trial after trial failed that is not among `before`; else ""."""
        every = [trial for trial in self.all() if trial.state.is_finished() and trial.number not in before]
        last = sorted(every, key=lambda trial: trial.datetime_complete or datetime.min)[-FAILURES:]
        if len(last) < FAILURES or any(trial.state != TrialState.FAIL for trial in last):
            return ""
        return (
            f"{FAILURES} trials in a row failed, the last one, number {last[-1].number}, since"
            f" {last[-1].user_attrs.get(REASON, 'its worker died')}; mend that, or narrow the ranges in `search`"
        )

    def _nothing_found(self) -> bool:
        """Return whether nothing would be lost with this study."""
        self.free_dead()
        return all(
            trial.state == TrialState.FAIL or (trial.state == TrialState.WAITING and FOLDS not in trial.user_attrs)
            for trial in self.all()
        )

    def best(self) -> FrozenTrial | None:
        """Return the best trial that is complete; of several objectives, and where none is, None."""
        done = self.all(TrialState.COMPLETE)
        if not done or len(self.study.directions) > 1:
            return None
        higher = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (max if higher else min)(done, key=lambda trial: trial.value or 0.0)

    @contextlib.contextmanager
    def beating(self, places: Sequence[FrozenTrial]) -> Iterator[None]:
        """Have a database see that the worker of places lives; one that does not answer is asked again."""
        storage, done = self.storage, Event()
        if not isinstance(storage, BaseHeartbeat):
            yield
            return

        def beat() -> None:
            while not done.wait(storage.get_heartbeat_interval()):
                with contextlib.suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    for place in places:
                        storage.record_heartbeat(place._trial_id)

        Thread(target=beat, daemon=True, name="heartbeat").start()
        try:
            yield
        finally:
            done.set()


def _study(storage: BaseStorage, name: str, directions: Sequence[Direction]) -> optuna.Study:
    """Return a study, made if need be. A sampler is chosen for each trial."""
    return optuna.create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )  # fmt: skip


def _name_objectives(study: optuna.Study, metric: str, objectives: Sequence[str], **_: Any) -> None:
    """Have optuna-dashboard call objectives by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([named(objective, metric) for objective in objectives])


def written(work: Path) -> int:
    """Return when the newest checkpoint of a trial was written, nanoseconds since 1970; 0 if this machine has none.

    Each one holds an epoch that none before it held.
    """
    return max((path.stat().st_mtime_ns for path in work.glob("fold-*/*.checkpoint")), default=0)
