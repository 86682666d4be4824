"""Worker processes on this machine."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ...errors import FivefoldError
from ...stages.run import exit_process
from ...stages.signals import StopRequested, exit_with_parent, install_signal_handlers

VECTORIZE, SEQUENTIAL = "vectorize", "sequential"
"""Last argument of a worker: whether trials may train as one tensor program."""
STOP_TIMEOUT = 30
"""Seconds that workers get to end after SIGTERM."""


@dataclass
class ProcessWorkerPool:
    """Worker processes of one study.

    worker_args: arguments after `python -m fivefold.tuning.execution.worker PARENT`. log_dir: folder of the log files.
    """

    worker_args: Sequence[str]
    log_dir: Path
    size: int
    running: dict[int, Any] = field(default_factory=dict)

    def start_missing(self, max_new: int) -> None:
        """Start the workers that are not running, at most `max_new`."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for number in [number for number in range(self.size) if number not in self.running][:max_new]:
            with self.log_path(number).open("ab") as log:
                self.running[number] = subprocess.Popen(
                    worker_command(self.worker_args),
                    stdout=log,
                    stderr=log,
                    stdin=subprocess.DEVNULL,
                    env=worker_environment(number),
                )

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since the last call; negative: it was killed."""
        for number, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[number]
                yield number, process.returncode

    def stop(self) -> None:
        """Send SIGTERM to all workers and wait for their end."""
        for process in self.running.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT
        for process in self.running.values():
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log_path(self, number: int) -> Path:
        """Return the log file of a worker."""
        return self.log_dir / f"worker-{number}.log"

    def last_output_line(self, number: int) -> str:
        """Return the last line of a worker's output."""
        return last_line(self.log_path(number).read_text(errors="replace"))

    def log_location(self, number: int) -> str:
        """Return where the full output of a worker is stored."""
        return str(self.log_path(number))


def worker_command(worker_args: Sequence[str]) -> list[str]:
    """Return the command of a worker that ends with this process."""
    return [sys.executable, "-m", "fivefold.tuning.execution.worker", str(os.getpid()), *worker_args]


def last_line(text: str) -> str:
    """Return the last non-empty line of a text."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def worker_environment(number: int) -> Mapping[str, str]:
    """Return the environment of a worker: one thread, and one GPU, which workers share evenly."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    gpus = visible_gpus()
    return {**os.environ, **threads, **({"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]} if gpus else {})}


def visible_gpus() -> list[str]:
    """Return the visible GPUs as CUDA_VISIBLE_DEVICES lists them, without importing PyTorch, which takes seconds."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()


def run_as_worker(work: Callable[[], object], parent_pid: int = 0) -> NoReturn:
    """Run the work of a worker process and exit with its code; an error of fivefold is printed as one line.

    parent_pid: the process with whose death this one ends, which may have died already; 0: none.
    """
    install_signal_handlers()
    try:
        exit_with_parent(parent_pid)
        work()
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        exit_process(error.exit_code)
    except StopRequested as stop:
        exit_process(stop.exit_code)
    exit_process(0)
