"""The trials of one study: how many there are to be, who has which, and how each ended.

A study is a row of places. `places` makes as many as were asked for in all; a worker takes the first that is free, and
a place whose worker died is free again, with what it had found: so the total is exact, however often all are killed.
"""

import contextlib
import fcntl
import json
import re
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna import Trial
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._heartbeat import get_heartbeat_thread
from optuna.trial import FrozenTrial, TrialState, create_trial

from .. import paths
from ..errors import ParamsError, shown
from ..params.base import NAME_PATTERN
from .space import Values
from .storage import exclusive, exists, open_storage, url, where

Direction = Literal["minimize", "maximize"]

IDENTITY = "fivefold"
"""User attribute of a study: what it is a study of."""
MARK = "mark"
"""User attribute of a study: drawn when it begins, tells it from another of the same name."""
WORKER, REASON, FOLDS, CURVE, VALUES, SCORES, SECONDS = (
    "worker", "reason", "folds", "curve", "values", "scores", "seconds",
)  # fmt: skip
"""User attributes of a trial: who has it; why it was pruned or failed; the score of each finished fold; its first
fold's score by epoch; the values that it tries, as params.yaml has them; the mean of every metric; of computing."""
BLOCK, OWN = "block", "own"
"""User attributes of a trial: the whole block of the model with its values, as params.yaml could have it; whether
params.yaml has them."""


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
            study = optuna.create_study(
                storage=storage, study_name=name, directions=directions, load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(),
            )  # fmt: skip
            if IDENTITY not in study.user_attrs:
                study.set_user_attr(MARK, secrets.token_hex(8))
                study.set_user_attr(IDENTITY, dict(identity))
        trials = cls(name, study)
        trials.refuse_other(identity)
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

    def refuse_other(self, identity: Mapping[str, Any]) -> None:
        """Refuse, by a `ParamsError`, to go on with this study if it is one of something else."""
        _refuse_other(self.name, self.study.user_attrs[IDENTITY], identity)

    @property
    def storage(self) -> BaseStorage:
        """Where it is kept."""
        return self.study._storage

    def all(self, *states: TrialState) -> list[FrozenTrial]:
        """Return the trials in one of `states`, in order; without states all of them."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def places(self, total: int, fixed: list[Values]) -> None:
        """Make places until there are `total`; the first ones are to try `fixed` values, as Optuna keeps them."""
        with exclusive(self.name):
            for number in range(len(self.all()), total):
                if number < len(fixed):
                    self.study.enqueue_trial(fixed[number])
                else:
                    self.study.add_trial(create_trial(state=TrialState.WAITING))

    def take(self, worker: "Worker", total: int, most: int = 1) -> list[FrozenTrial]:
        """Return up to `most` free places among the first `total`, which are the worker's now."""
        with exclusive(self.name):
            self.free_dead()
            taken = [trial for trial in self.all(TrialState.WAITING) if trial.number < total][:most]
            for trial in taken:
                if isinstance(self.storage, RDBStorage):
                    self.storage.record_heartbeat(trial._trial_id)  # before it runs: one without is never taken back
                self.storage.set_trial_user_attr(trial._trial_id, WORKER, worker.name)
                self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            return taken

    def free_dead(self) -> list[int]:
        """Make the places of dead workers free again; return their numbers. The caller holds the study."""
        freed = []
        stale = self.storage._get_stale_trial_ids(self.study._study_id) if isinstance(self.storage, RDBStorage) else []
        for trial in self.all(TrialState.RUNNING):
            if trial._trial_id in stale or dead(self.name, trial.user_attrs.get(WORKER, "")):
                self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)
                freed.append(trial.number)
        return freed

    def tell(self, trial: Trial, values: list[float] | None, state: TrialState) -> None:
        """Write down how a trial ended."""
        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):  # taken for dead, and done by another
            self.study.tell(trial, values, state=state)

    def give_back(self, places: Sequence[FrozenTrial]) -> None:
        """Make places free whose worker must end, but for those that it has done."""
        for trial in places:
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
                self.storage.set_trial_state_values(trial._trial_id, TrialState.WAITING)

    def best(self) -> FrozenTrial | None:
        """Return the best trial that is complete; of several objectives, and where none is, None."""
        done = self.all(TrialState.COMPLETE)
        if not done or len(self.study.directions) > 1:
            return None
        higher = self.study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (max if higher else min)(done, key=lambda trial: trial.value or 0.0)

    @contextlib.contextmanager
    def beating(self, trial: Trial) -> Iterator[None]:
        """Have a database see that the trial's worker is alive."""
        with get_heartbeat_thread(trial._trial_id, self.storage):
            yield


class Worker:
    """A process that takes trials; while it lives it holds a lock by which others on its machine know it."""

    def __init__(self, study: str) -> None:
        self.token = secrets.token_hex(8)
        self.name = f"{socket.gethostname()}/{self.token}"
        self.path = _lock_of(study, self.token)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Be no worker any more."""
        self.path.unlink(missing_ok=True)
        self.file.close()


def dead(study: str, worker: str) -> bool:
    """Return whether a worker of this machine and project has died; of others nothing can be told."""
    host, _, token = worker.partition("/")
    path = _lock_of(study, token)
    if host != socket.gethostname():
        return False
    if not path.exists():
        return not url()  # a database may be shared with another project of this machine
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _refuse_other(name: str, known: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Refuse to go on with a study of something else."""
    others = dict(difference(known, json.loads(json.dumps(identity))))
    if others:
        said = "; ".join(f"{key} was {shown(was)} and is {shown(now)}" for key, (was, now) in [*others.items()][:3])
        more = f" (and {len(others) - 3} more)" if len(others) > 3 else ""
        raise ParamsError(
            f"study {name!r} must go on as it began, but {said}{more}; put that back, or begin another study with"
            f" --name {name}-2"
        )


def difference(was: Any, now: Any, at: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each dotted key in which two trees differ, and what stands there in both; None for nothing."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from difference(was.get(key), now.get(key), f"{at}.{key}" if at else key)
    elif was != now:
        yield at, (was, now)


def _lock_of(study: str, token: str) -> Path:
    return paths.study(study) / "workers" / token
