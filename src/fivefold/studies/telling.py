"""A study is told to MLflow: what it found, and pictures of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from .facts import facts
from .trials import Trials


def tell(trials: Trials, *, running: bool) -> str:
    """Tell MLflow what it does not know of a study yet; return a line about it. Pictures are drawn when it ends.

    running: the study goes on.
    """
    from ..tracking.studies import project  # its seconds are paid by who tells, not by every worker

    study = facts(trials)
    if running:
        return project(study, running=True)
    from .importance import importance
    from .pictures import draw

    with TemporaryDirectory() as folder:
        return project(study, draw(study, importance(study), Path(folder)), running=False)
