"""Termination of stage processes (parent death, SIGTERM, SIGINT) and their rank in distributed training.

The processes of distributed training are started by `training.distributed`, torchrun or srun of SLURM. The process of
rank 0 is a regular stage; the others are workers, which take no lock and write neither files nor output.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

PR_SET_PDEATHSIG = 1
"""Option of prctl on Linux: the signal that a process receives when its parent dies."""


def exit_with_parent(parent: int = 0) -> None:
    """Send SIGTERM to this process when its parent dies, so that no stage keeps running after `dvc` is killed.

    parent: process id of the parent, which may have died already; 0: the current parent.
    """
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the call above
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True, name="parent-watch").start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


class StopRequested(BaseException):
    """Raised by a signal that ends the process. The exit code follows the shell: 143 for SIGTERM, 130 for SIGINT."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


def install_signal_handlers() -> None:
    """Make SIGTERM and SIGINT raise `StopRequested`, so that `finally` blocks run and the exit code is correct.

    Lightning's own handler exits a terminated training with code 0, which DVC considers a success. It calls an existing
    handler and does not catch exceptions other than `KeyboardInterrupt`.
    """
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _handle_signal)


_received_signals: list[int] = []
"""Signals received since the handlers were installed."""
_defer_depth = 0
"""Nesting depth of `defer_signals`."""


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer signals to the end of the block, e.g. during a database transaction."""
    global _defer_depth
    _defer_depth += 1
    try:
        yield
    finally:
        _defer_depth -= 1
    if not _defer_depth:
        raise_if_stopped()


@contextmanager
def allow_signals() -> Iterator[None]:
    """Handle signals immediately in a long-running part of a `defer_signals` block."""
    global _defer_depth
    before, _defer_depth = _defer_depth, 0
    try:
        raise_if_stopped()
        yield
    finally:
        _defer_depth = before


def _handle_signal(signum: int, _: FrameType | None) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)  # a second signal must not interrupt the cleanup
    _received_signals.append(signum)
    if not _defer_depth:
        raise StopRequested(signum)


def raise_if_stopped() -> None:
    """Raise `StopRequested` if a signal was received; Python ignores exceptions raised during a `__del__`."""
    if _received_signals:
        raise StopRequested(_received_signals[0])


def get_rank() -> int:
    """Return the rank of this process; 0 for a single process."""
    return int(os.environ.get("SLURM_PROCID" if is_slurm_launch() else "RANK", "0"))


def get_world_size() -> int:
    """Return the number of processes."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS" if is_slurm_launch() else "WORLD_SIZE", "1"))


def is_slurm_launch() -> bool:
    """Return whether srun started several processes; a batch script is a single process for any number of tasks."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "RANK" not in os.environ
