"""Optuna's journal in one file, which survives kill -9 and a full disk.

Optuna's own file stays locked for half a minute when its holder is killed, and cannot be read any more once a line is
torn. Here the system releases the lock however a process ends, and who writes next cuts a torn line off first.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock

from ..errors import StudyError, one_line


class Journal(JournalFileBackend):
    """An append-only file of JSON lines."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        super().__init__(str(path), lock_obj=Lock(path.with_suffix(".lock")))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, all of them or none.

        Raises:
            StudyError: the file cannot be written.
        """
        text = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        self._lock.acquire()
        try:
            with self.path.open("rb+", buffering=0) as file:
                end = _whole(file.fileno())
                file.seek(end)
                try:
                    written = file.write(text)
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(end)
                    raise
                if written != len(text):
                    file.truncate(end)
                    raise OSError(f"{written} of {len(text)} bytes were written")
        except OSError as error:
            raise StudyError(
                f"{self.path} must take what a study tells, but does not: {one_line(error)}; make room and run the same"
                " command again: all that was told before is kept"
            ) from None
        finally:
            self._lock.release()


class Lock(BaseJournalFileLock):
    """A lock that the system holds for a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Let the next one in."""
        os.close(self.descriptor)


def _whole(descriptor: int) -> int:
    """Cut a torn last line off; return the size that is left."""
    size = os.fstat(descriptor).st_size
    while size:
        block = min(size, 1 << 16)
        tail = os.pread(descriptor, block, size - block)
        newline = tail.rfind(b"\n")
        if newline >= 0:
            end = size - block + newline + 1
            break
        size -= block
    else:
        end = 0
    if end < os.fstat(descriptor).st_size:
        os.ftruncate(descriptor, end)
    return end
