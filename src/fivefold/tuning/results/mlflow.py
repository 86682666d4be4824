"""Log a study to MLflow in a background process.

Usage: python -m fivefold.tuning.results.mlflow STUDY running|stopped|over
"""

import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Literal, Self, cast

from ...errors import FivefoldError
from ...tracking.subprocesses import environment
from ..execution.trials import Trials
from .facts import facts

How = Literal["running", "stopped", "over"]
APART = 30.0
"""Seconds between two tellings."""
PATIENCE = 120.0
"""Seconds that the last one may take."""
SHORT = 10.0
"""Seconds that a study which is stopped waits for it; it then goes on by itself."""


class Telling:
    """Says now and then, and at the end, what MLflow does not know of a study yet; nobody waits for it but the end.

    A context: one that is left by an exception, a signal too, says before that the study is stopped.
    """

    def __init__(self, study: str) -> None:
        self.study = study
        self.process: subprocess.Popen[str] | None = None
        self.said = time.monotonic()
        self.known = self.ended = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None or (self.process is None and self.ended == self.known):  # MLflow knows all of it
            return
        with suppress(subprocess.TimeoutExpired):
            if self.process is not None:
                self.process.wait(SHORT)  # its word that the study runs must not be the last
        with suppress(subprocess.TimeoutExpired):
            self._start("stopped").communicate(timeout=SHORT)

    def now_and_then(self, ended: int) -> None:
        """Say what is new, if anything is: `ended` trials have come to their end."""
        idle = self.process is None or self.process.poll() is not None
        if self.known < 0:
            self.known = ended
        self.ended = ended
        if idle and ended > self.known and time.monotonic() - self.said > APART:
            self.process, self.said, self.known = self._start("running"), time.monotonic(), ended

    def last(self) -> str:
        """Say the rest; return the line that tells of it."""
        try:
            if self.process is not None:
                self.process.wait(PATIENCE)
            said, _ = self._start("over").communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return "MLflow does not answer: it is told when the study next ends"
        lines = said.splitlines()
        return lines[-1] if lines else "MLflow was told nothing: run the study again to tell it"

    def _start(self, how: How) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fivefold.tuning.results.mlflow", self.study, how]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True, env=environment(),
        )  # fmt: skip


def tell(trials: Trials, how: How) -> str:
    """Tell MLflow what it does not know of a study yet; return a line about it.

    how: running; stopped before its end; over: it has the trials that were asked for, and pictures are drawn of it.
    """
    from ...tracking.study_runs import project  # its seconds are paid by who tells, not by who waits

    study = facts(trials)
    if how != "over":
        return project(study, running=how == "running")
    ended = tuple(trial for trial in study.trials if trial.finished)  # an earlier run may have asked for more
    study = study.model_copy(update={"trials": ended})
    from .facts import importance
    from .plots import draw

    with TemporaryDirectory() as folder:
        return project(study, draw(study, importance(study), Path(folder)), running=False)


if __name__ == "__main__":
    try:
        print(tell(Trials.load(sys.argv[1]), cast(How, sys.argv[2])))
    except FivefoldError as error:
        print(f"MLflow was not told: {error}")
