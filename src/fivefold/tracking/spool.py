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
from .events import EVENT, Event


class Spool:
    """What one run has to say; several processes may append, one after the other."""

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.folder = paths.spool() / fingerprint
        self.events = self.folder / "events.jsonl"
        self.sent_file = self.folder / "sent"

    def append(self, *events: Event) -> None:
        """Append events in one write."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = b"".join(EVENT.dump_json(event) + b"\n" for event in events)
        with self.events.open("ab+") as file:
            file.seek(max(file.tell() - 1, 0))
            torn = file.read(1) not in (b"", b"\n")
            file.write(b"\n" + text if torn else text)

    def keep(self, path: Path) -> str:
        """Copy a file into the spool, so that it is there whenever it is sent; return where, for `file`."""
        place = self._place(path.name)
        shutil.copyfile(path, self.file(place))
        return place

    def write(self, name: str, content: bytes) -> str:
        """Write a file into the spool; return where, for `file`."""
        place = self._place(name)
        self.file(place).write_bytes(content)
        return place

    def _place(self, name: str) -> str:
        place = Path(secrets.token_hex(8)) / name
        (self.folder / "files" / place).parent.mkdir(parents=True)
        return str(place)

    def file(self, place: str) -> Path:
        """Return the path of a copy that `keep` or `write` made."""
        return self.folder / "files" / place

    def forget(self, place: str) -> None:
        """Delete a copy that was sent."""
        shutil.rmtree(self.file(place).parent, ignore_errors=True)

    def read(self) -> Iterator[Event]:
        """Yield each event, sent or not."""
        yield from (event for _, event in self._from(0))

    def unsent(self) -> Iterator[tuple[int, Event]]:
        """Yield each event that was not sent yet, and the offset behind it."""
        yield from self._from(self.sent())

    def _from(self, offset: int) -> Iterator[tuple[int, Event]]:
        """Yield each event behind `offset`, and the offset behind it; a torn line is passed over."""
        if not self.events.exists():
            return
        with self.events.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                if line.startswith(b'{"kind"') and line.endswith(b"}\n"):
                    yield offset, EVENT.validate_json(line)

    def sent(self) -> int:
        """Return how many bytes of the events MLflow has."""
        return int(self.sent_file.read_text()) if self.sent_file.exists() else 0

    def mark_sent(self, offset: int) -> None:
        """Remember that everything before `offset` was sent."""
        fresh = self.sent_file.with_suffix(".fresh")
        fresh.write_text(str(offset))
        fresh.replace(self.sent_file)


def all_spools() -> list[Spool]:
    """Return every spool of the project."""
    folder = paths.spool()
    return [Spool(path.name) for path in sorted(folder.iterdir()) if path.is_dir()] if folder.exists() else []
