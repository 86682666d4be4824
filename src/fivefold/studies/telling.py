"""MLflow is told of a study by processes beside it: python -m fivefold.studies.telling STUDY running|over."""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import FivefoldError
from ..tracking.beside import environment
from .facts import facts
from .trials import Trials

APART = 30.0
"""Seconds between two tellings."""
PATIENCE = 120.0
"""Seconds that the last one may take."""


class Telling:
    """Says now and then, and at the end, what MLflow does not know of a study yet; nobody waits for it but the end."""

    def __init__(self, study: str) -> None:
        self.study = study
        self.process: subprocess.Popen[str] | None = None
        self.said = time.monotonic()
        self.known = -1

    def now_and_then(self, ended: int) -> None:
        """Say what is new, if anything is: `ended` trials have come to their end."""
        idle = self.process is None or self.process.poll() is not None
        if self.known < 0:
            self.known = ended
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

    def _start(self, how: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "fivefold.studies.telling", self.study, how]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
            start_new_session=True, env=environment(),
        )  # fmt: skip


def tell(trials: Trials, *, running: bool) -> str:
    """Tell MLflow what it does not know of a study yet; return a line about it. Pictures are drawn when it ends.

    running: the study goes on.
    """
    from ..tracking.studies import project  # its seconds are paid by who tells, not by who waits

    study = facts(trials)
    if running:
        return project(study, running=True)
    from .importance import importance
    from .pictures import draw

    shares = importance(study)
    with TemporaryDirectory() as folder:
        said = project(study, draw(study, shares, Path(folder)), running=False)
    return f"{said} (without importance.png: {shares.note})" if shares.note else said


if __name__ == "__main__":
    try:
        print(tell(Trials.load(sys.argv[1]), running=sys.argv[2] == "running"))
    except FivefoldError as error:
        print(f"MLflow was not told: {error}")
