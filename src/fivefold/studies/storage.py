"""Where a study's trials are kept: a file of the project, or the database that FIVEFOLD_STUDY_STORAGE names."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from sqlalchemy.exc import SQLAlchemyError

from .. import paths
from ..errors import ParamsError, StudyError, one_line
from ..stages.lock import locked
from .journal import Journal

VARIABLE = "FIVEFOLD_STUDY_STORAGE"
HEARTBEAT = 15
"""Seconds between two signs of life of a trial in a database."""
GRACE = 60
"""Seconds without one after which a trial's worker is taken for dead."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def url() -> str:
    """Return the address of the database; "" if trials are kept in a file of the project."""
    return os.environ.get(VARIABLE, "")


def where(name: str) -> str:
    """Return where a study is kept as it may be shown: without a password; `optuna-dashboard` takes it."""
    if not url():
        return str(paths.study(name) / "journal.log")
    netloc = urlsplit(url()).netloc
    return url().replace(netloc, netloc.rpartition("@")[2], 1)


def exists(name: str) -> bool:
    """Return whether there may be trials of a study."""
    return bool(url()) or journal(name).exists()


def journal(name: str) -> Path:
    """Return the file of a study of this project."""
    return paths.study(name) / "journal.log"


def open_storage(name: str) -> BaseStorage:
    """Return the storage of a study, made if need be.

    Raises:
        StudyError: the database does not answer.
        ParamsError: FIVEFOLD_STUDY_STORAGE is no address of one.
    """
    if not url():
        try:
            return JournalStorage(Journal(journal(name)))
        except (ValueError, KeyError) as error:
            raise StudyError(
                f"{journal(name)} must hold trials of Optuna, but does not: {one_line(error)}; move it away, and the"
                " study starts anew"
            ) from None
    with exclusive(name), reading(name):  # processes that make its tables at once ruin it
        return RDBStorage(
            url(),
            engine_kwargs={"pool_pre_ping": True},
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
        )


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Have an error of the storage be one of ours.

    Raises:
        StudyError: what is wrong with it.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error.__cause__ or error
        raise StudyError(
            f"the storage {where(name)} must answer, but does not: {one_line(cause)}; when it does, run the same"
            " command again: all that was told before is kept"
        ) from None


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Be the only process, on any machine, that hands out or takes back trials of a study."""
    with locked(paths.study(name), patience=60):
        if not url().startswith("postgresql"):
            yield
            return
        with reading(name):
            connection = _engine().connect()
        key = {"key": int.from_bytes(sha256(name.encode()).digest()[:7], "big")}
        try:
            with reading(name):
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:key)"), key)
            yield
        finally:
            connection.close()  # which gives the lock back


def _engine() -> sqlalchemy.Engine:
    try:
        return sqlalchemy.create_engine(url(), poolclass=sqlalchemy.NullPool)
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise ParamsError(
            f"{VARIABLE} must be the address of a database, postgresql+psycopg://user@host/name, but is"
            f" {where('')!r}: {one_line(error)}; mend it, or install fivefold[postgres]"
        ) from None
