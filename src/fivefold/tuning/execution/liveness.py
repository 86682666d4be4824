"""Who has a trial: a worker holds a lock as long as it lives, by which its machine knows whether it does."""

import fcntl
import os
import secrets
import socket
from pathlib import Path

from ... import paths
from .storage import storage_url


class TrialLost(Exception):  # noqa: N818 (no error: another worker does it)
    """A worker was taken for dead, and what it had is another's."""


class WorkerLock:
    """A process that takes trials.

    It is made by who holds the study. One that ends in disorder leaves its lock behind, open: it is known to be dead.
    """

    def __init__(self, study: str) -> None:
        self.token = secrets.token_hex(8)
        self.name = f"{socket.gethostname()}/{self.token}"
        self.path = _lock_path(study, self.name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Be no worker any more, and have nothing."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def is_alive(study: str, worker_name: str) -> bool | None:
    """Return whether a worker lives; None if this cannot be told here.

    Who shares a journal shares the locks beside it, whatever its machine calls itself. Of a database that cannot be
    said: there a worker of this machine may be one of another project, and heartbeats must tell.
    """
    path = _lock_path(study, worker_name)
    if storage_url() and worker_name.partition("/")[0] != socket.gethostname():
        return None
    if not path.is_file():  # "": who began to take a trial and was killed has no name there
        return None if storage_url() else False
    return _is_locked(path)


def remove_lock(study: str, worker_name: str) -> None:
    """Remove the lock of a worker that is dead."""
    _lock_path(study, worker_name).unlink(missing_ok=True)


def remove_stale_locks(study: str) -> None:
    """Remove the locks of workers that are dead and have nothing. The caller holds the study."""
    for path in (paths.study_dir(study) / "workers").glob("*"):
        if not _is_locked(path):
            path.unlink(missing_ok=True)


def _is_locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock_path(study: str, worker_name: str) -> Path:
    return paths.study_dir(study) / "workers" / worker_name.partition("/")[2]
