"""Liveness of workers: each holds a file lock as long as it runs, which its machine can check."""

import fcntl
import os
import secrets
import socket
from pathlib import Path

from ... import paths
from .storage import storage_url


class TrialLost(Exception):  # noqa: N818 (not an error: another worker runs the trial)
    """The worker was considered dead, and its trial was given to another one."""


class WorkerLock:
    """The lock of a worker process.

    Create it while holding the study lock. A crashed worker leaves an unlocked lock file, which marks it as dead.
    """

    def __init__(self, study: str) -> None:
        self.token = secrets.token_hex(8)
        self.name = f"{socket.gethostname()}/{self.token}"
        self.path = _lock_path(study, self.name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def release(self) -> None:
        """Remove the lock: the worker has no trials any more."""
        self.path.unlink(missing_ok=True)
        os.close(self.descriptor)


def is_alive(study: str, worker_name: str) -> bool | None:
    """Return whether a worker is alive; None if this machine cannot know.

    Processes that share a journal share the folder of locks, whatever the host names. With a database, a worker of
    this host may belong to another project; then only heartbeats are reliable.
    """
    path = _lock_path(study, worker_name)
    if storage_url() and worker_name.partition("/")[0] != socket.gethostname():
        return None
    if not path.is_file():  # a worker that was killed while claiming a trial may have left an empty name
        return None if storage_url() else False
    return _is_locked(path)


def remove_lock(study: str, worker_name: str) -> None:
    """Remove the lock of a dead worker."""
    _lock_path(study, worker_name).unlink(missing_ok=True)


def remove_stale_locks(study: str) -> None:
    """Remove the locks of dead workers without trials. The caller holds the study lock."""
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
