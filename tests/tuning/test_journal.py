"""The journal: after any interruption of a writer, earlier entries are readable and the next writer can append."""

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from fivefold.errors import StudyError
from fivefold.tuning.execution.journal import Journal

LINES = [{"op_code": 0, "worker_id": "w", "study_name": "s", "directions": [1]}] + [
    {"op_code": 4, "worker_id": "w", "study_id": 0, "datetime_start": None, "state": 4, "n": "é" * n} for n in range(3)
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study" / "journal.log"


def test_torn_last_line_is_ignored_and_removed(path: Path) -> None:
    Journal(path).append_logs(LINES)
    complete = path.read_bytes()
    last_line_start = complete.rindex(b"\n", 0, -1) + 1
    for end in range(last_line_start, len(complete)):
        path.write_bytes(complete[:end])
        journal = Journal(path)
        assert list(journal.read_logs(0)) == LINES[:-1]
        journal.append_logs(LINES[-1:])
        assert path.read_bytes() == complete
        assert list(journal.read_logs(0)) == LINES


def test_zeros_after_a_power_cut_are_removed(path: Path) -> None:
    journal = Journal(path)
    journal.append_logs(LINES[:2])
    with path.open("ab") as file:
        file.write(b'{"op_' + bytes(100))
    journal.append_logs(LINES[2:])
    assert list(Journal(path).read_logs(0)) == LINES


@pytest.mark.parametrize("number", range(5))
def test_reading_continues_at_any_entry(path: Path, number: int) -> None:
    journal = Journal(path)
    journal.append_logs(LINES[:2])
    assert list(journal.read_logs(1)) == LINES[1:2]
    journal.append_logs(LINES[2:])
    assert list(journal.read_logs(number)) == LINES[number:]
    assert list(Journal(path).read_logs(number)) == LINES[number:]


@pytest.mark.parametrize("garbage", [b"\x89PNG\r\n\x1a\n", b"no journal", b"1,2,3\n", b"{}\n", b'{"op_code": tru}\n'])
def test_file_that_is_no_journal_is_refused_and_unchanged(path: Path, garbage: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(garbage)
    with pytest.raises(StudyError, match=r"must be an Optuna journal, but is not: .*; move it away"):
        JournalStorage(Journal(path)).create_new_study([optuna.study.StudyDirection.MAXIMIZE], "s")
    assert path.read_bytes().startswith(garbage)


def test_entry_is_written_completely_or_not_at_all_on_a_full_disk(path: Path) -> None:
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")
    study.enqueue_trial({"x": 1.0})
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, hard))
    try:
        with pytest.raises(StudyError, match=r"must be writable, but is not: .*everything recorded so far is stored"):
            study.set_user_attr("much", "x" * 1000)
        assert path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous_handler)
    study.set_user_attr("much", "x")
    assert optuna.load_study(storage=JournalStorage(Journal(path)), study_name="s").user_attrs == {"much": "x"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write any file")
def test_file_without_write_permission_is_named(path: Path) -> None:
    journal = Journal(path)
    path.chmod(0o400)
    with pytest.raises(StudyError, match=r"journal\.log must be writable"):
        journal.append_logs(LINES)


HOLD_LOCK = """
import sys
from pathlib import Path
from fivefold.tuning.execution.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal._lock.acquire()
with Path(sys.argv[1]).open("ab") as file:
    file.write(b'{"op_code":8,"half')
print("held", flush=True)
sys.stdin.read()
"""


def test_lock_of_a_killed_writer_is_released(path: Path) -> None:
    Journal(path).append_logs(LINES[:1])
    holder = subprocess.Popen([sys.executable, "-c", HOLD_LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    Journal(path).append_logs(LINES[1:])
    assert list(Journal(path).read_logs(0)) == LINES


def _write(path: Path, writer: int) -> None:
    study = optuna.load_study(storage=JournalStorage(Journal(path)), study_name="s")
    for n in range(25):
        study.add_trial(optuna.trial.create_trial(state=TrialState.COMPLETE, value=100 * writer + n))


def test_concurrent_writers_lose_nothing(path: Path) -> None:
    study = optuna.create_study(storage=JournalStorage(Journal(path)), study_name="s")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(path, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    trials = study.get_trials()
    assert [trial.number for trial in trials] == list(range(100))
    assert sorted(trial.value or 0 for trial in trials) == [100 * number + n for number in range(4) for n in range(25)]


def test_removed_or_replaced_file_is_reported(tmp_path: Path) -> None:
    storage = JournalStorage(Journal(tmp_path / "journal.log"))
    study = optuna.create_study(storage=storage, study_name="s")
    (tmp_path / "journal.log").rename(tmp_path / "elsewhere")
    for replaced in (False, True):
        if replaced:
            (tmp_path / "journal.log").write_bytes((tmp_path / "elsewhere").read_bytes())
        with pytest.raises(StudyError, match="must stay in place while its study runs, but was removed or replaced"):
            study.ask()
