"""Training of folds in this process, or in several worker processes with one thread each.

Each worker trains every n-th fold and prints one result per line. On Linux without a GPU, workers are forked, as in
PyTorch's DataLoader, because imports and reading the data may take as long as many folds; elsewhere a worker is
started by `python -m fivefold.crossval.workers PLAN NUMBER N_WORKERS`.
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
    """A forked worker with the used part of the interface of `subprocess.Popen`."""

    pid: int
    stdout: IO[str]
    returncode: int | None = None

    def send_signal(self, signum: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, signum)

    def wait(self) -> int:
        """Wait for the end of the process; return its exit code, negative if a signal killed it."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


FoldWorker = subprocess.Popen[str] | ForkedProcess


@contextmanager
def run_folds(crossval: CrossValidation, workers: int) -> Iterator[Iterator[FoldResult]]:
    """Context manager that returns an iterator over the results, as they arrive.

    Processes are started when it is entered, before this process has other threads.

    Raises:
        StudyError: a worker failed.
        BusyError: the same cross-validation is already running.
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
        with _worker_pool(crossval, workers, folder) as processes:
            yield _collect(processes, folder)


def list_fold_tasks(crossval: CrossValidation) -> list[tuple[str, int]]:
    """Return all pairs of model and fold number, from 0."""
    return [(name, number) for name in crossval.plan.model_names for number in range(len(crossval.fold_splits))]


def train_folds(crossval: CrossValidation, tasks: Sequence[tuple[str, int]], work_dir: Path) -> Iterator[FoldResult]:
    """Train models on folds and yield the results."""
    for name in dict.fromkeys(name for name, _ in tasks):
        fold_splits = [crossval.fold_splits[number] for other, number in tasks if other == name]
        if crossval.plan.nested:
            yield from (nested.run_nested_fold(crossval, name, fold_split, work_dir) for fold_split in fold_splits)
            continue
        model = crossval.params.models[name]
        jobs = (crossval.build_job(fold_split, model, fold_split.seed) for fold_split in fold_splits)
        for fold_split, (job, result) in zip(fold_splits, train_jobs(name, jobs, work_dir), strict=True):
            yield evaluate_fold(name, fold_split, job, result)


def _silenced(
    crossval: CrossValidation, tasks: Sequence[tuple[str, int]], work_dir: Path, log_file: IO[str]
) -> Iterator[FoldResult]:
    """Yield results, with the output of trainings redirected to a log file."""
    results = train_folds(crossval, tasks, work_dir)
    while True:
        with redirect_stdout(log_file):
            result = next(results, None)
        if result is None:
            return
        yield result


@contextmanager
def _worker_pool(crossval: CrossValidation, workers: int, folder: Path) -> Iterator[dict[int, FoldWorker]]:
    """Start workers, which are stopped at the end of the context."""
    start = _fork_worker if _can_fork() else _spawn_worker
    processes: dict[int, FoldWorker] = {}
    try:
        for number in range(workers):
            with _worker_log_path(folder, number).open("w") as log:
                processes[number] = start(crossval, number, workers, log)
        yield processes
    finally:
        for process in processes.values():
            process.send_signal(signal.SIGTERM)
        for process in processes.values():
            process.wait()


def _collect(processes: dict[int, FoldWorker], folder: Path) -> Iterator[FoldResult]:
    """Yield the results of workers until all have ended."""
    messages: SimpleQueue[str | int] = SimpleQueue()
    for number, process in processes.items():
        Thread(target=_forward_lines, args=(number, process, messages), daemon=True).start()
    while processes:
        message = messages.get()
        if isinstance(message, str):
            yield FoldResult.model_validate_json(message)
            continue
        if code := processes.pop(message).wait():
            raise _worker_error(code, _worker_log_path(folder, message))


def _forward_lines(number: int, process: FoldWorker, messages: SimpleQueue[str | int]) -> None:
    """Put each line that a worker prints into a queue, then its number."""
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            messages.put(line)
    messages.put(number)


def _spawn_worker(crossval: CrossValidation, number: int, n_workers: int, log_file: IO[str]) -> FoldWorker:
    """Start a worker that imports fivefold and reads the data itself."""
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
    """Return whether forking is safe: no other thread may hold a lock, and no GPU may be in use."""
    return sys.platform == "linux" and active_count() == 1 and not visible_gpus()


def _fork_worker(crossval: CrossValidation, number: int, n_workers: int, log_file: IO[str]) -> FoldWorker:
    """Start a worker as a copy of this process."""
    read_fd, write_fd = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _run_forked_worker(crossval, number, n_workers, write_fd, log_file)
    os.close(write_fd)
    return ForkedProcess(pid, os.fdopen(read_fd))


def _run_forked_worker(
    crossval: CrossValidation, number: int, n_workers: int, stdout_fd: int, log_file: IO[str]
) -> NoReturn:
    """Run a forked worker and exit. stdout_fd: file descriptor of its output."""
    try:
        with Path(os.devnull).open() as devnull:
            for source_fd, target_fd in ((devnull.fileno(), 0), (stdout_fd, 1), (log_file.fileno(), 2)):
                os.dup2(source_fd, target_fd)
        sys.stdout, sys.stderr = os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        torch.set_num_threads(1)  # the threads of the parent are not copied
        run_as_worker(lambda: _run_worker(crossval, number, n_workers))
    finally:  # even after a bug, the copy must not run the parent's cleanup
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _worker_error(exit_code: int, log_path: Path) -> FivefoldError:
    """Return the error of a worker that has ended."""
    if exit_code < 0:
        return StudyError(f"a worker was killed by signal {-exit_code}; free memory or start fewer with --workers")
    lines = [line for line in log_path.read_text(errors="replace").splitlines() if line.strip()]
    message = lines[-1].removeprefix("error: ") if lines else f"a worker exited without output ({log_path})"
    return InputError(message) if exit_code == InputError.exit_code else StudyError(message)


def _worker_log_path(folder: Path, number: int) -> Path:
    return folder / f"worker-{number}.log"


def main() -> None:
    """Run the worker process."""
    plan, number, n_workers = Plan.model_validate_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    run_as_worker(lambda: _run_worker(CrossValidation.read(plan), number, n_workers))


def _run_worker(crossval: CrossValidation, number: int, n_workers: int) -> None:
    """Train every `n_workers`-th fold, from `number` on, and print the results."""
    work = paths.crossval_dir(crossval.plan.file_stem) / f"work-{number}"
    for result in _silenced(crossval, list_fold_tasks(crossval)[number::n_workers], work, sys.stderr):
        print(result.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
