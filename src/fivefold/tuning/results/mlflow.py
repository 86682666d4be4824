"""Log a study to MLflow; runs as a background process.

Usage: python -m fivefold.tuning.results.mlflow STUDY running|stopped|finished
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from ...errors import FivefoldError
from ..execution.study_logger import LoggedState
from ..execution.trials import TrialQueue
from .facts import compute_importance, summarize_study


def log_study(trials: TrialQueue, state: LoggedState) -> str:
    """Log what MLflow does not have of a study yet; return a message about it.

    state: running; stopped before its end; finished: it has the requested number of trials, and plots are logged too.
    """
    from ...tracking.study_runs import sync_study  # MLflow takes seconds to import: only the process that logs pays

    study = summarize_study(trials)
    if state != "finished":
        return sync_study(study, is_running=state == "running")
    # without trials that an earlier run with a larger total has left
    study = study.model_copy(update={"trials": tuple(trial for trial in study.trials if trial.is_finished)})
    from .plots import save_plots

    with TemporaryDirectory() as folder:
        return sync_study(study, save_plots(study, compute_importance(study), Path(folder)), is_running=False)


if __name__ == "__main__":
    try:
        print(log_study(TrialQueue.load(sys.argv[1]), cast(LoggedState, sys.argv[2])))
    except FivefoldError as error:
        print(f"not logged to MLflow: {error}")
