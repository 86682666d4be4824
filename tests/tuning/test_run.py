"""The end of a run: stopped by a signal, by deaths or errors of its workers, or with its total."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from benchmarks.bench_chaos import MODEL, project
from fivefold.errors import StudyError
from fivefold.tuning.execution import run as run_module
from fivefold.tuning.execution.progress import StudyProgress
from fivefold.tuning.execution.ray import RayWorkerPool
from fivefold.tuning.execution.run import open_study
from fivefold.tuning.execution.storage import STORAGE_VARIABLE, journal_path
from fivefold.tuning.execution.study_logger import StudyLogger
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import FOLD_SCORES, WORKER, WORKER_DEATHS

from .helpers import wait_until

FIVEFOLD = [sys.executable, "-c", "from fivefold.cli.main import main; main()", "study"]
SHORT_HEARTBEAT = (
    "import fivefold.tuning.execution.storage as s; s.HEARTBEAT_INTERVAL, s.GRACE_PERIOD = 1, 3;"
    " from fivefold.cli.main import main; main()"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    project(tmp_path / "one", epochs=5)
    monkeypatch.chdir(tmp_path / "one")
    return tmp_path / "one"


def trial_states() -> list[str]:
    return [trial.state.name for trial in TrialQueue.load(MODEL).get_trials()]


def worker_pids(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers in /proc")
def test_stopped_run_prints_a_message_and_can_be_continued(folder: Path) -> None:
    command = [*FIVEFOLD, "run", MODEL, "--no-vectorize", "--trials"]
    for signum, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        leader = subprocess.Popen([*command, "100"], stderr=subprocess.PIPE, text=True)
        wait_until(lambda: journal_path(MODEL).exists() and "RUNNING" in trial_states())
        pids = worker_pids(leader.pid)
        leader.send_signal(signum)
        message = leader.communicate(timeout=60)[1]
        assert leader.returncode == code
        assert message == f"{MODEL} stopped; finished trials are stored, rerun the same command to continue\n"
        assert len(pids) == 1
        assert not Path(f"/proc/{pids[0]}").exists()
        assert "RUNNING" not in trial_states()
        assert list((folder / ".fivefold/studies" / MODEL / "workers").iterdir()) == []
    trials = TrialQueue.load(MODEL)
    assert not any(WORKER_DEATHS in trial.user_attrs for trial in trials.get_trials())
    n_finished = sum(trial.state.is_finished() for trial in trials.get_trials())  # fewer than there are trials
    for n in range(n_finished, 2):
        trials.storage.set_trial_state_values(trials.get_trials()[n]._trial_id, TrialState.COMPLETE, [0.5])
    result = subprocess.run([*command, "2"], capture_output=True, text=True, check=True)
    assert f"{MODEL} already has 2 trials; raise --trials for more" in result.stdout


@dataclass
class ScriptedPool:
    """A pool whose workers end as listed: pairs of exit code and state of the trial that ended before it, if any."""

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
        return f"ValueError: worker {number}"

    def log_location(self, number: int) -> str:
        return f"logs/worker-{number}.log"


def supervise(monkeypatch: pytest.MonkeyPatch, ends: list[tuple[int, str]]) -> ScriptedPool:
    monkeypatch.setattr(run_module, "POLL_SECONDS", 0)
    search, trials, total = open_study(MODEL, MODEL, 12)
    pool = ScriptedPool(trials, ends)
    run_module._supervise(pool, trials, total, StudyProgress(search, trials, total), StudyLogger(MODEL))
    return pool


@pytest.mark.usefixtures("folder")
class TestEnds:
    def test_failed_worker_stops_the_study_with_its_last_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StudyError) as stopped:
            supervise(monkeypatch, [(0, "COMPLETE"), (1, "")])
        assert str(stopped.value) == "ValueError: worker 0 (full log: logs/worker-0.log)"

    def test_ten_deaths_in_a_row_stop_the_study(self, monkeypatch: pytest.MonkeyPatch) -> None:
        deaths = [(-9, "")] * 9
        with pytest.raises(StudyError, match="10 workers in a row were killed; free memory"):
            supervise(monkeypatch, [*deaths, (-9, "FAIL"), *deaths, (143, "")])

    def test_five_failures_in_a_row_stop_the_study(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(
            StudyError, match="5 trials in a row failed, the last one, trial 5, because of: worker process"
        ):
            supervise(monkeypatch, [(0, "COMPLETE"), *[(-9, "FAIL")] * 6])

    def test_deaths_with_finished_trials_in_between_do_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert supervise(monkeypatch, [(-9, ""), (-9, "PRUNED")] * 12).ends == []


def test_two_clones_share_a_study_in_a_database(folder: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on two machines: neither clone sees the locks of the other, nor knows whether its worker is alive."""
    monkeypatch.setenv(STORAGE_VARIABLE, database)
    other = folder.parent / "two"
    project(other, epochs=5)
    command = [sys.executable, "-c", SHORT_HEARTBEAT, "study", "worker", MODEL, "--no-vectorize", "--trials", "3"]
    processes = [subprocess.Popen(command, cwd=path, stdout=subprocess.PIPE, text=True) for path in (folder, other)]
    wait_until(lambda: _running_in(other))
    (held,) = _running_in(other)
    processes[1].kill()
    processes[1].communicate()
    output = processes[0].communicate(timeout=120)[0]
    assert processes[0].returncode == 0
    trials = TrialQueue.load(MODEL)
    assert all(trial.state.is_finished() for trial in trials.get_trials())
    assert len(trials.get_trials()) == 3
    assert trials.get_trials()[held].user_attrs[WORKER_DEATHS][1] == 1
    assert output.startswith(f"{MODEL}: 3 trials in all, stored in postgresql+psycopg://fivefold@127.0.0.1:")
    assert re.search(rf"^{MODEL}  ./3  trial {held} (complete|pruned)  accuracy 0\.", output, re.MULTILINE)
    assert len({str(trial.params) for trial in trials.get_trials()}) == 3
    assert all(
        len(trial.user_attrs[FOLD_SCORES]) == 3 for trial in trials.get_trials() if trial.state == TrialState.COMPLETE
    )
    trials.storage._backend.engine.dispose()  # type: ignore[attr-defined]


