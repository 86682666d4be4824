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
from ...tracking.subprocesses import subprocess_environment
from ..execution.trials import TrialQueue
from .facts import summarize_study

LoggedState = Literal["running", "stopped", "over"]
LOG_INTERVAL_SECONDS = 30.0
"""Seconds between two tellings."""
FINAL_LOG_TIMEOUT = 120.0
"""Seconds that the last one may take."""
STOP_LOG_TIMEOUT = 10.0
"""Seconds that a study which is stopped waits for it; it then goes on by itself."""


class StudyLogger:
    """Says now and then, and at the end, what MLflow does not know of a study yet; nobody waits for it but the end.

    A context: one that is left by an exception, a signal too, says before that the study is stopped.
    """

    def __init__(self, study: str) -> None:
        self.study = study
        self.process: subprocess.Popen[str] | None = None
        self.last_log_time = time.monotonic()
        self.n_logged = self.n_finished = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc_type is None or (self.process is None and self.n_finished == self.n_logged):  # MLflow knows all of it
            return
        with suppress(subprocess.TimeoutExpired):
            if self.process is not None:
                self.process.wait(STOP_LOG_TIMEOUT)  # its word that the study runs must not be the last
        with suppress(subprocess.TimeoutExpired):
            self._start_process("stopped").communicate(timeout=STOP_LOG_TIMEOUT)

    def log_if_due(self, n_finished: int) -> None:
        """Say what is new, if anything is: `ended` trials have come to their end."""
        idle = self.process is None or self.process.poll() is not None
        if self.n_logged < 0:
            self.n_logged = n_finished
        self.n_finished = n_finished
        if idle and n_finished > self.n_logged and time.monotonic() - self.last_log_time > LOG_INTERVAL_SECONDS:
            self.process, self.last_log_time, self.n_logged = (
                self._start_process("running"),
                time.monotonic(),
                n_finished,
            )

    def log_final(self) -> str:
        """Say the rest; return the line that tells of it."""
        try:
            if self.process is not None:
                self.process.wait(FINAL_LOG_TIMEOUT)
            said, _ = self._start_process("over").communicate(timeout=FINAL_LOG_TIMEOUT)
        except subprocess.TimeoutExpired:
            return "MLflow does not answer: it is told when the study next ends"
        lines = said.splitlines()
        return lines[-1] if lines else "MLflow was told nothing: run the study again to tell it"

    def _start_process(self, state: LoggedState) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fivefold.tuning.results.mlflow", self.study, state]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True, env=subprocess_environment(),
        )  # fmt: skip


def log_study(trials: TrialQueue, state: LoggedState) -> str:
    """Tell MLflow what it does not know of a study yet; return a line about it.

    how: running; stopped before its end; over: it has the trials that were asked for, and pictures are drawn of it.
    """
    from ...tracking.study_runs import sync_study  # its seconds are paid by who tells, not by who waits

    study = summarize_study(trials)
    if state != "over":
        return sync_study(study, is_running=state == "running")
    ended = tuple(trial for trial in study.trials if trial.is_finished)  # an earlier run may have asked for more
    study = study.model_copy(update={"trials": ended})
    from .facts import compute_importance
    from .plots import save_plots

    with TemporaryDirectory() as folder:
        return sync_study(study, save_plots(study, compute_importance(study), Path(folder)), is_running=False)


if __name__ == "__main__":
    try:
        print(log_study(TrialQueue.load(sys.argv[1]), cast(LoggedState, sys.argv[2])))
    except FivefoldError as error:
        print(f"MLflow was not told: {error}")
