"""A temporary PostgreSQL server: in a temporary folder, on a free port, run by an unprivileged user."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import sqlalchemy

USER = "fivefold"


@dataclass
class Server:
    """A server that can be stopped and restarted."""

    binaries: Path
    folder: Path
    port: int

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def create(self, name: str) -> str:
        """Create a database and return its URL."""
        engine = sqlalchemy.create_engine(self._address("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def _address(self, name: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.folder / "data"), *words]
        options = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **_user()}
        done = subprocess.run(command, check=False, **options)
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"


def why_not() -> str:
    """Return why no server can be started here, or an empty string."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: fivefold[postgres]"
    return "" if _binaries() else "PostgreSQL is not installed: initdb is neither on PATH nor in /usr/lib/postgresql"


@contextmanager
def server() -> Iterator[Server]:
    """Run a server for the duration of the context."""
    binaries = _binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="fivefold-postgres-"))
    try:
        if _user():
            shutil.chown(folder, _user()["user"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        started = Server(binaries, folder, port)
        started._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8", "--locale=C")
        started.start()
        try:
            yield started
        finally:
            started.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _user() -> dict[str, Any]:
    """Return the user that runs the server, which refuses to run as root."""
    if os.geteuid():
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": next(name for name in ("postgres", "nobody") if name in names), "extra_groups": []}
