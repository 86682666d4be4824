"""Who has a trial: a worker holds a lock as long as it lives, by which its machine knows whether it does."""

import fcntl
import secrets
import socket
from pathlib import Path

from .. import paths
from .storage import url


class Lost(Exception):  # noqa: N818 (no error: another worker does it)
    """A worker was taken for dead, and what it had is another's."""


class Worker:
    """A process that takes trials.

    One that ends in disorder leaves its lock behind, open, so that it is known to be dead.
    """

    def __init__(self, study: str) -> None:
        self.token = secrets.token_hex(8)
        self.name = f"{socket.gethostname()}/{self.token}"
        self.path = _lock_of(study, self.name)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = self.path.open("w")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def close(self) -> None:
        """Be no worker any more, and have nothing."""
        self.path.unlink(missing_ok=True)
        self.file.close()


def lives(study: str, worker: str) -> bool | None:
    """Return whether a worker lives; None if this cannot be told here.

    Who shares a journal shares the locks beside it, whatever its machine calls itself. Of a database that cannot be
    said: there a worker of this machine may be one of another project, and heartbeats must tell.
    """
    path = _lock_of(study, worker)
    if url() and worker.partition("/")[0] != socket.gethostname():
        return None
    if not path.exists():
        return None if url() else False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def bury(study: str, worker: str) -> None:
    """Remove the lock of a worker that is dead."""
    _lock_of(study, worker).unlink(missing_ok=True)


def _lock_of(study: str, worker: str) -> Path:
    return paths.study(study) / "workers" / worker.partition("/")[2]
