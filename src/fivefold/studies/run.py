"""Run a study: places are made, workers take them, one that was killed is replaced, and a person sees how it goes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from optuna.trial import TrialState

from .. import paths
from ..errors import ParamsError, StudyError
from .corners import check_corners
from .live import Live
from .samplers import firsts, method_of
from .search import Search
from .storage import exclusive, reading
from .trials import Trials

PERIOD = 0.5
"""Seconds between two looks at the trials."""
DEATHS = 10
"""Of one worker after the other, without a trial that ended in between, before a study stops."""


@dataclass
class Team:
    """Worker processes of one study.

    command: starts one; its number stands behind. logs: folder of what each says.
    """

    command: list[str]
    logs: Path
    size: int
    living: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def fill(self) -> None:
        """Start workers for those that are missing."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for number in range(self.size):
            if number not in self.living:
                with self.log(number).open("ab") as log:
                    self.living[number] = subprocess.Popen(
                        self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment(number)
                    )

    def ended(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since."""
        for number, process in list(self.living.items()):
            if process.poll() is not None:
                del self.living[number]
                yield number, process.returncode

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""
        for process in self.living.values():
            process.send_signal(signal.SIGTERM)
        for process in self.living.values():
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, number: int) -> Path:
        """Return the file of what a worker says."""
        return self.logs / f"worker-{number}.log"

    def last_words(self, number: int) -> str:
        """Return the last line that a worker said."""
        with self.log(number).open("rb") as log:
            return _last_line(log)


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
    check_corners(space)
    total = total or search.study.trials
    method = method_of(search.study, space, total)
    fixed = [space.stored(values) for values in firsts(method, space)]
    total = min(total, len(fixed)) if method == "grid" else total
    with reading(study):
        trials = Trials.open(study, search.identity(), search.directions())
        trials.places(total, fixed)
    return search, trials, total


def run(model: str, study: str, total: int | None, workers: int, *, stack: bool = True) -> Trials:
    """Run a study until it has `total` trials in all; None: as many as params.yaml says.

    stack: whether trials of small networks may learn together.

    Raises:
        StudyError: a worker cannot go on.
    """
    search, trials, total = start(model, study, total)
    command = [sys.executable, "-m", "fivefold.studies.worker", model, study, str(total), "stack" if stack else "alone"]
    team = Team(command, paths.study(study) / "logs", workers)
    with reading(study), Live(search, trials, total) as live, _stopping(team):
        _lead(team, trials, total, live)
    return trials


def _lead(team: Team, trials: Trials, total: int, live: Live) -> None:
    deaths, ended = 0, -1
    while True:
        with exclusive(trials.name):
            trials.free_dead()
        every = trials.all()[:total]
        live.show(every)
        waiting = sum(trial.state == TrialState.WAITING for trial in every)
        done = sum(trial.state.is_finished() for trial in every)
        if done == len(every):
            return
        deaths = 0 if done > ended else deaths
        ended = done
        for number, code in team.ended():
            if code > 0:
                raise StudyError(_why(team, number))
            deaths += code < 0  # killed
        if deaths >= DEATHS:
            raise StudyError(f"{deaths} workers in a row were killed; free memory, or start fewer with --workers")
        if waiting:
            team.fill()
        time.sleep(PERIOD)


def _why(team: Team, number: int) -> str:
    said = team.last_words(number).removeprefix("error: ")
    return f"{said or f'worker {number} failed without a word'} ({team.log(number)} has the whole)"


@contextmanager
def _stopping(team: Team) -> Iterator[None]:
    try:
        yield
    finally:
        team.stop()


def environment(number: int) -> Mapping[str, str]:
    """Return the environment of a worker: a GPU of its own or shared evenly, one thread each on a CPU."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    gpus = _gpus()
    return {**os.environ, **threads, **({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})}


def _gpus() -> list[str]:
    """Return the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them, without PyTorch's seconds to start."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def _last_line(log: IO[bytes]) -> str:
    lines = log.read().decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.strip()), "")
