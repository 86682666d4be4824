"""A PostgreSQL server for the tests of studies, and a small project to study."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from benchmarks import postgres
from fivefold.tuning.execution import storage


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    if why := postgres.why_not():
        pytest.skip(why)
    with postgres.server() as server:
        yield server


@pytest.fixture
def database(postgres_server: postgres.Server) -> str:
    """The address of an empty database."""
    postgres_server.made += 1
    return postgres_server.create(f"test{postgres_server.made}")


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have connections to databases be closed at the end."""
    opened = list[RDBStorage]()

    class Remembered(RDBStorage):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            opened.append(self)

    monkeypatch.setattr(storage, "RDBStorage", Remembered)
    yield
    for each in opened:
        each.engine.dispose()


@pytest.fixture(params=["journal", "sqlite" if postgres.why_not() else "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder in which studies are kept in each kind of storage."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(storage.STORAGE_VARIABLE, raising=False)
    if request.param == "sqlite":
        monkeypatch.setenv(storage.STORAGE_VARIABLE, f"sqlite:///{tmp_path}/studies.db")
    request.getfixturevalue("connections")
    if request.param == "postgresql":
        monkeypatch.setenv(storage.STORAGE_VARIABLE, request.getfixturevalue("database"))
    return str(request.param)
