"""When a stage's process must end: with its parent, on SIGTERM, on Ctrl-C.

Which this process is of those that train one network together.

They are started by `training.followers`, by torchrun, or by SLURM's srun. The one of rank 0 is a stage like any other.
Those that follow it only take part in its training: they take no lock, write nothing and say nothing.
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
"""Linux: prctl option that names the signal a process gets when its parent dies."""


def exit_with_parent(parent: int = 0) -> None:
    """Have this process get SIGTERM when its parent dies, so that killing `dvc` leaves no stage writing on.

    parent: the process that started it, where that may have died already; 0: the one that it has now.
    """
    parent = parent or os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died between the two lines
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True, name="parent-watch").start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


class StopRequested(BaseException):
    """A signal asks this process to end: 143 for SIGTERM, 130 for Ctrl-C, as a shell would say it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.exit_code = 128 + signum


def install_signal_handlers() -> None:
    """Have SIGTERM and SIGINT raise `Stopped`, so that `finally` blocks run and the exit code is the right one.

    Lightning by itself ends a terminated training with exit code 0, which DVC takes for success; it calls a handler
    that it finds, and lets what is no `KeyboardInterrupt` through.
    """
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _handle_signal)


_received_signals: list[int] = []
"""Signals that asked this process to end."""
_defer_depth = 0
"""Reasons not to end at once."""


@contextmanager
def defer_signals() -> Iterator[None]:
    """Have a signal wait: what talks to a database must not be broken off within a sentence."""
    global _shields
    _defer_depth += 1
    try:
        yield
    finally:
        _defer_depth -= 1
    if not _defer_depth:
        raise_if_stopped()


@contextmanager
def allow_signals() -> Iterator[None]:
    """Have a signal end at once what takes long, within something that is shielded."""
    global _shields
    before, _defer_depth = _defer_depth, 0
    try:
        raise_if_stopped()
        yield
    finally:
        _defer_depth = before


def _handle_signal(signum: int, _: FrameType | None) -> None:
    for either in (signal.SIGTERM, signal.SIGINT):
        signal.signal(either, signal.SIG_IGN)  # a second one must not break the cleaning up after the first
    _received_signals.append(signum)
    if not _defer_depth:
        raise StopRequested(signum)


def raise_if_stopped() -> None:
    """Raise `Stopped` again: Python drops an exception that a signal raises while it runs somebody's `__del__`."""
    if _received_signals:
        raise StopRequested(_received_signals[0])


def get_rank() -> int:
    """Return this process's number; 0 if it is alone."""
    return int(os.environ.get("SLURM_PROCID" if is_slurm_launch() else "RANK", "0"))


def get_world_size() -> int:
    """Return how many processes there are."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS" if is_slurm_launch() else "WORLD_SIZE", "1"))


def is_slurm_launch() -> bool:
    """Say whether srun started several of us; a batch script alone is one process, however many tasks its job has."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "RANK" not in os.environ
