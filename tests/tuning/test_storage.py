"""Errors of the storage: one clear line, and no trial is lost."""

import socket
from pathlib import Path

import pytest
from optuna import Trial
from optuna.trial import TrialState

from benchmarks.postgres import Server
from fivefold.errors import BusyError, ParamsError, StudyError
from fivefold.tuning.execution import storage
from fivefold.tuning.execution.liveness import WorkerLock
from fivefold.tuning.execution.storage import (
    STORAGE_VARIABLE,
    dashboard_argument,
    hold_study_lock,
    storage_location,
    translate_storage_errors,
)
from fivefold.tuning.execution.trials import TrialQueue


def open_study() -> TrialQueue:
    with translate_storage_errors("s"):
        trials = TrialQueue.open("s", {"study": {"metric": "accuracy", "objectives": ["score"]}}, ["maximize"])
        trials.enqueue(3, [])
    return trials


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("foo", "only postgresql and sqlite are supported"),
        ("mysql://me:secret@host/db", "only postgresql and sqlite are supported"),
        ("postgresql+nothing://me:secret@host/db", "Can't load plugin: sqlalchemy.dialects:postgresql.nothing"),
        ("postgresql://me:secret@host:port/db", "invalid literal for int"),
    ],
)
def test_invalid_database_url(address: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, address)
    with pytest.raises(ParamsError) as refused:
        open_study()
    assert f"{STORAGE_VARIABLE} must be the URL of a database, postgresql://user@host/name, but is" in str(
        refused.value
    )
    assert reason in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_unreachable_database(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv(STORAGE_VARIABLE, f"postgres://me:secret@127.0.0.1:{taken.getsockname()[1]}/db")
        with pytest.raises(StudyError) as refused:
            open_study()
    message = str(refused.value)
    assert message.startswith("the storage postgresql+psycopg://me:***@127.0.0.1:")
    assert "must respond, but does not" in message
    assert "run the same command again: everything recorded so far is stored" in message
    assert "secret" not in message
    assert "\n" not in message


def test_file_that_is_no_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "table.csv").write_text("size,outcome\n1,up\n" * 100)
    monkeypatch.setenv(STORAGE_VARIABLE, f"sqlite:///{folder}/table.csv")
    with pytest.raises(StudyError, match=r"must respond, but does not: .*file is not a database"):
        open_study()


def test_lost_server_loses_no_recorded_trial(
    postgres_server: Server, database: str, monkeypatch: pytest.MonkeyPatch, connections: None
) -> None:
    monkeypatch.setenv(STORAGE_VARIABLE, database)
    trials, worker = open_study(), WorkerLock("s")
    done, other = trials.claim(worker, 3, 2)
    trials.finish(Trial(trials.study, done._trial_id), [0.5], TrialState.COMPLETE)
    with trials.heartbeat([other]):
        postgres_server.stop()
        try:
            with pytest.raises(StudyError, match="must respond, but does not"), translate_storage_errors("s"):
                trials.finish(Trial(trials.study, other._trial_id), [0.6], TrialState.COMPLETE)
        finally:
            postgres_server.start()
        with translate_storage_errors("s"):
            trials.finish(Trial(trials.study, other._trial_id), [0.6], TrialState.COMPLETE)
    assert [trial.value for trial in TrialQueue.load("s").get_trials()] == [0.5, 0.6, None]
    assert connections is None


def test_lock_timeout_names_the_study(storage_kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LOCK_TIMEOUT", 1)
    with hold_study_lock("s"):
        if storage_kind == "postgresql":
            with hold_study_lock("another"):
                pass
            return
        with pytest.raises(BusyError, match="s must run in one process at a time"), hold_study_lock("s"):
            pass


def test_password_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    for password in ("secret", "se/cr@et:"):
        monkeypatch.setenv(STORAGE_VARIABLE, f"postgresql://me:{password}@host:5433/studies")
        assert storage_location("s") == "postgresql+psycopg://me:***@host:5433/studies"
    assert dashboard_argument(storage_location("s")) == '"$FIVEFOLD_STUDY_STORAGE"'
    monkeypatch.setenv(STORAGE_VARIABLE, "postgresql://host/studies?password=secret&sslmode=require")
    assert storage_location("s") == "postgresql+psycopg://host/studies?password=***&sslmode=require"
    for address in ("postgresql+psycopg://me@host:5433/studies", "postgresql+psycopg://host:5433/studies"):
        monkeypatch.setenv(STORAGE_VARIABLE, address)
        assert dashboard_argument(storage_location("s")) == storage_location("s") == address
    monkeypatch.delenv(STORAGE_VARIABLE)
    assert dashboard_argument(storage_location("s")) == storage_location("s") == ".fivefold/studies/s/journal.log"
