"""Studies whose processes are killed at random for two minutes, with a journal and with PostgreSQL: what is lost?

Workers and the coordinator are killed, sometimes only terminated; when the coordinator has ended, the same command is
run again. When all trials are finished, more are requested. `... 20 journal` runs for 20 seconds, with a journal only.
"""

import contextlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from ruamel.yaml import YAML

from fivefold.config.loading import read_yaml
from fivefold.errors import ParamsError
from fivefold.tuning.execution import storage
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import FOLD_SCORES, WORKER_DEATHS

from . import postgres
from .measure import ROOT, Result, finish, table

MODEL = "mlp"
SECONDS = 120
FOLDS_A_TRIAL = 3
ROUND = 8
"""Trials requested at a time."""
PAUSES = (0.2, 3.0)
"""Minimum and maximum seconds before a signal."""
BUSY_SHARE = 0.7
"""Share of the signals that are sent while a trial is running."""
SIGNAL_WEIGHTS = {
    ("worker", signal.SIGKILL): 10,
    ("worker", signal.SIGTERM): 2,
    ("coordinator", signal.SIGKILL): 3,
    ("coordinator", signal.SIGTERM): 1,
    ("coordinator", signal.SIGINT): 1,
}
"""Target and signal -> relative frequency."""
MAX_LOGGING_SECONDS = 20
"""Time for a process to log a study to MLflow after its coordinator was killed."""
TOKEN_VARIABLE = "FIVEFOLD_CHAOS"
EXPECTED_CODES = {0, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT}
"""Exit codes of a coordinator; the last two of one that has just started."""


