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
from ...errors import ParamsError, StudyError, one_line
from ...stages.lock import locked
from ...stages.run import FULL
from .journal import Journal

VARIABLE = "FIVEFOLD_STUDY_STORAGE"
HIDDEN = "***"
"""What is shown in place of a password."""
POSTGRES, SQLITE = "postgresql", "sqlite"
"""Databases in which a trial can be claimed by one worker alone."""
KEEPALIVE = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
"""Of PostgreSQL, in seconds: a server that is gone is noticed soon."""
PATIENCE = 60
"""Seconds to wait for another process that holds a study."""
HEARTBEAT = 15
"""Seconds between two signs of life of a trial in a database."""
GRACE = 60
"""Seconds without one after which a trial's worker is taken for dead."""

optuna.logging.set_verbosity(optuna.logging.ERROR)


def url() -> str:
    """Return the address of the database, psycopg its driver unless it names one; "" if a file of the project is it."""
    return re.sub(r"^postgres(ql)?://", f"{POSTGRES}+psycopg://", os.environ.get(VARIABLE, ""))


def kind() -> str:
    """Return which database it is; "" if a file of the project is it."""
    return re.split(r"[+:]", url(), maxsplit=1)[0]


def where(name: str) -> str:
    """Return where a study is kept as it may be shown, `HIDDEN` in place of a password."""
    hidden = re.sub(r"//([^:/@]*):.*@", rf"//\1:{HIDDEN}@", url())
    return re.sub(r"(password=)[^&]*", rf"\1{HIDDEN}", hidden) or str(journal(name))


def browsed(shown: str) -> str:
    """Return what `optuna-dashboard` takes in a shell for what `where` shows."""
    return f'"${VARIABLE}"' if HIDDEN in shown else shlex.quote(shown)


def exists(name: str) -> bool:
    """Return whether there may be trials of a study."""
    return bool(url()) or journal(name).exists()


def journal(name: str) -> Path:
    """Return the file of a study of this project."""
    return paths.study(name) / "journal.log"


def open_storage(name: str) -> BaseStorage:
    """Return the storage of a study, made if need be.

    Raises:
        StudyError: the database does not answer, or the file holds something else.
        ParamsError: FIVEFOLD_STUDY_STORAGE is no address of one.
    """
    if not url():
        return JournalStorage(Journal(journal(name)))
    if kind() not in (POSTGRES, SQLITE):
        raise _no_address(f"{POSTGRES} and {SQLITE} can keep a study")
    try:
        with (
            exclusive(name),
            reading(name),
            warnings.catch_warnings(),
        ):  # processes that make its tables at once ruin it
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of heartbeats
            return RDBStorage(
                url(),
                engine_kwargs={"pool_pre_ping": True, "connect_args": KEEPALIVE if kind() == POSTGRES else {}},
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
            )
    except (ImportError, ArgumentError, ValueError) as error:
        raise _no_address(one_line(error)) from None


@contextmanager
def reading(name: str) -> Iterator[None]:
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
            f"the storage {where(name)} must answer, but does not: {one_line(error.__cause__ or error)}; when it does,"
            " run the same command again: all that was told before is kept"
        ) from None
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StudyError(
            "the disk must have room for what a study tells, but is full; make some, and run the same command again:"
            " all that was told before is kept"
        ) from None


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Be the only process that hands out or takes back trials of a study: on this machine, in PostgreSQL on any.

    Raises:
        BusyError: another process has held it for a minute.
        StudyError: the database does not answer, or another machine has held it for a minute.
    """
    if kind() != POSTGRES:
        with locked(paths.study(name), patience=PATIENCE):
            yield
        return
    with reading(name):
        connection = _engine(url()).connect()
    try:
        with reading(name):
            connection.execute(LOCK, {"key": int.from_bytes(sha256(name.encode()).digest()[:7], "big")})
        yield
    finally:
        connection.close()  # which gives the lock back


LOCK = sqlalchemy.text(
    f"SELECT set_config('lock_timeout', '{PATIENCE}s', false), set_config('tcp_keepalives_idle', '15', false),"
    " set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),"
    " pg_advisory_lock(:key)"
)
"""The server, too, is to notice soon that a machine is gone which holds the lock."""


@cache
def _engine(address: str) -> sqlalchemy.Engine:
    return sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool, connect_args=KEEPALIVE)


def _no_address(why: str) -> ParamsError:
    return ParamsError(
        f"{VARIABLE} must be the address of a database, postgresql://user@host/name, but is {where('')!r}: {why}; mend"
        " it, or install fivefold[postgres]"
    )
