"""Optuna journal storage in one file that survives kill -9 and a full disk.

The lock of Optuna's own backend stays for half a minute after its holder was killed, and a torn line makes its file
unreadable. Here the operating system releases the lock however a process ends; a torn line is ignored and removed by
the next writer.
"""

import fcntl
import json
import os
from collections.abc import Generator
from io import FileIO
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import BaseJournalFileLock
from optuna.storages.journal._storage import JournalOperation
from optuna.trial import TrialState

from ...errors import StudyError, one_line_message

LINE_PREFIX = b'{"op_code":'
"""Start of every line."""


class Journal(JournalFileBackend):
    """Append-only file of JSON lines, one per operation."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.offsets = [0]  # start of each line
        super().__init__(str(path), lock_obj=JournalFileLock(path.with_suffix(".lock")))
        self.inode = path.stat().st_ino  # detects a replaced file

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries after the first `log_number_from`; an incomplete last line is ignored.

        Raises:
            StudyError: a line is not a valid entry.
        """
        first_line = min(log_number_from, len(self.offsets) - 1)
        try:
            lines, entries = self._read_entries(first_line)
        except ValueError:  # possibly a torn line that is being replaced: read again while no one writes
            self._lock.acquire()
            try:
                lines, entries = self._read_entries(first_line)
            except ValueError as error:
                raise self._corrupt_file_error(one_line_message(error)) from None
            finally:
                self._lock.release()
        for line in lines[len(self.offsets) - 1 - first_line :]:
            self.offsets.append(self.offsets[-1] + len(line) + 1)
        yield from entries[log_number_from - first_line :]

    def _read_entries(self, first_line: int) -> tuple[list[bytes], list[dict[str, Any]]]:
        """Return the lines from `first_line` on, and their entries; a `ValueError` names an invalid line."""
        with self._open_file("rb") as file:
            file.seek(self.offsets[first_line])
            lines = file.read().split(b"\n")[:-1]
        entries = []
        for number, line in enumerate(lines, first_line + 1):
            if not line.startswith(LINE_PREFIX):
                raise ValueError(f"line {number} begins with {line[:20]!r}")
            entries.append(json.loads(line))
        return lines, entries

    def _open_file(self, mode: str) -> FileIO:
        """Open the file that this journal was created with.

        Raises:
            StudyError: the file was removed or replaced.
        """
        try:
            file = FileIO(self.path, mode)
        except FileNotFoundError:
            raise self._missing_file_error() from None
        if os.fstat(file.fileno()).st_ino != self.inode:
            file.close()
            raise self._missing_file_error()
        return file

    def _missing_file_error(self) -> StudyError:
        return StudyError(
            f"{self.path} must stay in place while its study runs, but was removed or replaced; run the same command"
            " again"
        )

    def _corrupt_file_error(self, detail: str) -> StudyError:
        return StudyError(
            f"{self.path} must be an Optuna journal, but is not: {detail}; move it away, and the study starts from"
            " scratch"
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append all entries or none.

        Raises:
            StudyError: the file cannot be written.
        """
        data = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        try:
            self._lock.acquire()
            try:
                self._append_bytes(data, any(map(_needs_sync, logs)))
            finally:
                self._lock.release()
        except ValueError as error:
            raise self._corrupt_file_error(one_line_message(error)) from None
        except OSError as error:
            raise StudyError(
                f"{self.path} must be writable, but is not: {one_line_message(error)}; free disk space and run the same"
                " command again: everything recorded so far is stored"
            ) from None

    def _append_bytes(self, data: bytes, sync: bool) -> None:
        with self._open_file("rb+") as file:
            end = _truncate_torn_line(file.fileno())
            file.seek(end)
            try:
                written = file.write(data)
                if written != len(data):
                    raise OSError(f"{written} of {len(data)} bytes were written")
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


class JournalFileLock(BaseJournalFileLock):
    """File lock that the operating system releases when its process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def acquire(self) -> bool:
        """Wait for the lock."""
        self.descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        """Release the lock."""
        os.close(self.descriptor)


def _needs_sync(entry: dict[str, Any]) -> bool:
    """Return whether an entry must be flushed to disk: the creation of a study or the end of a trial.

    Other entries survive the death of any process, but not a power cut; flushing each of them would take milliseconds.
    """
    state = entry.get("state") if entry["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES else None
    return entry["op_code"] == JournalOperation.CREATE_STUDY or (state is not None and TrialState(state).is_finished())


def _truncate_torn_line(descriptor: int) -> int:
    """Remove an incomplete last line; return the remaining file size.

    Raises:
        ValueError: the incomplete line is not the beginning of a journal line.
    """
    size = os.fstat(descriptor).st_size
    tail, start = b"", size
    while start and b"\n" not in tail:
        block = min(start, 1 << 16)
        start -= block
        tail = os.pread(descriptor, block, start) + tail
    torn = tail[tail.rfind(b"\n") + 1 :]
    beginning = torn.rstrip(b"\0")[: len(LINE_PREFIX)]  # a power cut may leave zeros at the end
    if beginning != LINE_PREFIX[: len(beginning)]:
        raise ValueError(f"its last line begins with {beginning!r}")
    if torn:
        os.ftruncate(descriptor, size - len(torn))
    return size - len(torn)
