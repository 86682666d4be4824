"""Optuna's journal in one file, which survives kill -9 and a full disk.

Optuna's own file stays locked for half a minute when its holder is killed, and cannot be read any more once a line is
torn. Here the system releases the lock however a process ends, a torn line counts for nothing, and who writes next cuts
it off first.
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
"""Of every line."""


class Journal(JournalFileBackend):
    """An append-only file of JSON lines."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.offsets = [0]  # where each line begins
        super().__init__(str(path), lock_obj=JournalFileLock(path.with_suffix(".lock")))
        self.inode = path.stat().st_ino  # by which it is known again

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries behind the first `log_number_from`; a last line that is not whole is none.

        Raises:
            StudyError: a line is no entry.
        """
        number = min(log_number_from, len(self.offsets) - 1)
        try:
            lines, entries = self._read_entries(number)
        except ValueError:  # or one was just cut off and written anew
            self._lock.acquire()
            try:
                lines, entries = self._read_entries(number)
            except ValueError as error:
                raise self._corrupt_file_error(one_line_message(error)) from None
            finally:
                self._lock.release()
        for line in lines[len(self.offsets) - 1 - number :]:
            self.offsets.append(self.offsets[-1] + len(line) + 1)
        yield from entries[log_number_from - number :]

    def _read_entries(self, first_line: int) -> tuple[list[bytes], list[dict[str, Any]]]:
        """Return the lines behind the first `number`, and what they say; a `ValueError` names one that says nothing."""
        with self._open_file("rb") as file:
            file.seek(self.offsets[first_line])
            lines = file.read().split(b"\n")[:-1]
        entries = []
        for place, line in enumerate(lines, first_line + 1):
            if not line.startswith(LINE_PREFIX):
                raise ValueError(f"line {place} begins with {line[:20]!r}")
            entries.append(json.loads(line))
        return lines, entries

    def _open_file(self, mode: str) -> FileIO:
        """Open the file that this journal began with.

        Raises:
            StudyError: it is gone, or another one stands in its place.
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
            f"{self.path} must stay where it is while its study runs, but was removed or replaced; run the same command"
            " again"
        )

    def _corrupt_file_error(self, detail: str) -> StudyError:
        return StudyError(
            f"{self.path} must hold trials of Optuna, line by line, but does not: {detail}; move it away, and the study"
            " begins anew"
        )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, all of them or none.

        Raises:
            StudyError: the file cannot be written.
        """
        text = b"".join(json.dumps(log, separators=(",", ":")).encode() + b"\n" for log in logs)
        try:
            self._lock.acquire()
            try:
                self._append_bytes(text, any(map(_needs_sync, logs)))
            finally:
                self._lock.release()
        except ValueError as error:
            raise self._corrupt_file_error(one_line_message(error)) from None
        except OSError as error:
            raise StudyError(
                f"{self.path} must take what a study tells, but does not: {one_line_message(error)}; make room and run the same"
                " command again: all that was told before is kept"
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


def _needs_sync(entry: dict[str, Any]) -> bool:
    """Return whether an entry must survive a power cut at once, with all before it: a study begins, or a trial ends.

    Whatever process is killed, the system has what was written; waiting for the disk takes milliseconds.
    """
    state = entry.get("state") if entry["op_code"] == JournalOperation.SET_TRIAL_STATE_VALUES else None
    return entry["op_code"] == JournalOperation.CREATE_STUDY or (state is not None and TrialState(state).is_finished())


def _truncate_torn_line(descriptor: int) -> int:
    """Cut a torn last line off; return the size that is left.

    Raises:
        ValueError: what stands there is no beginning of a line of ours.
    """
    size = os.fstat(descriptor).st_size
    tail, start = b"", size
    while start and b"\n" not in tail:
        block = min(start, 1 << 16)
        start -= block
        tail = os.pread(descriptor, block, start) + tail
    torn = tail[tail.rfind(b"\n") + 1 :]
    beginning = torn.rstrip(b"\0")[: len(LINE_PREFIX)]  # a power cut may leave zeros
    if beginning != LINE_PREFIX[: len(beginning)]:
        raise ValueError(f"its last line begins with {beginning!r}")
    if torn:
        os.ftruncate(descriptor, size - len(torn))
    return size - len(torn)
