"""Fixtures: a PostgreSQL server, and each kind of storage."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from optuna.storages import RDBStorage

from benchmarks import postgres
from fivefold.tuning.execution import storage

DATABASE_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    if why := postgres.why_not():
        pytest.skip(why)
    with postgres.server() as server:
        yield server


@pytest.fixture
def database(postgres_server: postgres.Server) -> str:
    """The URL of an empty database."""
    return postgres_server.create(f"test{next(DATABASE_NUMBERS)}")


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close all connections to databases after the test."""
    opened = list[RDBStorage]()

    class RecordedStorage(RDBStorage):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            opened.append(self)

    monkeypatch.setattr(storage, "RDBStorage", RecordedStorage)
    yield
    for storage_backend in opened:
        storage_backend.engine.dispose()


@pytest.fixture(params=["journal", "sqlite" if postgres.why_not() else "postgresql"])
def storage_kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Change to an empty folder in which studies use each kind of storage; return the kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(storage.STORAGE_VARIABLE, raising=False)
    if request.param == "sqlite":
        monkeypatch.setenv(storage.STORAGE_VARIABLE, f"sqlite:///{tmp_path}/studies.db")
    request.getfixturevalue("connections")
    if request.param == "postgresql":
        monkeypatch.setenv(storage.STORAGE_VARIABLE, request.getfixturevalue("database"))
    return str(request.param)
