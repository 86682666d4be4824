"""How a run of a study ends: stopped by a person, by its workers' deaths and errors, or with its total."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from benchmarks.bench_chaos import MODEL, project
from fivefold.errors import StudyError
from fivefold.tuning.execution import run as running
from fivefold.tuning.execution.progress import StudyProgress
from fivefold.tuning.execution.ray import RayWorkerPool
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE, journal_path
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import FOLD_SCORES, WORKER, WORKER_DEATHS
from fivefold.tuning.results.mlflow import StudyLogger

FIVEFOLD = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "study"]
SOON = (
    "import fivefold.tuning.execution.storage as s; s.HEARTBEAT, s.GRACE = 1, 3;"
    " from fivefold.cli.main import main; main()"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    project(tmp_path / "one", epochs=5)
    monkeypatch.chdir(tmp_path / "one")
    return tmp_path / "one"


def until(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come in time"
        time.sleep(0.05)


def states() -> list[str]:
    return [trial.state.name for trial in TrialQueue.load(MODEL).get_trials()]


def workers(parent: int) -> list[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in listed.read_text().split()] if listed.exists() else []


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_a_run_that_is_stopped_says_so_and_goes_on(folder: Path) -> None:
    command = [*FIVEFOLD, "run", MODEL, "--no-stack", "--trials"]
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        leader = subprocess.Popen([*command, "100"], stderr=subprocess.PIPE, text=True)
        until(lambda: journal_path(MODEL).exists() and "RUNNING" in states())
        mine = workers(leader.pid)
        leader.send_signal(signum)
        said = leader.communicate(timeout=60)[1]
        assert leader.returncode == code
        assert said == f"{MODEL} stopped: what it found is kept; the same command goes on\n"
        assert len(mine) == 1
        assert not Path(f"/proc/{mine[0]}").exists()
        assert "RUNNING" not in states()
        assert list((folder / ".fivefold/studies" / MODEL / "workers").iterdir()) == []
    trials = TrialQueue.load(MODEL)
    assert not any(WORKER_DEATHS in trial.user_attrs for trial in trials.get_trials())
    few = sum(trial.state.is_finished() for trial in trials.get_trials())  # fewer than there are places
    for n in range(few, 2):
        trials.storage.set_trial_state_values(trials.get_trials()[n]._trial_id, TrialState.COMPLETE, [0.5])
    done = subprocess.run([*command, "2"], capture_output=True, text=True, check=True)
    assert f"{MODEL} has its 2 trials; say more with --trials" in done.stdout


@dataclass
class Script:
    """A team whose workers end as is written: a pair of exit codes and of trials that end before it."""

    trials: TrialQueue
    ends: list[tuple[int, str]]
    running: dict[int, Any] = field(default_factory=dict)

    def start_missing(self, max_new: int) -> None:
        assert max_new > 0
        self.running[0] = None

    def poll_exit_codes(self) -> Iterator[tuple[int, int]]:
        if self.running:
            code, end = self.ends.pop(0)
            del self.running[0]
            free = self.trials.get_trials(TrialState.WAITING)
            if end:
                self.trials.storage.set_trial_state_values(free[0]._trial_id, TrialState[end])
            yield 0, code

    def stop(self) -> None: ...

    def last_output_line(self, number: int) -> str:
        return f"ValueError: of worker {number}"

    def log_location(self, number: int) -> str:
        return f"logs/worker-{number}.log"


def lead(monkeypatch: pytest.MonkeyPatch, ends: list[tuple[int, str]]) -> Script:
    monkeypatch.setattr(running, "POLL_SECONDS", 0)
    search, trials, total = open_study(MODEL, MODEL, 12)
    team = Script(trials, ends)
    running._supervise(team, trials, total, StudyProgress(search, trials, total), StudyLogger(MODEL))
    return team


@pytest.mark.usefixtures("folder")
class TestEnds:
    def test_a_worker_that_breaks_stops_the_study_with_its_last_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StudyError) as stopped:
            lead(monkeypatch, [(0, "COMPLETE"), (1, "")])
        assert str(stopped.value) == "ValueError: of worker 0 (logs/worker-0.log has the whole)"

    def test_ten_deaths_in_a_row_stop_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deaths = [(-9, "")] * 9
        with pytest.raises(StudyError, match="10 workers in a row were killed; free memory"):
            lead(monkeypatch, [*deaths, (-9, "FAIL"), *deaths, (143, "")])

    def test_five_failures_in_a_row_stop_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StudyError, match="5 trials in a row failed, the last one, number 5"):
            lead(monkeypatch, [(0, "COMPLETE"), *[(-9, "FAIL")] * 6])

    def test_deaths_between_which_trials_end_do_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert lead(monkeypatch, [(-9, ""), (-9, "PRUNED")] * 12).ends == []


def test_two_clones_share_a_study_in_a_database(folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two machines: the second one's locks are not the first one's, and neither knows whether the other lives."""
    monkeypatch.setenv(STORAGE_VARIABLE, database)
    other = folder.parent / "two"
    project(other, epochs=5)
    command = [sys.executable, "-c", SOON, "study", "worker", MODEL, "--no-stack", "--trials", "3"]
    both = [subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, text=True) for where in (folder, other)]
    until(lambda: _running_in(other))
    (held,) = _running_in(other)
    both[1].kill()
    both[1].communicate()
    said = both[0].communicate(timeout=120)[0]
    assert both[0].returncode == 0
    trials = TrialQueue.load(MODEL)
    assert all(trial.state.is_finished() for trial in trials.get_trials())
    assert len(trials.get_trials()) == 3
    assert trials.get_trials()[held].user_attrs[WORKER_DEATHS][1] == 1
    assert said.startswith(f"{MODEL}: 3 trials in all, kept in postgresql+psycopg://fivefold@127.0.0.1:")
    assert re.search(rf"^{MODEL}  ./3  trial {held} (complete|pruned)  accuracy 0\.", said, re.MULTILINE)
    assert len({str(trial.params) for trial in trials.get_trials()}) == 3
    assert all(
        len(trial.user_attrs[FOLD_SCORES]) == 3 for trial in trials.get_trials() if trial.state == TrialState.COMPLETE
    )
    trials.storage._backend.engine.dispose()  # type: ignore[attr-defined]


