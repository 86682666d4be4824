"""Run a study: places are made, workers take them, one that was killed is replaced, and a person sees how it goes."""

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from ... import paths
from ...errors import ParamsError, StudyError
from ...folds import refuse_leaks
from ...stages.signals import Stopped, shielded, stop_if_asked
from ..grid import grid_line
from ..results.mlflow import Telling
from ..samplers import Sampling
from ..search import Search, check_selections
from ..space_check import check_corners
from .liveness import bury_all
from .processes import Processes
from .progress import Live
from .storage import exclusive, reading
from .trials import Trials

PERIOD = 0.5
"""Seconds between two looks at the trials."""
ASKED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
"""Exit codes of a worker that a signal asked to end."""
DEATHS = 10
"""Of one worker after the other, without a trial that ended in between, before a study stops."""


class Team(Protocol):
    """Workers of one study, numbered from 0. living: those that were started and not yet told to have ended."""

    living: dict[int, Any]

    def fill(self, more: int) -> None:
        """Start up to so many of those that are missing."""

    def ended(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since; below 0, it was killed."""

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""

    def last_words(self, number: int) -> str:
        """Return the last line that a worker said."""

    def where(self, number: int) -> str:
        """Return where all that a worker said stands."""


def start(model: str, study: str, total: int | None) -> tuple[Search, Trials, int]:
    """Open a study of `model` with places for its trials; return also how many there are to be in all.

    Raises:
        ParamsError: its space is not in order, or the study is one of something else.
        DataError: its rows do not suffice.
        StudyError: its storage does not answer.
    """
    search = Search.read(model)
    space = search.space
    if not space.ranges:
        raise ParamsError(
            f"models.{model}.search must say what a study tries, but is missing; write a range where a value stands,"
            " for instance search: {training: {optimizer: {lr: {type: float, low: 0.0001, high: 0.03, log: true}}}}"
        )
    check_corners(space, lambda model: refuse_leaks(space.name, model, search.study.folds))
    check_selections(search)
    total = total or search.study.trials
    sampling = Sampling.of(search.study, space, total)
    if sampling.method == "grid" and sampling.points is not None:
        print(grid_line(space, len(sampling.points)), flush=True)
    with reading(study), shielded():
        trials = Trials.open(study, search.identity(), search.directions())
        trials.places(1, space.first())
        possible = sampling.most(total, trials.all())
        trials.ask(possible)
    if possible < total:
        print(
            f"{study} has {possible} trials at most, not {total}: then every point of its space was tried", flush=True
        )
    return search, trials, possible


def run(
    model: str, study: str, total: int | None, workers: int, *, stack: bool = True, address: str | None = None
) -> Trials:
    """Run a study until it has `total` trials in all; None: as many as params.yaml says.

    stack: whether trials of small networks may learn together.
    address: of a Ray cluster whose tasks the workers are to be; None: they are processes of this machine.

    Raises:
        StudyError: a worker cannot go on.
    """
    search, trials, total = start(model, study, total)
    team = _team([model, study, str(total), "stack" if stack else "alone"], study, workers, address)
    with reading(study), Live(search, trials, total) as live, shielded():
        with Telling(study) as telling, _stopping(team, trials):
            _lead(team, trials, total, live, telling)
        clear(trials)
    try:
        print(telling.last())
    except Stopped as stop:
        stop.add_note(f"{study} has its {total} trials; what MLflow lacks of them, the same command tells")
        raise
    if not trials.all(TrialState.COMPLETE):
        raise StudyError(f"{study} has {total} trials, but none is complete; `fivefold study show {study}` says why")
    return trials


def _team(words: list[str], study: str, workers: int, address: str | None) -> Team:
    if address is None:
        return Processes(words, paths.study(study) / "logs", workers)
    from .ray import RayTasks

    return RayTasks.connect(address, words, workers)


def _lead(team: Team, trials: Trials, total: int, live: Live, telling: Telling) -> None:
    deaths, ended, before = 0, -1, trials.ended()
    while True:
        stop_if_asked()
        with exclusive(trials.name):
            trials.free_dead()
        every = trials.all()[:total]
        live.show(every)
        waiting = sum(trial.state == TrialState.WAITING for trial in every) + total - len(every)
        done = sum(trial.state.is_finished() for trial in every)
        if done == total:
            return
        telling.now_and_then(done)
        deaths = 0 if done > ended else deaths
        ended = done
        for number, code in team.ended():
            if code > 0 and code not in ASKED:
                raise StudyError(_why(team, number))
            deaths += code != 0  # killed, or asked to end by somebody else
        if why := trials.failing(before):
            raise StudyError(why)
        if deaths >= DEATHS:
            raise StudyError(f"{deaths} workers in a row were killed; free memory, or start fewer with --workers")
        if waiting:
            team.fill(waiting)
        elif not team.living:
            live.wait(total - done)
        time.sleep(PERIOD)


def _why(team: Team, number: int) -> str:
    said = team.last_words(number).removeprefix("error: ")
    return f"{said or f'worker {number} failed without a word'} ({team.where(number)} has the whole)"


@contextmanager
def _stopping(team: Team, trials: Trials) -> Iterator[None]:
    """Have no worker outlive this, and no place be theirs."""
    try:
        yield
    finally:
        team.stop()
        with suppress(StudyError, SQLAlchemyError, StorageInternalError), exclusive(trials.name):
            trials.free_dead()  # else the next run does
            bury_all(trials.name)


def clear(trials: Trials) -> None:
    """Remove checkpoints of trials that have ended: of workers that were killed before they could."""
    for number in trials.ended():
        shutil.rmtree(trials.work(number), ignore_errors=True)
