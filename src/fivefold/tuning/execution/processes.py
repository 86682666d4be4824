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
from ...stages.run import end
from ...stages.signals import Stopped, end_with_parent, exit_on_signals

PATIENCE = 30
"""Seconds that workers have to end when they are asked to."""


@dataclass
class Processes:
    """Worker processes of one study.

    words: what follows `python -m fivefold.tuning.execution.worker PARENT`. logs: folder of what each says.
    """

    words: Sequence[str]
    logs: Path
    size: int
    living: dict[int, Any] = field(default_factory=dict)

    def fill(self, more: int) -> None:
        """Start up to so many of those that are missing."""
        self.logs.mkdir(parents=True, exist_ok=True)
        for number in [number for number in range(self.size) if number not in self.living][:more]:
            with self.log(number).open("ab") as log:
                self.living[number] = subprocess.Popen(
                    command(self.words), stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment(number)
                )

    def ended(self) -> Iterator[tuple[int, int]]:
        """Yield number and exit code of each worker that has ended since; below 0, it was killed."""
        for number, process in list(self.living.items()):
            if process.poll() is not None:
                del self.living[number]
                yield number, process.returncode

    def stop(self) -> None:
        """Ask all to end, and wait until they have."""
        for process in self.living.values():
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        for process in self.living.values():
            try:
                process.wait(max(0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def log(self, number: int) -> Path:
        """Return the file of what a worker says."""
        return self.logs / f"worker-{number}.log"

    def last_words(self, number: int) -> str:
        """Return the last line that a worker said."""
        return last_line(self.log(number).read_text(errors="replace"))

    def where(self, number: int) -> str:
        """Return where all that a worker said stands."""
        return str(self.log(number))


def command(words: Sequence[str]) -> list[str]:
    """Return what starts a worker that ends with this process."""
    return [sys.executable, "-m", "fivefold.tuning.execution.worker", str(os.getpid()), *words]


def last_line(said: str) -> str:
    """Return the last line of a text that is not empty."""
    return next((line for line in reversed(said.splitlines()) if line.strip()), "")


def environment(number: int) -> Mapping[str, str]:
    """Return the environment of a worker: a GPU of its own or shared evenly, one thread each on a CPU."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    found = gpus()
    return {**os.environ, **threads, **({"CUDA_VISIBLE_DEVICES": found[number % len(found)]} if found else {})}


def gpus() -> list[str]:
    """Return the GPUs that may be used, as CUDA_VISIBLE_DEVICES names them, without PyTorch's seconds to start."""
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [gpu for gpu in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if gpu not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    query = ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()


def as_worker(work: Callable[[], object], parent: int = 0) -> NoReturn:
    """Do the work of this process, and end it: an error of ours is one line and its code, a signal the shell's code.

    parent: the process that started it, with which it ends, where that may have died already.
    """
    exit_on_signals()
    try:
        end_with_parent(parent)
        work()
    except FivefoldError as error:
        print(f"error: {error}", file=sys.stderr)
        end(error.exit_code)
    except Stopped as stop:
        end(stop.exit_code)
    end(0)
