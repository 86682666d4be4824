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
from ..stages.lock import hold_lock
from ..tuning.execution.processes import run_as_worker, visible_gpus, worker_environment
from . import nested
from .crossval import CrossValidation, FoldResult, Plan, evaluate_fold
from .jobs import train_jobs


@dataclass
class ForkedProcess:
    """A copy of this process that works, with what is used of `subprocess.Popen`."""

    pid: int
    stdout: IO[str]
    returncode: int | None = None

    def send_signal(self, signum: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signum)

    def wait(self) -> int:
        """Wait until it has ended; return its exit code, below 0 the signal that killed it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


FoldWorker = subprocess.Popen[str] | ForkedProcess


@contextmanager
def run_folds(crossval: CrossValidation, workers: int) -> Iterator[Iterator[FoldResult]]:
    """Give the results of each model on each fold, as they come. Processes begin here, so that no thread is theirs too.

    Raises:
        StudyError: a worker ended before its folds.
        BusyError: the same is running already.
    """
    folder = paths.crossval_dir(crossval.plan.file_stem)
    workers = min(workers, len(list_fold_tasks(crossval)))
    with hold_lock(folder):
        for old in folder.glob("*.log"):
            old.unlink()
        if workers == 1:
            with (folder / "fits.log").open("w", buffering=1) as log:
                yield _silenced(crossval, list_fold_tasks(crossval), folder / "work", log)
            return
        with _worker_pool(crossval, workers, folder) as living:
            yield _collect(living, folder)


def list_fold_tasks(crossval: CrossValidation) -> list[tuple[str, int]]:
    """Return each model with the number of each of its folds, from 0."""
    return [(name, number) for name in crossval.plan.model_names for number in range(len(crossval.fold_splits))]


def train_folds(crossval: CrossValidation, tasks: Sequence[tuple[str, int]], work_dir: Path) -> Iterator[FoldResult]:
    """Train models on folds, and yield what came of each."""
    for name in dict.fromkeys(name for name, _ in tasks):
        divisions = [crossval.fold_splits[number] for other, number in tasks if other == name]
        if crossval.plan.nested:
            yield from (nested.run_nested_fold(crossval, name, division, work_dir) for division in divisions)
            continue
        model = crossval.params.models[name]
        jobs = (crossval.build_job(division, model, division.seed) for division in divisions)
        for division, (job, done) in zip(divisions, train_jobs(name, jobs, work_dir), strict=True):
            yield evaluate_fold(name, division, job, done)


def _silenced(
    crossval: CrossValidation, tasks: Sequence[tuple[str, int]], work_dir: Path, log_file: IO[str]
) -> Iterator[FoldResult]:
    """Yield results, while all that trainings print goes to `log`."""
    coming = train_folds(crossval, tasks, work_dir)
    while True:
        with redirect_stdout(log_file):
            result = next(coming, None)
        if result is None:
            return
        yield result


@contextmanager
def _worker_pool(crossval: CrossValidation, workers: int, folder: Path) -> Iterator[dict[int, FoldWorker]]:
    """Start workers, which end with the context at the latest."""
    start = _fork_worker if _can_fork() else _spawn_worker
    living: dict[int, FoldWorker] = {}
    try:
        for number in range(workers):
            with _worker_log_path(folder, number).open("w") as log:
                living[number] = start(crossval, number, workers, log)
        yield living
    finally:
        for process in living.values():
            process.send_signal(signal.SIGTERM)
        for process in living.values():
            process.wait()


def _collect(processes: dict[int, FoldWorker], folder: Path) -> Iterator[FoldResult]:
    """Yield what workers tell, until all have ended."""
    told: SimpleQueue[str | int] = SimpleQueue()
    for number, process in processes.items():
        Thread(target=_forward_lines, args=(number, process, told), daemon=True).start()
    while processes:
        said = told.get()
        if isinstance(said, str):
            yield FoldResult.model_validate_json(said)
            continue
        if code := processes.pop(said).wait():
            raise _worker_error(code, _worker_log_path(folder, said))


def _forward_lines(number: int, process: FoldWorker, messages: SimpleQueue[str | int]) -> None:
    """Hand on each line that a worker prints, then its number."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            messages.put(line)
    messages.put(number)


def _spawn_worker(crossval: CrossValidation, number: int, n_workers: int, log_file: IO[str]) -> FoldWorker:
    """Start a worker that imports and reads by itself."""
    command = [
        sys.executable,
        "-m",
        "fivefold.crossval.workers",
        crossval.plan.model_dump_json(),
        str(number),
        str(n_workers),
    ]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=log_file,
        text=True,
        stdin=subprocess.DEVNULL,
        env=worker_environment(number),
    )


def _can_fork() -> bool:
    """Return whether a copy of this process can work: no lock of another thread is held for ever, no GPU is lost."""
    return sys.platform == "linux" and active_count() == 1 and not visible_gpus()


def _fork_worker(crossval: CrossValidation, number: int, n_workers: int, log_file: IO[str]) -> FoldWorker:
    """Start a worker that has all that this process has."""
    theirs, ours = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _run_forked_worker(crossval, number, n_workers, ours, log_file)
    os.close(ours)
    return ForkedProcess(pid, os.fdopen(theirs))


def _run_forked_worker(
    crossval: CrossValidation, number: int, n_workers: int, stdout_fd: int, log_file: IO[str]
) -> NoReturn:
    """Be a worker, and nothing of what this process was a copy of. out: descriptor of what it prints."""
    try:
        with Path(os.devnull).open() as nothing:
            for mine, to in ((nothing.fileno(), 0), (stdout_fd, 1), (log_file.fileno(), 2)):
                os.dup2(mine, to)
        sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        torch.set_num_threads(1)  # those of the process before are not here
        run_as_worker(lambda: _run_worker(crossval, number, n_workers))
    finally:  # a fault of ours: it must not end what the process before had begun
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _worker_error(exit_code: int, log_path: Path) -> FivefoldError:
    """Return why a worker has ended."""
    if exit_code < 0:
        return StudyError(f"a worker was killed by signal {-exit_code}; free memory, or start fewer with --workers")
    lines = [line for line in log_path.read_text(errors="replace").splitlines() if line.strip()]
    said = lines[-1].removeprefix("error: ") if lines else f"a worker failed without a word ({log_path})"
    return InputError(said) if exit_code == InputError.exit_code else StudyError(said)


def _worker_log_path(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.log"


def main() -> None:
    """Run as a process of its own."""
    plan, number, of = Plan.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    run_as_worker(lambda: _run_worker(CrossValidation.read(plan), number, of))


def _run_worker(crossval: CrossValidation, number: int, n_workers: int) -> None:
    """Train every `of`-th place, from `number` on, and print what comes of each."""
    work = paths.crossval_dir(crossval.plan.file_stem) / f"work-{number}"
    for result in _silenced(crossval, list_fold_tasks(crossval)[number::n_workers], work, sys.stderr):
        print(result.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
