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
from ..formatting import objective_label
from ..identity import (
    FOLD_SCORES,
    IDENTITY,
    N_TRIALS,
    REASON,
    UNIQUE_ID,
    WORKER,
    WORKER_DEATHS,
    diff_trees,
    identity_mismatch_error,
)
from ..space import ParamValues
from .liveness import TrialLost, WorkerLock, is_alive, remove_lock
from .storage import hold_study_lock, may_exist, open_storage, storage_location

Direction = Literal["minimize", "maximize"]

MAX_ENQUEUED = 100
"""Places that are made at once."""

MAX_ATTEMPTS = 5
"""Workers that die of a trial, one after the other and without a new fold or checkpoint, before it has failed."""
MAX_FAILURES_IN_A_ROW = 5
"""Trials that fail one after the other before a study stops."""


@dataclass(frozen=True)
class TrialQueue:
    """An opened study.

    name: under which it is kept. study: Optuna's.
    """

    name: str
    study: optuna.Study

    @classmethod
    def open(cls, name: str, identity: Mapping[str, Any], directions: Sequence[Direction]) -> "TrialQueue":
        """Open study `name`, made if need be.

        Raises:
            ParamsError: it is a study of something else; says of what.
            StudyError: its storage does not answer.
        """
        storage = open_storage(name)
        with hold_study_lock(name):
            trials = cls(name, _create_study(storage, name, directions))
            known = trials.study.user_attrs.get(IDENTITY)
            others = trials.identity_differences(identity) if known is not None else {}
            if others and trials._has_no_results():
                print(f"{name} begins anew with what params.yaml says now: nothing had come of it so far", flush=True)
                optuna.delete_study(study_name=name, storage=storage)
                trials, known, others = cls(name, _create_study(storage, name, directions)), None, {}
            if known is None:
                _set_metric_names(trials.study, **identity["study"])
                trials.study.set_user_attr(UNIQUE_ID, secrets.token_hex(8))
                trials.study.set_user_attr(IDENTITY, dict(identity))
        if others:
            raise identity_mismatch_error(name, identity["name"], others)
        return trials

    @classmethod
    def load(cls, name: str) -> "TrialQueue":
        """Open study `name`, which must exist.

        Raises:
            ParamsError: it does not.
        """
        none = ParamsError(
            f"study {name!r} must have begun, but {storage_location(name)} holds none; run `fivefold study run {name}`"
        )
        if not re.fullmatch(NAME_PATTERN, name) or not may_exist(name):
            raise none
        try:
            study = optuna.load_study(
                storage=open_storage(name), study_name=name, sampler=optuna.samplers.RandomSampler()
            )
        except KeyError:
            raise none from None
        return cls(name, study)

    def identity_differences(self, identity: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return what this is a study of and `identity` is not, by dotted key."""
        return dict(diff_trees(self.study.user_attrs[IDENTITY], json.loads(json.dumps(identity))))

    @property
    def storage(self) -> BaseStorage:
        """Where it is kept."""
        return self.study._storage

    def work_dir(self, number: int) -> Path:
        """Return the folder of a trial's checkpoints, one below it for each fold; it lies on this machine."""
        return paths.study_dir(self.name) / f"trial-{number}"

    def get_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in one of `states`, in order; without states all of them."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def enqueue(self, total: int, fixed_params: list[ParamValues]) -> None:
        """Make places, `total` at most; the first ones are to try `fixed` values, as Optuna keeps them."""
        with hold_study_lock(self.name):
            have = len(self.get_trials())
            for values in fixed_params[have:total]:
                self.study.enqueue_trial(values)
            self._add_waiting(total)

    def set_total(self, total: int) -> None:
        """Write down how many trials there are to be, and make places for them, those beyond `AHEAD` later."""
        if self.study.user_attrs.get(N_TRIALS) != total:
            self.study.set_user_attr(N_TRIALS, total)
        self.enqueue(total, [])

    def _add_waiting(self, total: int) -> None:
        """Make more places, `AHEAD` at most, while there are fewer than `total`. The caller holds the study."""
        for _ in range(min(total - len(self.get_trials()), MAX_ENQUEUED)):
            self.study.add_trial(create_trial(state=TrialState.WAITING))

    def claim(self, worker: WorkerLock, total: int, max_trials: int = 1) -> list[FrozenTrial]:
        """Return up to `most` free places among the first `total`, which are the worker's now.

        A trial that a worker died of is taken alone, so that it takes no other one with it.
        """
        with hold_study_lock(self.name):
            self.release_dead()
            if len(self.get_trials(TrialState.WAITING)) < max_trials:
                self._add_waiting(total)
            free = [trial for trial in self.get_trials(TrialState.WAITING) if trial.number < total]
            calm = [trial for trial in free if WORKER_DEATHS not in trial.user_attrs]
            chosen = free[:1] if free[:1] != calm[:1] else calm[:max_trials]
            return [trial for trial in chosen if self._claim_trial(trial, worker)]

    def _claim_trial(self, trial: FrozenTrial, worker: WorkerLock) -> bool:
        """Make a free place the worker's; return whether it was free still.

        A database that was restarted meanwhile has forgotten who holds the study.
        """
        if isinstance(self.storage, BaseHeartbeat):
            self.storage.record_heartbeat(trial._trial_id)  # before it runs: one without is never taken back
        if not self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
            return False
        self.storage.set_trial_user_attr(trial._trial_id, WORKER, worker.name)
        return True

    def release_dead(self) -> None:
        """Make the places of dead workers free again. The caller holds the study."""
        stale = (
            self.storage._get_stale_trial_ids(self.study._study_id) if isinstance(self.storage, BaseHeartbeat) else []
        )
        dead = set()
        for trial in self.get_trials(TrialState.RUNNING):
            worker = trial.user_attrs.get(WORKER, "")
            living = is_alive(self.name, worker)
            if living is False or (living is None and trial._trial_id in stale):
                dead.add(worker)
                self._release_trial(trial)
        for worker in dead - {""}:
            remove_lock(self.name, worker)

    def _release_trial(self, trial: FrozenTrial) -> None:
        """Make the place of a dead worker free, unless one after the other died of it and came to nothing new."""
        reached = [len(trial.user_attrs.get(FOLD_SCORES, [])), newest_checkpoint_time(self.work_dir(trial.number))]
        before, deaths = trial.user_attrs.get(WORKER_DEATHS, (reached, 0))
        deaths = deaths + 1 if before == reached else 1
        self.storage.set_trial_user_attr(trial._trial_id, WORKER_DEATHS, [reached, deaths])
        if deaths < MAX_ATTEMPTS:
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            return
        why = (
            f"{deaths} workers died of it, one after the other, without a fold or a checkpoint in between; does its"
            " model fit memory?"
        )
        self.storage.set_trial_user_attr(trial._trial_id, REASON, why)
        self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def require_owned(self, trial: Trial) -> None:
        """Make sure that this process still has a trial.

        Raises:
            Lost: it was taken for dead, and another one has it.
        """
        now = self.storage.get_trial(trial._trial_id)
        if now.state != TrialState.RUNNING or now.user_attrs.get(WORKER) != trial.user_attrs.get(WORKER):
            raise TrialLost

    def finish(self, trial: Trial, values: list[float] | None, state: TrialState) -> None:
        """Write down how a trial ended.

        Raises:
            Lost: another process has it.
        """
        with hold_study_lock(self.name):
            self.require_owned(trial)
            self.study.tell(trial, values, state=state)

    def release(self, trials: Sequence[FrozenTrial], worker: WorkerLock) -> None:
        """Make places free whose worker must end, but for those that it has done or lost."""
        with hold_study_lock(self.name):
            for trial in self.get_trials(TrialState.RUNNING):
                if trial.user_attrs.get(WORKER) == worker.name and trial.number in {each.number for each in trials}:
                    self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def finished_numbers(self) -> set[int]:
        """Return the numbers of the trials that have ended."""
        return {trial.number for trial in self.get_trials() if trial.state.is_finished()}

    def failure_streak(self, earlier: Container[int]) -> str:
        """Return why the study must stop, since trial after trial failed that is not among `before`; else ""."""
        every = [trial for trial in self.get_trials() if trial.state.is_finished() and trial.number not in earlier]
        last = sorted(every, key=lambda trial: trial.datetime_complete or datetime.min)[-MAX_FAILURES_IN_A_ROW:]
        if len(last) < MAX_FAILURES_IN_A_ROW or any(trial.state != TrialState.FAIL for trial in last):
            return ""
        return (
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed, the last one, number {last[-1].number}, since"
            f" {last[-1].user_attrs.get(REASON, 'its worker died')}; mend that, or narrow the ranges in `search`"
        )

    def _has_no_results(self) -> bool:
        """Return whether nothing would be lost with this study."""
        self.release_dead()
        return all(
            trial.state == TrialState.FAIL
            or (trial.state == TrialState.WAITING and FOLD_SCORES not in trial.user_attrs)
            for trial in self.get_trials()
        )

    def best_trial(self) -> FrozenTrial | None:
        """Return the best trial that is complete; of several objectives, and where none is, None."""
        done = self.get_trials(TrialState.COMPLETE)
        if not done or len(self.study.directions) > 1:
            return None
        higher = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (max if higher else min)(done, key=lambda trial: trial.value or 0.0)

    @contextlib.contextmanager
    def heartbeat(self, trials: Sequence[FrozenTrial]) -> Iterator[None]:
        """Have a database see that the worker of places lives; one that does not answer is asked again."""
        storage, done = self.storage, Event()
        if not isinstance(storage, BaseHeartbeat):
            yield
            return

        def beat() -> None:
            while not done.wait(storage.get_heartbeat_interval()):
                with contextlib.suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    for place in trials:
                        storage.record_heartbeat(place._trial_id)

        Thread(target=beat, daemon=True, name="heartbeat").start()
        try:
            yield
        finally:
            done.set()


def _create_study(storage: BaseStorage, name: str, directions: Sequence[Direction]) -> optuna.Study:
    """Return a study, made if need be. A sampler is chosen for each trial."""
    return optuna.create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )  # fmt: skip


def _set_metric_names(study: optuna.Study, metric: str, objectives: Sequence[str], **_: Any) -> None:
    """Have optuna-dashboard call objectives by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective_label(objective, metric) for objective in objectives])


def newest_checkpoint_time(work_dir: Path) -> int:
    """Return when the newest checkpoint of a trial was written, nanoseconds since 1970; 0 if this machine has none.

    Each one holds an epoch that none before it held.
    """
    return max((path.stat().st_mtime_ns for path in work_dir.glob("fold-*/*.checkpoint")), default=0)
