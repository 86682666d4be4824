"""Folds are trained here, or by several processes of which each has a thread of its own.

Such a process trains every OF-th fold and prints a result a line. On Linux without a GPU it is forked off this one, as
PyTorch's DataLoader does it, so that imports and rows, which take as long as many a fold, are there already; else it is
`python -m fivefold.crossval.workers PLAN NUMBER OF`.
"""

import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread, active_count
from typing import IO, NoReturn

import torch

from .. import paths
from ..errors import FivefoldError, InputError, StudyError
from ..stages.lock import locked
from ..tuning.execution.processes import as_worker, environment, gpus
from . import nested
from .crossval import Crossval, Plan, Result, judge
from .jobs import train_all


@dataclass
class Forked:
    """A copy of this process that works, with what is used of `subprocess.Popen`."""

    pid: int
    stdout: IO[str]
    code: int | None = None

    def send_signal(self, signum: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.code is None:
            os.kill(self.pid, signum)

    def wait(self) -> int:
        """Wait until it has ended; return its exit code, below 0 the signal that killed it."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code


Worker = subprocess.Popen[str] | Forked


@contextmanager
def results(crossval: Crossval, workers: int) -> Iterator[Iterator[Result]]:
    """Give the results of each model on each fold, as they come. Processes begin here, so that no thread is theirs too.

    Raises:
        StudyError: a worker ended before its folds.
        BusyError: the same is running already.
    """
    folder = paths.crossval(crossval.plan.title)
    workers = min(workers, len(places_of(crossval)))
    with locked(folder):
        for old in folder.glob("*.log"):
            old.unlink()
        if workers == 1:
            with (folder / "fits.log").open("w", buffering=1) as log:
                yield _quietly(crossval, places_of(crossval), folder / "work", log)
            return
        with _working(crossval, workers, folder) as living:
            yield _told(living, folder)


def places_of(crossval: Crossval) -> list[tuple[str, int]]:
    """Return each model with the number of each of its folds, from 0."""
    return [(name, number) for name in crossval.plan.names for number in range(len(crossval.divisions))]


def trained(crossval: Crossval, places: Sequence[tuple[str, int]], work: Path) -> Iterator[Result]:
    """Train models on folds, and yield what came of each."""
    for name in dict.fromkeys(name for name, _ in places):
        divisions = [crossval.divisions[number] for other, number in places if other == name]
        if crossval.plan.nested:
            yield from (nested.result(crossval, name, division, work) for division in divisions)
            continue
        model = crossval.params.models[name]
        jobs = (crossval.job(division, model, division.seed) for division in divisions)
        for division, (job, done) in zip(divisions, train_all(name, jobs, work), strict=True):
            yield judge(name, division, job, done)


def _quietly(crossval: Crossval, places: Sequence[tuple[str, int]], work: Path, log: IO[str]) -> Iterator[Result]:
    """Yield results, while all that trainings print goes to `log`."""
    coming = trained(crossval, places, work)
    while True:
        with redirect_stdout(log):
            result = next(coming, None)
        if result is None:
            return
        yield result


@contextmanager
def _working(crossval: Crossval, workers: int, folder: Path) -> Iterator[dict[int, Worker]]:
    """Start workers, which end with the context at the latest."""
    start = _forked if _forks() else _started
    living: dict[int, Worker] = {}
    try:
        for number in range(workers):
            with _log(folder, number).open("w") as log:
                living[number] = start(crossval, number, workers, log)
        yield living
    finally:
        for process in living.values():
            process.send_signal(signal.SIGTERM)
        for process in living.values():
            process.wait()


def _told(living: dict[int, Worker], folder: Path) -> Iterator[Result]:
    """Yield what workers tell, until all have ended."""
    told: SimpleQueue[str | int] = SimpleQueue()
    for number, process in living.items():
        Thread(target=_listen, args=(number, process, told), daemon=True).start()
    while living:
        said = told.get()
        if isinstance(said, str):
            yield Result.model_validate_json(said)
            continue
        if code := living.pop(said).wait():
            raise _ended(code, _log(folder, said))


def _listen(number: int, process: Worker, told: SimpleQueue[str | int]) -> None:
    """Hand on each line that a worker prints, then its number."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            told.put(line)
    told.put(number)


def _started(crossval: Crossval, number: int, of: int, log: IO[str]) -> Worker:
    """Start a worker that imports and reads by itself."""
    command = [sys.executable, "-m", "fivefold.crossval.workers", crossval.plan.model_dump_json(), str(number), str(of)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, stdin=subprocess.DEVNULL, env=environment(number)
    )


def _forks() -> bool:
    """Return whether a copy of this process can work: no lock of another thread is held for ever, no GPU is lost."""
    return sys.platform == "linux" and active_count() == 1 and not gpus()


def _forked(crossval: Crossval, number: int, of: int, log: IO[str]) -> Worker:
    """Start a worker that has all that this process has."""
    theirs, ours = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _work_as_copy(crossval, number, of, ours, log)
    os.close(ours)
    return Forked(pid, os.fdopen(theirs))


def _work_as_copy(crossval: Crossval, number: int, of: int, out: int, log: IO[str]) -> NoReturn:
    """Be a worker, and nothing of what this process was a copy of. out: descriptor of what it prints."""
    try:
        with Path(os.devnull).open() as nothing:
            for mine, to in ((nothing.fileno(), 0), (out, 1), (log.fileno(), 2)):
                os.dup2(mine, to)
        sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        torch.set_num_threads(1)  # those of the process before are not here
        as_worker(lambda: _tell(crossval, number, of))
    finally:  # a fault of ours: it must not end what the process before had begun
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _ended(code: int, log: Path) -> FivefoldError:
    """Return why a worker has ended."""
    if code < 0:
        return StudyError(f"a worker was killed by signal {-code}; free memory, or start fewer with --workers")
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ") if lines else f"a worker failed without a word ({log})"
    return InputError(said) if code == InputError.exit_code else StudyError(said)


def _log(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.log"


def main() -> None:
    """Run as a process of its own."""
    plan, number, of = Plan.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    as_worker(lambda: _tell(Crossval.read(plan), number, of))


def _tell(crossval: Crossval, number: int, of: int) -> None:
    """Train every `of`-th place, from `number` on, and print what comes of each."""
    work = paths.crossval(crossval.plan.title) / f"work-{number}"
    for result in _quietly(crossval, places_of(crossval)[number::of], work, sys.stderr):
        print(result.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