@dataclass
class Chaos:
    """A study in `folder` and what happened to it.

    blows: number of signals by target. last_folds: the last observed folds of each trial. faults: violated guarantees.
    """

    folder: Path
    workers: int = 2
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    total: int = ROUND
    blows: Counter[str] = field(default_factory=Counter)
    last_folds: dict[int, list[Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    opened: TrialQueue | None = None

    def run(self, seconds: float) -> None:
        """Run the study, with signals for this many seconds, then without, until all trials are finished."""
        coordinator, end = self.start(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.wait(end)
            self.send_signal(coordinator)
            if coordinator.poll() is not None:
                coordinator = self.restart(coordinator)
            self.observe()
        while coordinator.wait() != 0:
            coordinator = self.restart(coordinator)
        self.check_end()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-c",
            "from fivefold.cli.main import main; main()",
            "study",
            "run",
            MODEL,
            "--no-vectorize",
        ]
        options = ["--trials", str(self.total), "--workers", str(self.workers)]
        log = (self.folder / "output.txt").open("a")
        with log:
            return subprocess.Popen(
                [*command, *options],
                cwd=self.folder,
                env=os.environ | {TOKEN_VARIABLE: self.token},
                stdout=log,
                stderr=log,
            )

    def restart(self, coordinator: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """Run the same command again, with a larger total if it has completed."""
        if coordinator.returncode not in EXPECTED_CODES:
            last = (self.folder / "output.txt").read_text().splitlines()[-1:]
            self.faults.append(f"the coordinator ended with {coordinator.returncode}: {last}")
        if coordinator.returncode == 0:
            self.check_total()
            self.total += ROUND
        self.blows["runs"] += 1
        return self.start()

    def wait(self, end: float) -> None:
        """Wait for the next signal; most wait until a trial is running, because workers take long to start."""
        running = random.random() < BUSY_SHARE
        while running and time.monotonic() < end and not any(t.state == TrialState.RUNNING for t in self.observe()):
            time.sleep(0.2)
        time.sleep(random.uniform(*PAUSES))

    def send_signal(self, coordinator: "subprocess.Popen[bytes]") -> None:
        target, signum = random.choices([*SIGNAL_WEIGHTS], [*SIGNAL_WEIGHTS.values()])[0]
        pids = [pid for pid in self.processes() if pid != coordinator.pid] if target == "worker" else [coordinator.pid]
        if pids and coordinator.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(pids), signum)
                self.blows[f"{target} {signum.name}"] += 1
            if target == "coordinator":
                coordinator.wait()

    def processes(self) -> list[int]:
        """Return the process ids of the running processes of the study."""
        pids = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"{TOKEN_VARIABLE}={self.token}".encode() in path.read_bytes().split(b"\0"):
                    pids.append(int(path.parent.name))
        return pids

    def trials(self) -> TrialQueue | None:
        if self.opened is None and storage.may_exist(MODEL):
            self.opened = TrialQueue.load(MODEL)
        return self.opened

    def observe(self) -> list[FrozenTrial]:
        """Return the trials; check that no fold of any of them was lost or trained again since the last call."""
        try:
            trials = self.trials()
        except ParamsError:  # it has not started
            return []
        all_trials = trials.get_trials() if trials else []
        for trial in all_trials:
            folds = trial.user_attrs.get(FOLD_SCORES, [])
            before = self.last_folds.get(trial.number, [])
            if folds[: len(before)] != before:
                self.faults.append(f"trial {trial.number} had {before} and has {folds}")
            self.last_folds[trial.number] = folds
        return all_trials

    def check_total(self) -> list[FrozenTrial]:
        """Return the trials; check that all have ended and that their number is the requested total."""
        trials = self.trials()
        assert trials is not None
        all_trials = trials.get_trials()
        ended = sum(trial.state.is_finished() for trial in all_trials)
        if len(all_trials) != self.total or ended != self.total:
            self.faults.append(f"{ended} of {self.total} trials ended, {len(all_trials)} exist")
        return all_trials

    def check_end(self) -> None:
        """Check the finished study: trials, folders, locks and processes."""
        self.observe()
        all_trials = self.check_total()
        points = Counter(json.dumps(trial.params, sort_keys=True) for trial in all_trials if trial.params)
        self.faults += [f"{point} was tried {n} times" for point, n in points.items() if n > 1]
        for trial in all_trials:
            if trial.state == TrialState.COMPLETE and len(trial.user_attrs[FOLD_SCORES]) != FOLDS_A_TRIAL:
                self.faults.append(f"trial {trial.number} is complete with {len(trial.user_attrs[FOLD_SCORES])} folds")
        left = [path.name for path in (self.folder / ".fivefold/studies" / MODEL).glob("trial-*")]
        self.faults += [f"{name} remains" for name in left]
        workers = [path.name for path in (self.folder / ".fivefold/studies" / MODEL / "workers").iterdir()]
        self.faults += [f"the lock of {name} remains" for name in workers]
        end = time.monotonic() + MAX_LOGGING_SECONDS
        while self.processes() and time.monotonic() < end:
            time.sleep(0.2)
        self.faults += [f"process {pid} remains" for pid in self.processes()]

    def summary(self) -> dict[str, Any]:
        all_trials = self.check_total()
        states = Counter(trial.state.name.lower() for trial in all_trials)
        resumed = sum(WORKER_DEATHS in trial.user_attrs for trial in all_trials)
        return {"trials": self.total, **states, "retried": resumed, **self.blows, "faults": self.faults}


def project(folder: Path, epochs: int = 60) -> None:
    """Write a project with one small model that trains for a few seconds."""
    tree = read_yaml(ROOT / "params.yaml")
    block = tree["models"][MODEL]
    distribution = {"type": "float", "low": 0.0001, "high": 0.1, "log": True}
    block["search"] = {"training": {"optimizer": {"lr": distribution, "weight_decay": distribution}}}
    block["study"] = {"folds": FOLDS_A_TRIAL, "sampler": "tpe"}
    block["training"] = {**block["training"], "max_epochs": epochs}
    dataset = tree["datasets"][block["dataset"]]
    training = {**tree["training"], "checkpoint_seconds": 0}
    tree |= {"training": training, "models": {MODEL: block}, "datasets": {block["dataset"]: dataset}}
    (folder / ".dvc").mkdir(parents=True)
    (folder / "data/raw").mkdir(parents=True)
    shutil.copy2(ROOT / dataset["source"], folder / dataset["source"])
    with (folder / "params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)


@contextlib.contextmanager
def study_storage(kind: str) -> Iterator[None]:
    """Use a journal or PostgreSQL as storage of studies within the context."""
    os.environ.pop(storage.STORAGE_VARIABLE, None)
    if kind == "journal":
        yield
        return
    with postgres.server() as server:
        os.environ[storage.STORAGE_VARIABLE] = server.create("chaos")
        try:
            yield
        finally:
            del os.environ[storage.STORAGE_VARIABLE]


def main() -> int:
    """Measure the storages named on the command line, by default all."""
    os.chdir(ROOT)
    seconds = next((int(word) for word in sys.argv[1:] if word.isdigit()), SECONDS)
    kinds = [kind for kind in ("journal", "postgres") if kind in sys.argv[1:]] or ["journal", "postgres"]
    measured, results = dict[str, Any](), []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as root, study_storage(kind):
            project(Path(root) / "project")
            chaos = Chaos(Path(root) / "project")
            with contextlib.chdir(chaos.folder):
                chaos.run(seconds)
                measured[kind] = chaos.summary()
        results.append(Result(f"chaos_{kind}_faults", len(chaos.faults), 0))
        for fault in chaos.faults:
            print(f"{kind}: {fault}", flush=True)
    names = [
        "trials",
        "complete",
        "pruned",
        "fail",
        "retried",
        "runs",
        *(f"{who} {how.name}" for who, how in SIGNAL_WEIGHTS),
    ]
    print(
        table(("what", *measured), [(name, *(counts.get(name, 0) for counts in measured.values())) for name in names])
    )
    return finish("chaos", {"seconds": seconds, "studies": measured}, results)


if __name__ == "__main__":
    sys.exit(main())
