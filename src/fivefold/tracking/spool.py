"""The local spool: a folder per run, to which stages append and from which a shipper sends.

    .fivefold/spool/<fingerprint>/events.jsonl   one event a line
                                  files/         copies of the artifacts that events name
                                  sent           bytes of events.jsonl that MLflow has

A torn last line (power cut, full disk) is never sent, and the next append starts a fresh line.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from .. import paths
from .events import EVENT_ADAPTER, Event


class Spool:
    """What one run has to say; several processes may append, one after the other."""

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
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" + text if torn else text)

    def copy_file(self, path: Path) -> str:
        """Copy a file into the spool, so that it is there whenever it is sent; return where, for `file`."""
        place = self._new_spool_path(path.name)
        shutil.copyfile(path, self.file_path(place))
        return place

    def write_file(self, name: str, content: bytes) -> str:
        """Write a file into the spool; return where, for `file`."""
        place = self._new_spool_path(name)
        self.file_path(place).write_bytes(content)
        return place

    def _new_spool_path(self, name: str) -> str:
        place = Path(secrets.token_hex(8)) / name
        (self.folder / "files" / place).parent.mkdir(parents=True)
        return str(place)

    def file_path(self, spool_path: str) -> Path:
        """Return the path of a copy that `keep` or `write` made."""
        return self.folder / "files" / spool_path

    def delete_file(self, spool_path: str) -> None:
        """Delete a copy that was sent."""
        shutil.rmtree(self.file_path(spool_path).parent, ignore_errors=True)

    def read_events(self) -> Iterator[Event]:
        """Yield each event, sent or not."""
        yield from (event for _, event in self._read_from(0))

    def unsent_events(self) -> Iterator[tuple[int, Event]]:
        """Yield each event that was not sent yet, and the offset behind it."""
        yield from self._read_from(self.sent_offset())

    def _read_from(self, offset: int) -> Iterator[tuple[int, Event]]:
        """Yield each event behind `offset`, and the offset behind it; a torn line is passed over."""
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
        """Return how many bytes of the events MLflow has."""
        return int(self.sent_file.read_text()) if self.sent_file.exists() else 0

    def mark_sent(self, offset: int) -> None:
        """Remember that everything before `offset` was sent."""
        fresh = self.sent_file.with_suffix(".fresh")
        fresh.write_text(str(offset))
        fresh.replace(self.sent_file)


def list_spools() -> list[Spool]:
    """Return every spool of the project."""
    folder = paths.spool_dir()
    return [Spool(path.name) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []
