"""Local spool: a folder per run, to which stages append events and from which they are uploaded.

    .fivefold/spool/<fingerprint>/events.jsonl   one event per line
                                  files/         copies of the artifacts that events refer to
                                  sent           number of bytes of events.jsonl that were sent to MLflow

An incomplete last line (power failure, full disk) is never sent, and the next append starts a new line.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from .. import paths
from .events import EVENT_ADAPTER, Event


class Spool:
    """Events of a run. Several processes may append to it, one after the other."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.folder = paths.spool_dir() / fingerprint
        self.events_file = self.folder / "events.jsonl"
        self.sent_file = self.folder / "sent"

    def append(self, *events: Event) -> None:
        """Append events in one write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = b"".join(EVENT_ADAPTER.dump_json(event) + b"\n" for event in events)
        with self.events_file.open("ab+") as file:
            file.seek(max(file.tell() - 1, 0))
            is_incomplete = file.read(1) not in (b"", b"\n")
            file.write(b"\n" + text if is_incomplete else text)

    def copy_file(self, path: Path) -> str:
        """Copy a file into the spool, so that it still exists when it is sent; return its spool path."""
        spool_path = self._new_spool_path(path.name)
        shutil.copyfile(path, self.file_path(spool_path))
        return spool_path

    def write_file(self, name: str, content: bytes) -> str:
        """Write a file into the spool; return its spool path."""
        spool_path = self._new_spool_path(name)
        self.file_path(spool_path).write_bytes(content)
        return spool_path

    def _new_spool_path(self, name: str) -> str:
        spool_path = str(Path(secrets.token_hex(8)) / name)
        self.file_path(spool_path).parent.mkdir(parents=True)
        return spool_path

    def file_path(self, spool_path: str) -> Path:
        """Return the path of a file created by `copy_file` or `write_file`, given its spool path."""
        return self.folder / "files" / spool_path

    def delete_file(self, spool_path: str) -> None:
        """Delete a file that was sent."""
        shutil.rmtree(self.file_path(spool_path).parent, ignore_errors=True)

    def read_events(self) -> Iterator[Event]:
        """Yield all events, sent or not."""
        yield from (event for _, event in self._read_from(0))

    def unsent_events(self) -> Iterator[tuple[int, Event]]:
        """Yield each event that was not sent yet, with the offset of its end."""
        yield from self._read_from(self.sent_offset())

    def _read_from(self, offset: int) -> Iterator[tuple[int, Event]]:
        """Yield each event after `offset`, with the offset of its end; incomplete lines are skipped."""
        if not self.events_file.exists():
            return
        with self.events_file.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                if line.startswith(b'{"kind"') and line.endswith(b"}\n"):
                    yield offset, EVENT_ADAPTER.validate_json(line)

    def sent_offset(self) -> int:
        """Return the number of bytes of the events file that were sent."""
        return int(self.sent_file.read_text()) if self.sent_file.exists() else 0

    def mark_sent(self, offset: int) -> None:
        """Record that all events before `offset` were sent."""
        temporary = self.sent_file.with_suffix(".tmp")
        temporary.write_text(str(offset))
        temporary.replace(self.sent_file)


def list_spools() -> list[Spool]:
    """Return all spools of the project."""
    folder = paths.spool_dir()
    return [Spool(path.name) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []
