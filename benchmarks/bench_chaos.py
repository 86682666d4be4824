"""Studies whose processes are killed at random for two minutes, kept in a journal and in PostgreSQL: what is lost?

Workers and the process that leads them are killed, now and then only asked to end; when the leader is gone, the same
command is run again. Once all trials are there, more are asked for. `... 20 journal` does it for 20 seconds, in a
journal alone.
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
"""Trials that are asked for at once."""
PAUSES = (0.2, 3.0)
"""Seconds before a blow: least, most."""
BUSY = 0.7
"""Share of the blows that hit a study which has a trial in progress."""
BLOWS = {
    ("worker", signal.SIGKILL): 10,
    ("worker", signal.SIGTERM): 2,
    ("leader", signal.SIGKILL): 3,
    ("leader", signal.SIGTERM): 1,
    ("leader", signal.SIGINT): 1,
}
"""Whom a signal hits, and how often beside the others."""
LINGER = 20
"""Seconds that a process may take that tells MLflow of a study whose leader was killed."""
MARK = "FIVEFOLD_CHAOS"
ENDS = {0, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT}
"""Of a leader; the last two of one that has hardly begun."""


@dataclass
class Chaos:
    """A study in `folder`, and what became of it.

    seen: the folds of each trial as they were seen last. faults: what must not be.
    """

    folder: Path
    workers: int = 2
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    total: int = ROUND
    blows: Counter[str] = field(default_factory=Counter)
    seen: dict[int, list[Any]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    opened: TrialQueue | None = None

    def run(self, seconds: float) -> None:
        """Run the study, with blows for so many seconds and then without, until all trials are there."""
        leader, end = self.start(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.wait(end)
            self.strike(leader)
            if leader.poll() is not None:
                leader = self.again(leader)
            self.look()
        while leader.wait() != 0:
            leader = self.again(leader)
        self.judge()

    def start(self) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-c",
            "from fivefold.cli.main import main; main()",
            "study",
            "run",
            MODEL,
            "--no-stack",
        ]
        words = ["--trials", str(self.total), "--workers", str(self.workers)]
        said = (self.folder / "said.txt").open("a")
        with said:
            return subprocess.Popen(
                [*command, *words], cwd=self.folder, env=os.environ | {MARK: self.mark}, stdout=said, stderr=said
            )

    def again(self, leader: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """Run the same command again; one for more trials if it has done what it should."""
        if leader.returncode not in ENDS:
            last = (self.folder / "said.txt").read_text().splitlines()[-1:]
            self.faults.append(f"the leader ended with {leader.returncode}: {last}")
        if leader.returncode == 0:
            self.exact()
            self.total += ROUND
        self.blows["runs"] += 1
        return self.start()

    def wait(self, end: float) -> None:
        """Wait for the next blow; two in three wait until a trial is in progress, since a worker starts for long."""
        running = random.random() < BUSY
        while running and time.monotonic() < end and not any(t.state == TrialState.RUNNING for t in self.look()):
            time.sleep(0.2)
        time.sleep(random.uniform(*PAUSES))

    def strike(self, leader: "subprocess.Popen[bytes]") -> None:
        whom, signum = random.choices([*BLOWS], [*BLOWS.values()])[0]
        pids = [pid for pid in self.processes() if pid != leader.pid] if whom == "worker" else [leader.pid]
        if pids and leader.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(pids), signum)
                self.blows[f"{whom} {signum.name}"] += 1
            if whom == "leader":
                leader.wait()

    def processes(self) -> list[int]:
        """Return the processes of the study that live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if f"{MARK}={self.mark}".encode() in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found

    def trials(self) -> TrialQueue | None:
        if self.opened is None and storage.may_exist(MODEL):
            self.opened = TrialQueue.load(MODEL)
        return self.opened

    def look(self) -> list[FrozenTrial]:
        """Return the trials; compare the folds of each with what was seen before: none may be lost or learnt again."""
        try:
            trials = self.trials()
        except ParamsError:  # it has not begun
            return []
        every = trials.get_trials() if trials else []
        for trial in every:
            folds = trial.user_attrs.get(FOLD_SCORES, [])
            before = self.seen.get(trial.number, [])
            if folds[: len(before)] != before:
                self.faults.append(f"trial {trial.number} had {before} and has {folds}")
            self.seen[trial.number] = folds
        return every

    def exact(self) -> list[FrozenTrial]:
        """Return the trials; all of them must have ended, and no more than were asked for."""
        trials = self.trials()
        assert trials is not None
        every = trials.get_trials()
        ended = sum(trial.state.is_finished() for trial in every)
        if len(every) != self.total or ended != self.total:
            self.faults.append(f"{ended} of {self.total} trials ended, {len(every)} are there")
        return every

    def judge(self) -> None:
        """Look at what is left."""
        self.look()
        every = self.exact()
        points = Counter(json.dumps(trial.params, sort_keys=True) for trial in every if trial.params)
        self.faults += [f"{point} stands there {n} times" for point, n in points.items() if n > 1]
        for trial in every:
            if trial.state == TrialState.COMPLETE and len(trial.user_attrs[FOLD_SCORES]) != FOLDS_A_TRIAL:
                self.faults.append(f"trial {trial.number} is complete with {len(trial.user_attrs[FOLD_SCORES])} folds")
        left = [path.name for path in (self.folder / ".fivefold/studies" / MODEL).glob("trial-*")]
        self.faults += [f"{name} is left" for name in left]
        workers = [path.name for path in (self.folder / ".fivefold/studies" / MODEL / "workers").iterdir()]
        self.faults += [f"the lock of {name} is left" for name in workers]
        end = time.monotonic() + LINGER
        while self.processes() and time.monotonic() < end:
            time.sleep(0.2)
        self.faults += [f"process {pid} is left" for pid in self.processes()]

    def told(self) -> dict[str, Any]:
        every = self.exact()
        states = Counter(trial.state.name.lower() for trial in every)
        resumed = sum(WORKER_DEATHS in trial.user_attrs for trial in every)
        return {"trials": self.total, **states, "retried": resumed, **self.blows, "faults": self.faults}


def project(folder: Path, epochs: int = 60) -> None:
    """Write a project of one small model that learns some seconds."""
    tree = read_yaml(ROOT / "params.yaml")
    block = tree["models"][MODEL]
    numbers = {"type": "float", "low": 0.0001, "high": 0.1, "log": True}
    block["search"] = {"training": {"optimizer": {"lr": numbers, "weight_decay": numbers}}}
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
def kept(kind: str) -> Iterator[None]:
    """Have studies be kept in a journal, or in PostgreSQL."""
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
    """Measure what the command line names, or all of it."""
    os.chdir(ROOT)
    seconds = next((int(word) for word in sys.argv[1:] if word.isdigit()), SECONDS)
    kinds = [kind for kind in ("journal", "postgres") if kind in sys.argv[1:]] or ["journal", "postgres"]
    measured, results = dict[str, Any](), []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as place, kept(kind):
            project(Path(place) / "project")
            chaos = Chaos(Path(place) / "project")
            with contextlib.chdir(chaos.folder):
                chaos.run(seconds)
                measured[kind] = chaos.told()
        results.append(Result(f"chaos_{kind}_faults", len(chaos.faults), 0))
        for fault in chaos.faults:
            print(f"{kind}: {fault}", flush=True)
    names = ["trials", "complete", "pruned", "fail", "retried", "runs", *(f"{who} {how.name}" for who, how in BLOWS)]
    print(table(("what", *measured), [(name, *(each.get(name, 0) for each in measured.values())) for name in names]))
    return finish("chaos", {"seconds": seconds, "studies": measured}, results)


if __name__ == "__main__":
    sys.exit(main())
