"""Storage of studies: a journal file in the project, or the database named by FIVEFOLD_STUDY_STORAGE."""

import os
import re
import shlex
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ... import paths
from ...errors import ParamsError, StudyError, one_line_message
from ...stages.lock import hold_lock
from ...stages.run import DISK_FULL_ERRNOS
from .journal import Journal

STORAGE_VARIABLE = "FIVEFOLD_STUDY_STORAGE"
MASK = "***"
"""Shown in place of a password."""
POSTGRES, SQLITE = "postgresql", "sqlite"
"""Databases in which only one worker can claim a trial."""
POSTGRES_KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""PostgreSQL connection options, in seconds: a lost server is noticed soon."""
LOCK_TIMEOUT = 60
"""Seconds to wait for the lock of a study."""
HEARTBEAT_INTERVAL = 15
"""Seconds between two heartbeats of a trial in a database."""
GRACE_PERIOD = 60
"""Seconds without a heartbeat after which a worker is considered dead."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage_url() -> str:
    """Return the database URL, with psycopg as the default driver; "" if the storage is a file of the project."""
    return re.sub(r"^postgres(ql)?://", f"{POSTGRES}+psycopg://", os.environ.get(STORAGE_VARIABLE, ""))


def database_kind() -> str:
    """Return the kind of database; "" if the storage is a file of the project."""
    return re.split(r"[+:]", storage_url(), maxsplit=1)[0]


def storage_location(name: str) -> str:
    """Return the location of a study for display, with `MASK` in place of a password."""
    masked = re.sub(r"//([^:/@]*):.*@", rf"//\1:{MASK}@", storage_url())
    return re.sub(r"(password=)[^&]*", rf"\1{MASK}", masked) or str(journal_path(name))


def dashboard_argument(location: str) -> str:
    """Return the shell argument of `optuna-dashboard` for a location from `storage_location`."""
    return f'"${STORAGE_VARIABLE}"' if MASK in location else shlex.quote(location)


def may_exist(name: str) -> bool:
    """Return whether a study may exist, without opening a database."""
    return bool(storage_url()) or journal_path(name).exists()


def journal_path(name: str) -> Path:
    """Return the journal file of a study of this project."""
    return paths.study_dir(name) / "journal.log"


def open_storage(name: str) -> BaseStorage:
    """Return the storage of a study; create it if it does not exist.

    Raises:
        StudyError: the database does not respond, or the file is not a storage.
        ParamsError: FIVEFOLD_STUDY_STORAGE is not the URL of a supported database.
    """
    if not storage_url():
        return JournalStorage(Journal(journal_path(name)))
    if database_kind() not in (POSTGRES, SQLITE):
        raise _invalid_url_error(f"only {POSTGRES} and {SQLITE} are supported")
    try:
        with (
            hold_study_lock(name),
            translate_storage_errors(name),
            warnings.catch_warnings(),
        ):  # processes that create the tables at the same time corrupt them
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # for heartbeats
            return RDBStorage(
                storage_url(),
                engine_kwargs={
                    "pool_pre_ping": True,
                    "connect_args": POSTGRES_KEEPALIVE if database_kind() == POSTGRES else {},
                },
                heartbeat_interval=HEARTBEAT_INTERVAL,
                grace_period=GRACE_PERIOD,
            )
    except (ImportError, ArgumentError, ValueError) as error:
        raise _invalid_url_error(one_line_message(error)) from None


@contextmanager
def translate_storage_errors(name: str) -> Iterator[None]:
    """Context manager that turns errors of the storage into a `StudyError`.

    Raises:
        StudyError: the storage does not respond, or the disk is full.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise StudyError(
            f"the storage {storage_location(name)} must respond, but does not:"
            f" {one_line_message(error.__cause__ or error)}; once it does, run the same command again: everything"
            " recorded so far is stored"
        ) from None
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        raise StudyError(
            "the disk must have space for the records of a study, but is full; free some and run the same command"
            " again: everything recorded so far is stored"
        ) from None


@contextmanager
def hold_study_lock(name: str) -> Iterator[None]:
    """Hold the lock under which trials of a study are assigned: on this machine, in PostgreSQL on all machines.

    Raises:
        BusyError: another process has held the lock for a minute.
        StudyError: the database does not respond, or another machine has held the lock for a minute.
    """
    if database_kind() != POSTGRES:
        with hold_lock(paths.study_dir(name), timeout=LOCK_TIMEOUT):
            yield
        return
    with translate_storage_errors(name):
        connection = _build_engine(storage_url()).connect()
    try:
        with translate_storage_errors(name):
            connection.execute(ADVISORY_LOCK_SQL, {"key": int.from_bytes(sha256(name.encode()).digest()[:7], "big")})
        yield
    finally:
        connection.close()  # releases the lock


ADVISORY_LOCK_SQL = sqlalchemy.text(
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}s', false), set_config('tcp_keepalives_idle', '15', false),"
    " set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),"
    " pg_advisory_lock(:key)"
)
"""The server, too, should soon notice that the machine of the lock's holder is gone."""


@cache
def _build_engine(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=POSTGRES_KEEPALIVE)


def _invalid_url_error(reason: str) -> ParamsError:
    return ParamsError(
        f"{STORAGE_VARIABLE} must be the URL of a database, postgresql://user@host/name, but is"
        f" {storage_location('')!r}: {reason}; fix it or install fivefold[postgres]"
    )
