"""A PostgreSQL server of one's own for a while: in a temporary folder, on a free port, of a user without rights."""

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
    """A server that can be stopped and started again."""

    binaries: Path
    folder: Path
    port: int
    made: int = 0

    def start(self) -> None:
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def create(self, name: str) -> str:
        """Make a database; return its address."""
        engine = sqlalchemy.create_engine(self._address("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def _address(self, name: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *words: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.folder / "data"), *words]
        how = {"cwd": self.folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, **_user()}
        done = subprocess.run(command, check=False, **how)
        assert done.returncode == 0, f"{command} ended with {done.returncode}: {done.stderr}"


def why_not() -> str:
    """Return why no server can be started here; "" if one can."""
    if find_spec("psycopg") is None:
        return "psycopg is not installed: fivefold[postgres]"
    return "" if _binaries() else "there is no PostgreSQL: initdb is neither on PATH nor in /usr/lib/postgresql"


@contextmanager
def server() -> Iterator[Server]:
    """Run a server."""
    binaries = _binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="fivefold-postgres-"))
    try:
        if _user():
            shutil.chown(folder, _user()["user"])
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        made = Server(binaries, folder, port)
        made._run("initdb", "--auth=trust", f"--username={USER}", "--no-sync", "--encoding=UTF8", "--locale=C")
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    on_path = shutil.which("initdb")
    every = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in every if (folder / "initdb").exists()), None)


def _user() -> dict[str, Any]:
    """Return as whom the server runs: it refuses to be root."""
    if os.geteuid():
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": next(name for name in ("postgres", "nobody") if name in names), "extra_groups": []}
