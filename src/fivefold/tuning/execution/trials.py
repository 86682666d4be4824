"""Queue of the trials of a study: number of trials, their assignment to workers, and their results.

Trials are enqueued in Optuna's state WAITING, up to the total; a worker claims the first free ones. A trial whose
worker died becomes free again and keeps its finished folds, so the total is exact, however many workers are killed.
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
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:  # imports PyTorch, which `fivefold study show` does without
    from ..scoring import Direction


MAX_ENQUEUED = 100
"""Trials that are enqueued in advance."""

MAX_ATTEMPTS = 5
"""Workers that may die in a row while running a trial, without a new fold or checkpoint, before it is failed."""
MAX_FAILURES_IN_A_ROW = 5
"""Failed trials in a row after which a study stops."""


@dataclass(frozen=True)
class TrialQueue:
    """An open study with its trials.

    name: of the study in its storage. study: the Optuna study.
    """

    name: str
    study: optuna.Study

    @classmethod
    def open(cls, name: str, identity: Mapping[str, Any], directions: "Sequence[Direction]") -> "TrialQueue":
        """Open a study; create it if it does not exist, and restart it if it has no results for another configuration.

        Raises:
            ParamsError: the study has another configuration; names the differences.
            StudyError: its storage does not respond.
        """
        storage = open_storage(name)
        with hold_study_lock(name):
            trials = cls(name, _create_study(storage, name, directions))
            stored = trials.study.user_attrs.get(IDENTITY)
            differences = trials.identity_differences(identity) if stored is not None else {}
            if differences and trials._has_no_results():
                print(f"study {name} had no results; restarted with the current params.yaml", flush=True)
                optuna.delete_study(study_name=name, storage=storage)
                trials, stored, differences = cls(name, _create_study(storage, name, directions)), None, {}
            if stored is None:
                _set_metric_names(trials.study, **identity["study"])
                trials.study.set_user_attr(UNIQUE_ID, secrets.token_hex(8))
                trials.study.set_user_attr(IDENTITY, dict(identity))
        if differences:
            raise identity_mismatch_error(name, identity["name"], differences)
        return trials

    @classmethod
    def load(cls, name: str) -> "TrialQueue":
        """Open an existing study.

        Raises:
            ParamsError: the study does not exist.
        """
        missing_error = ParamsError(
            f"study {name!r} must exist, but is not in {storage_location(name)}; run `fivefold study run {name}`"
        )
        if not re.fullmatch(NAME_PATTERN, name) or not may_exist(name):
            raise missing_error
        try:
            study = optuna.load_study(
                storage=open_storage(name), study_name=name, sampler=optuna.samplers.RandomSampler()
            )
        except KeyError:
            raise missing_error from None
        return cls(name, study)

    def identity_differences(self, identity: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return the differences between the configuration of the study and `identity`, by dotted key."""
        return dict(diff_trees(self.study.user_attrs[IDENTITY], json.loads(json.dumps(identity))))

    @property
    def storage(self) -> BaseStorage:
        """The storage of the study."""
        return self.study._storage

    def work_dir(self, number: int) -> Path:
        """Return the local folder of a trial's checkpoints, with a subfolder per fold."""
        return paths.study_dir(self.name) / f"trial-{number}"

    def get_trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in one of `states`, or all trials, by number."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def enqueue(self, total: int, fixed_params: list[ParamValues]) -> None:
        """Enqueue trials, at most `total` in all; the first ones have fixed values, in Optuna's form."""
        with hold_study_lock(self.name):
            n_existing = len(self.get_trials())
            for values in fixed_params[n_existing:total]:
                self.study.enqueue_trial(values)
            self._add_waiting(total)

    def set_total(self, total: int) -> None:
        """Record the total number of trials and enqueue the first of them; the others follow when they are needed."""
        if self.study.user_attrs.get(N_TRIALS) != total:
            self.study.set_user_attr(N_TRIALS, total)
        self.enqueue(total, [])

    def _add_waiting(self, total: int) -> None:
        """Enqueue up to `MAX_ENQUEUED` trials while there are fewer than `total`. The caller holds the study lock."""
        for _ in range(min(total - len(self.get_trials()), MAX_ENQUEUED)):
            self.study.add_trial(create_trial(state=TrialState.WAITING))

    def claim(self, worker: WorkerLock, total: int, max_trials: int = 1) -> list[FrozenTrial]:
        """Assign up to `max_trials` free trials among the first `total` to a worker; return them.

        A trial during which a worker died is assigned alone, so that no other trial is lost with it.
        """
        with hold_study_lock(self.name):
            self.release_dead()
            if len(self.get_trials(TrialState.WAITING)) < max_trials:
                self._add_waiting(total)
            free = [trial for trial in self.get_trials(TrialState.WAITING) if trial.number < total]
            without_deaths = [trial for trial in free if WORKER_DEATHS not in trial.user_attrs]
            chosen = free[:1] if free[:1] != without_deaths[:1] else without_deaths[:max_trials]
            return [trial for trial in chosen if self._claim_trial(trial, worker)]

    def _claim_trial(self, trial: FrozenTrial, worker: WorkerLock) -> bool:
        """Assign a free trial to a worker; return whether it was still free.

        A database that was restarted meanwhile has lost the lock of the study, so another worker may have been faster.
        """
        if isinstance(self.storage, BaseHeartbeat):
            self.storage.record_heartbeat(trial._trial_id)  # first: a running trial without one is never released
        if not self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
            return False
        self.storage.set_trial_user_attr(trial._trial_id, WORKER, worker.name)
        return True

    def release_dead(self) -> None:
        """Release the trials of dead workers. The caller holds the study lock."""
        stale = (
            self.storage._get_stale_trial_ids(self.study._study_id) if isinstance(self.storage, BaseHeartbeat) else []
        )
        dead = set()
        for trial in self.get_trials(TrialState.RUNNING):
            worker = trial.user_attrs.get(WORKER, "")
            alive = is_alive(self.name, worker)
            if alive is False or (alive is None and trial._trial_id in stale):
                dead.add(worker)
                self._release_trial(trial)
        for worker in dead - {""}:
            remove_lock(self.name, worker)

    def _release_trial(self, trial: FrozenTrial) -> None:
        """Release the trial of a dead worker; fail it if several workers in a row died without any progress."""
        progress = [len(trial.user_attrs.get(FOLD_SCORES, [])), newest_checkpoint_time(self.work_dir(trial.number))]
        progress_before, deaths = trial.user_attrs.get(WORKER_DEATHS, (progress, 0))
        deaths = deaths + 1 if progress_before == progress else 1
        self.storage.set_trial_user_attr(trial._trial_id, WORKER_DEATHS, [progress, deaths])
        if deaths < MAX_ATTEMPTS:
            self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
            return
        reason = (
            f"{deaths} workers in a row died while running it, without a finished fold or checkpoint in between; its"
            " model may be too large for the memory"
        )
        self.storage.set_trial_user_attr(trial._trial_id, REASON, reason)
        self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def require_owned(self, trial: Trial) -> None:
        """Check that a trial still belongs to this process.

        Raises:
            TrialLost: the worker was considered dead, and another one has the trial.
        """
        now = self.storage.get_trial(trial._trial_id)
        if now.state != TrialState.RUNNING or now.user_attrs.get(WORKER) != trial.user_attrs.get(WORKER):
            raise TrialLost

    def finish(self, trial: Trial, values: list[float] | None, state: TrialState) -> None:
        """Record the result of a trial.

        Raises:
            TrialLost: another worker has the trial.
        """
        with hold_study_lock(self.name):
            self.require_owned(trial)
            self.study.tell(trial, values, state=state)

    def release(self, trials: Sequence[FrozenTrial], worker: WorkerLock) -> None:
        """Release the unfinished trials of a worker that must end."""
        with hold_study_lock(self.name):
            for trial in self.get_trials(TrialState.RUNNING):
                if trial.user_attrs.get(WORKER) == worker.name and trial.number in {each.number for each in trials}:
                    self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def finished_numbers(self) -> set[int]:
        """Return the numbers of the finished trials."""
        return {trial.number for trial in self.get_trials() if trial.state.is_finished()}

    def failure_streak(self, earlier: Container[int]) -> str:
        """Return why the study must stop: the last trials that are not in `earlier` all failed; "" if they did not."""
        finished = [trial for trial in self.get_trials() if trial.state.is_finished() and trial.number not in earlier]
        last = sorted(finished, key=lambda trial: trial.datetime_complete or datetime.min)[-MAX_FAILURES_IN_A_ROW:]
        if len(last) < MAX_FAILURES_IN_A_ROW or any(trial.state != TrialState.FAIL for trial in last):
            return ""
        return (
            f"{MAX_FAILURES_IN_A_ROW} trials in a row failed, the last one, trial {last[-1].number}, because of:"
            f" {last[-1].user_attrs.get(REASON, 'worker process died')}; fix the cause or narrow the ranges in `search`"
        )

    def _has_no_results(self) -> bool:
        """Return whether each trial is failed, or waiting without a finished fold."""
        self.release_dead()
        return all(
            trial.state == TrialState.FAIL
            or (trial.state == TrialState.WAITING and FOLD_SCORES not in trial.user_attrs)
            for trial in self.get_trials()
        )

    def best_trial(self) -> FrozenTrial | None:
        """Return the best complete trial; None if there is none, or if there are several objectives."""
        complete = self.get_trials(TrialState.COMPLETE)
        if not complete or len(self.study.directions) > 1:
            return None
        higher = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (max if higher else min)(complete, key=lambda trial: trial.value or 0.0)

    @contextlib.contextmanager
    def heartbeat(self, trials: Sequence[FrozenTrial]) -> Iterator[None]:
        """Context manager that sends heartbeats for trials to a database; one that does not respond is tried again."""
        storage, stopped = self.storage, Event()
        if not isinstance(storage, BaseHeartbeat):
            yield
            return

        def beat() -> None:
            while not stopped.wait(storage.get_heartbeat_interval()):
                with contextlib.suppress(SQLAlchemyError, optuna.exceptions.StorageInternalError):
                    for trial in trials:
                        storage.record_heartbeat(trial._trial_id)

        Thread(target=beat, daemon=True, name="heartbeat").start()
        try:
            yield
        finally:
            stopped.set()


def _create_study(storage: BaseStorage, name: str, directions: "Sequence[Direction]") -> optuna.Study:
    """Return a study; create it if it does not exist. Its sampler is replaced before each trial."""
    return optuna.create_study(
        storage=storage, study_name=name, directions=directions, load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(),
    )  # fmt: skip


def _set_metric_names(study: optuna.Study, metric: str, objectives: Sequence[str], **_: Any) -> None:
    """Set the names of the objectives that optuna-dashboard shows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective_label(objective, metric) for objective in objectives])


def newest_checkpoint_time(work_dir: Path) -> int:
    """Return the time of a trial's newest checkpoint, in ns since 1970; 0 if this machine has none.

    Every new checkpoint contains a later epoch, so its time measures progress.
    """
    return max((path.stat().st_mtime_ns for path in work_dir.glob("fold-*/*.checkpoint")), default=0)
