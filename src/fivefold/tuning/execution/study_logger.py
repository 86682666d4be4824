"""Starts the background processes that log a running study to MLflow; imports nothing of MLflow itself."""

import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from ...tracking.subprocesses import subprocess_environment

LoggedState = Literal["running", "stopped", "finished"]
LOG_INTERVAL_SECONDS = 30.0
"""Seconds between two updates."""
FINAL_LOG_TIMEOUT = 120.0
"""Seconds that the last update may take."""
STOP_LOG_TIMEOUT = 10.0
"""Seconds that a stopped study waits for its update, which then continues on its own."""


class StudyLogger:
    """Logs the progress of a study to MLflow now and then, and at its end; only the end waits for the process.

    A context manager: if it is left by an exception, including a signal, the study is logged as stopped.
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
        if exc_type is None or (self.process is None and self.n_finished == self.n_logged):  # nothing new to log
            return
        with suppress(subprocess.TimeoutExpired):
            if self.process is not None:
                self.process.wait(STOP_LOG_TIMEOUT)  # it must not overwrite the state "stopped" with "running"
        with suppress(subprocess.TimeoutExpired):
            self._start_process("stopped").communicate(timeout=STOP_LOG_TIMEOUT)

    def log_if_due(self, n_finished: int) -> None:
        """Log in the background if there are new finished trials and the last update is old enough."""
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
        """Log the finished study and wait for it; return the message to print."""
        try:
            if self.process is not None:
                self.process.wait(FINAL_LOG_TIMEOUT)
            output, _ = self._start_process("finished").communicate(timeout=FINAL_LOG_TIMEOUT)
        except subprocess.TimeoutExpired:
            return "MLflow does not respond; the study is logged when it next finishes"
        lines = output.splitlines()
        return lines[-1] if lines else "nothing was logged to MLflow; rerun the command to log it"

    def _start_process(self, state: LoggedState) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fivefold.tuning.results.mlflow", self.study, state]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True, env=subprocess_environment(),
        )  # fmt: skip
