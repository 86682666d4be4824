"""Lock on a work folder, so that only one process runs a stage."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BusyError

POLL_SECONDS = 0.005
"""Seconds between two attempts; workers of a study hold a lock for a short time only."""

TIMEOUT_SECONDS = 5.0
"""Seconds to wait for the holder, which may be an orphaned process about to exit."""


@contextmanager
def hold_lock(folder: Path, timeout: float = TIMEOUT_SECONDS) -> Iterator[None]:
    """Hold the lock of `folder`. The operating system releases it however the process ends.

    Raises:
        BusyError: another process still holds the lock after `timeout` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + timeout
        while not _try_acquire(descriptor):
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{folder.name} must run in one process at a time, but process {_read_holder(descriptor)} is"
                    f" running it in {folder}; wait for it or stop it"
                )
            time.sleep(POLL_SECONDS)
        os.pwrite(descriptor, f"{os.getpid():<10}".encode(), 0)  # padded, since truncating the file takes milliseconds
        yield
    finally:
        os.close(descriptor)


def _read_holder(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode().strip() or "unknown"


def _try_acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