def _running_in(clone: Path) -> list[int]:
    """Return the numbers of the trials that a worker of a clone is running."""
    tokens = [path.name for path in (clone / ".fivefold/studies" / MODEL / "workers").glob("*")]
    if not tokens:
        return []
    trials = TrialQueue.load(MODEL)
    numbers = [t.number for t in trials.get_trials(TrialState.RUNNING) if t.user_attrs[WORKER].endswith(tokens[0])]
    trials.storage._backend.engine.dispose()  # type: ignore[attr-defined]
    return numbers


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: fivefold[ray]")
def test_workers_are_ray_tasks(folder: Path) -> None:
    command = [*FIVEFOLD, "run", MODEL, "--no-vectorize", "--trials", "3", "--workers", "2"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    leader = subprocess.Popen(
        [*command, "--engine", "ray", "--address", "local"], stderr=subprocess.PIPE, text=True, env=environment
    )
    tokens = folder / ".fivefold/studies" / MODEL / "workers"
    wait_until(lambda: tokens.exists() and "RUNNING" in trial_states())
    victim = next(pid for pid in _ray_task_pids())
    os.kill(victim, signal.SIGKILL)
    errors = leader.communicate(timeout=120)[1]
    assert leader.returncode == 0, errors
    assert len(trial_states()) == 3
    assert not {"RUNNING", "WAITING"} & set(trial_states())
    assert list(_ray_task_pids()) == []


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: fivefold[ray]")
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_missing_cluster_is_reported_immediately(scheme: str) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(StudyError) as refused:
            RayWorkerPool.connect(address, [], 1)
    assert time.monotonic() - started < 15  # most of it is the import of Ray
    message = str(refused.value)
    assert message.startswith(f"--address must be a running Ray cluster, but {address!r} is not: ")
    assert message.endswith("; start one with `ray start --head` or use --address local")


def _ray_task_pids() -> Iterator[int]:
    """Yield the ids of Ray processes that run a worker."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"ray::run_worker"):
                yield int(path.parent.name)
        except OSError:
            continue
