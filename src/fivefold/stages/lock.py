"""One process a stage: a lock on its work folder."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BusyError

POLL = 0.005
"""Seconds between two looks whether it is free: workers of a study wait for one another only for moments."""
PATIENCE = 5.0
"""Seconds to wait for a holder, which may be an orphan that is just ending."""


@contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock of `folder`; the system releases it however the process ends.

    Raises:
        BusyError: another process holds it; names that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + patience
        while not _try(descriptor):
            if time.monotonic() > deadline:
                raise BusyError(
                    f"{folder.name} must run once at a time, but process {_holder(descriptor)} is running it in"
                    f" {folder}; wait for it or stop it"
                )
            time.sleep(POLL)
        os.pwrite(descriptor, f"{os.getpid():<10}".encode(), 0)  # padded: to cut a file costs milliseconds
        yield
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 20, 0).decode().strip() or "unknown"


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
