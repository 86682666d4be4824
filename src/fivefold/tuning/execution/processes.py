"""Workers that are processes of this machine."""

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

STOP_TIMEOUT = 30
"""Seconds that workers have to end when they are asked to."""


@dataclass
class ProcessWorkerPool:
    """Worker processes of one study.

    words: what follows `python -m fivefold.tuning.execution.worker PARENT`. logs: folder of what each says.
    """

    worker_args: Sequence[str]
    log_dir: Path
    size: int
    running: dict[int, Any] = field(default_factory=dict)

    def start_missing(self, max_new: int) -> None:
        """Start up to so many of those that are missing."""
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
        """Yield number and exit code of each worker that has ended since; below 0, it was killed."""
        for number, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[number]
                yield number, process.returncode

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""
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
        """Return the file of what a worker says."""
        return self.log_dir / f"worker-{number}.log"

    def last_output_line(self, number: int) -> str:
        """Return the last line that a worker said."""
        return last_line(self.log_path(number).read_text(errors="replace"))

    def log_location(self, number: int) -> str:
        """Return where all that a worker said stands."""
        return str(self.log_path(number))


def worker_command(worker_args: Sequence[str]) -> list[str]:
    """Return what starts a worker that ends with this process."""
    return [sys.executable, "-m", "fivefold.tuning.execution.worker", str(os.getpid()), *worker_args]


def last_line(text: str) -> str:
    """Return the last line of a text that is not empty."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def worker_environment(number: int) -> Mapping[str, str]:
    """Return the environment of a worker: a GPU of its own or shared evenly, one thread each on a CPU."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    found = visible_gpus()
    return {**os.environ, **threads, **({"CUDA_VISIBLE_DEVICES": found[number % len(found)]} if found else {})}


def visible_gpus() -> list[str]:
    """Return the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them, without PyTorch's seconds to start."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()


def run_as_worker(work: Callable[[], object], parent_pid: int = 0) -> NoReturn:
    """Do the work of this process, and end it: an error of ours is one line and its code, a signal the shell's code.

    parent: the process that started it, with which it ends, where that may have died already.
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
