"""Where a study's trials are kept: a file of the project, or the database that FIVEFOLD_STUDY_STORAGE names."""

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
"""What is shown in place of a password."""
POSTGRES, SQLITE = "postgresql", "sqlite"
"""Databases in which a trial can be claimed by one worker alone."""
POSTGRES_KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""Of PostgreSQL, in seconds: a server that is gone is noticed soon."""
LOCK_TIMEOUT = 60
"""Seconds to wait for another process that holds a study."""
HEARTBEAT_INTERVAL = 15
"""Seconds between two signs of life of a trial in a database."""
GRACE_PERIOD = 60
"""Seconds without one after which a trial's worker is taken for dead."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def storage_url() -> str:
    """Return the address of the database, psycopg its driver unless it names one; "" if a file of the project is it."""
    return re.sub(r"^postgres(ql)?://", f"{POSTGRES}+psycopg://", os.environ.get(STORAGE_VARIABLE, ""))


def database_kind() -> str:
    """Return which database it is; "" if a file of the project is it."""
    return re.split(r"[+:]", storage_url(), maxsplit=1)[0]


def storage_location(name: str) -> str:
    """Return where a study is kept as it may be shown, `HIDDEN` in place of a password."""
    hidden = re.sub(r"//([^:/@]*):.*@", rf"//\1:{MASK}@", storage_url())
    return re.sub(r"(password=)[^&]*", rf"\1{MASK}", hidden) or str(journal_path(name))


def dashboard_argument(location: str) -> str:
    """Return what `optuna-dashboard` takes in a shell for what `where` shows."""
    return f'"${STORAGE_VARIABLE}"' if MASK in location else shlex.quote(location)


def may_exist(name: str) -> bool:
    """Return whether there may be trials of a study."""
    return bool(storage_url()) or journal_path(name).exists()


def journal_path(name: str) -> Path:
    """Return the file of a study of this project."""
    return paths.study_dir(name) / "journal.log"


def open_storage(name: str) -> BaseStorage:
    """Return the storage of a study, made if need be.

    Raises:
        StudyError: the database does not answer, or the file holds something else.
        ParamsError: FIVEFOLD_STUDY_STORAGE is no address of one.
    """
    if not storage_url():
        return JournalStorage(Journal(journal_path(name)))
    if database_kind() not in (POSTGRES, SQLITE):
        raise _invalid_url_error(f"{POSTGRES} and {SQLITE} can keep a study")
    try:
        with (
            hold_study_lock(name),
            translate_storage_errors(name),
            warnings.catch_warnings(),
        ):  # processes that make its tables at once ruin it
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of heartbeats
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
    """Have an error of the storage be one of ours.

    Raises:
        StudyError: what is wrong with it.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise StudyError(
            f"the storage {storage_location(name)} must answer, but does not: {one_line_message(error.__cause__ or error)}; when it does,"
            " run the same command again: all that was told before is kept"
        ) from None
    except OSError as error:
        if error.errno not in DISK_FULL_ERRNOS:
            raise
        raise StudyError(
            "the disk must have room for what a study tells, but is full; make some, and run the same command again:"
            " all that was told before is kept"
        ) from None


@contextmanager
def hold_study_lock(name: str) -> Iterator[None]:
    """Be the only process that hands out or takes back trials of a study: on this machine, in PostgreSQL on any.

    Raises:
        BusyError: another process has held it for a minute.
        StudyError: the database does not answer, or another machine has held it for a minute.
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
        connection.close()  # which gives the lock back


ADVISORY_LOCK_SQL = sqlalchemy.text(
    f"SELECT set_config('lock_timeout', '{LOCK_TIMEOUT}s', false), set_config('tcp_keepalives_idle', '15', false),"
    " set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),"
    " pg_advisory_lock(:key)"
)
"""The server, too, is to notice soon that a machine is gone which holds the lock."""


@cache
def _build_engine(url: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=POSTGRES_KEEPALIVE)


def _invalid_url_error(reason: str) -> ParamsError:
    return ParamsError(
        f"{STORAGE_VARIABLE} must be the address of a database, postgresql://user@host/name, but is {storage_location('')!r}: {reason}; mend"
        " it, or install fivefold[postgres]"
    )