def _running_in(clone: Path) -> list[int]:
    """Return the trials that a worker of a clone has."""
    tokens = [path.name for path in (clone / ".fivefold/studies" / MODEL / "workers").glob("*")]
    if not tokens:
        return []
    trials = TrialQueue.load(MODEL)
    found = [t.number for t in trials.get_trials(TrialState.RUNNING) if t.user_attrs[WORKER].endswith(tokens[0])]
    trials.storage._backend.engine.dispose()  # type: ignore[attr-defined]
    return found


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: fivefold[ray]")
def test_workers_are_tasks_of_ray(folder: Path) -> None:
    command = [*FIVEFOLD, "run", MODEL, "--no-stack", "--trials", "3", "--workers", "2"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    leader = subprocess.Popen(
        [*command, "--engine", "ray", "--address", "local"], stderr=subprocess.PIPE, text=True, env=environment
    )
    tokens = folder / ".fivefold/studies" / MODEL / "workers"
    until(lambda: tokens.exists() and "RUNNING" in states())
    victim = next(pid for pid in _tasks())
    os.kill(victim, signal.SIGKILL)
    said = leader.communicate(timeout=120)[1]
    assert leader.returncode == 0, said
    assert len(states()) == 3
    assert not {"RUNNING", "WAITING"} & set(states())
    assert list(_tasks()) == []


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: fivefold[ray]")
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_where_no_cluster_answers_it_is_said_at_once(scheme: str) -> None:
    with socket.socket() as taken:  # an address where nothing answers
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(StudyError) as refused:
            RayWorkerPool.connect(address, [], 1)
    assert time.monotonic() - began < 15  # most of which Ray takes to be imported
    said = str(refused.value)
    assert said.startswith(f"--address must be a Ray cluster that answers, but {address!r} is none: ")
    assert said.endswith("; start one with `ray start --head`, or choose --address local")


def _tasks() -> Iterator[int]:
    """Yield Ray's processes that run a worker of ours."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::run_worker"):
                yield int(path.parent.name)
        except OSError:
            continue
