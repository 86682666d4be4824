"""Log studies to MLflow: experiment `study/<model>`, a parent run per study with a child run per finished trial.

Runs are identified by tags, so that a resumed study continues its run and no trial is logged twice.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from .. import paths
from ..config.flow import format_flow
from ..config.search import CategoricalRange, FloatRange, IntRange, parse_ranges
from ..errors import BusyError
from ..stages.lock import hold_lock
from . import lineage, store
from .reporter import sanitize_name
from .study_results import StudySummary, TrialResult

STUDY_TAG, TRIAL_TAG, STATE_TAG, REASON_TAG = "fivefold.study", "fivefold.trial", "fivefold.state", "fivefold.reason"
"""Tags: unique id of the study; number, state and reason of a trial."""
PARENT_VALUE = "all"
"""Value of the trial tag of a parent run."""
RUN_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
"""Trial state -> run status. A pruned trial is no failure; its run name includes the state."""
PAGE_SIZE = 1000
"""Number of runs per page of a search in MLflow."""
METRIC_BATCH_SIZE, PARAM_BATCH_SIZE = 1000, 100
"""Maximum number of metrics and of params per call in MLflow."""
MAX_VALUE_LENGTH = 5000
"""Maximum length of a logged value; MLflow rejects more than 6000 characters."""
PLOTS_FOLDER = "plots"
"""Artifact folder of a parent run."""


def sync_study(study: StudySummary, plots: Sequence[Path] = (), *, is_running: bool) -> str:
    """Log what MLflow does not have of a study yet; return a message with the run, or why nothing was logged.

    Args:
        study: The study.
        plots: Image files to log to the parent run, replacing those of the same name.
        is_running: Whether the study is running; else it is finished, or was stopped before its end.
    """
    try:
        with hold_lock(paths.project_root() / ".fivefold/mlflow-locks" / study.unique_id, timeout=5):
            client, experiment = store.open_store(f"study/{study.model}")
            parent = _get_or_create_parent(client, experiment, study)
            _log_study_params(client, parent, study)
            logged = _logged_trials(client, experiment, parent.info.run_id)
            new = [trial for trial in study.trials if trial.is_finished and logged.get(trial.number) != "done"]
            for trial in new:
                _log_trial(client, experiment, parent.info.run_id, study, trial, logged.get(trial.number, ""))
            _log_progress(client, parent, study, plots, is_running=is_running)
    except (MlflowException, BusyError, OSError) as error:
        return (
            f"not logged to MLflow: {store.describe_error(error)};"
            " the study continues and is logged when it next finishes"
        )
    numbers = logged.keys() | {trial.number for trial in new}
    return f"MLflow: experiment study/{study.model}, run {study.name}, {len(numbers)} trials"


def _get_or_create_parent(client: MlflowClient, experiment_id: str, study: StudySummary) -> Run:
    """Return the parent run of a study, created if it does not exist."""
    runs = client.search_runs(
        [experiment_id],
        f"tags.`{STUDY_TAG}` = '{study.unique_id}' and tags.`{TRIAL_TAG}` = '{PARENT_VALUE}'",
        max_results=1,
    )
    if runs:
        return runs[0]
    excluded = ("dvc.stage", "dvc.experiment")
    tags = {
        **{name: value for name, value in lineage.run_tags("", "").items() if name not in excluded},
        STUDY_TAG: study.unique_id,
        TRIAL_TAG: PARENT_VALUE,
        "mlflow.source.name": f"fivefold study run {study.model}",
    }
    start_time = min((trial.start_time for trial in study.trials if trial.start_time), default=_now_ms())
    return client.create_run(experiment_id, start_time, tags, study.name)


def _log_study_params(client: MlflowClient, parent: Run, study: StudySummary) -> None:
    """Log the settings and the search space of a study, except params that its run already has."""
    settings = {
        "sampler": study.sampler,
        "pruner": study.pruner,
        "folds": study.n_folds,
        "seed": study.seed,
        "metric": study.metric,
        "objectives": ", ".join(study.objectives),
        "storage": study.storage_uri,
        **{f"search.{name}": _format_distribution(each) for name, each in parse_ranges(study.search_space).items()},
    }
    params = [
        Param(name, _format_value(value))
        for name, value in settings.items()
        if value is not None and name not in parent.data.params
    ]
    for start in range(0, len(params), PARAM_BATCH_SIZE):
        client.log_batch(parent.info.run_id, params=params[start : start + PARAM_BATCH_SIZE])


def _format_distribution(distribution: FloatRange | IntRange | CategoricalRange) -> str:
    """Return a range as text, such as "0.001 to 0.1, log"."""
    when = f", when {format_flow(dict(distribution.when))[1:-1]}" if distribution.when else ""
    if isinstance(distribution, CategoricalRange):
        return f"{', '.join(map(format_flow, distribution.choices))}{when}"
    spacing = (
        ", log" if distribution.log else f", step {distribution.step:g}" if distribution.step not in (None, 1) else ""
    )
    return f"{format_flow(distribution.low)} to {format_flow(distribution.high)}{spacing}{when}"


def _logged_trials(client: MlflowClient, experiment_id: str, parent_run_id: str) -> dict[int, str]:
    """Return the trials that have a run, by number: "done", or the id of a run that was logged incompletely."""
    logged: dict[int, str] = {}
    page = None
    while page is None or page:
        runs = client.search_runs(
            [experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_run_id}'",
            max_results=PAGE_SIZE,
            page_token=page,
        )
        for run in runs:
            is_done = run.info.status in RUN_STATUS.values()
            logged[int(run.data.tags[TRIAL_TAG])] = "done" if is_done else run.info.run_id
        page = runs.token or ""
    return logged


def _log_trial(
    client: MlflowClient, experiment_id: str, parent_run_id: str, study: StudySummary, trial: TrialResult, run_id: str
) -> None:
    """Log a finished trial to a new run, or complete the run `run_id`."""
    start_time, end_time = trial.start_time or trial.end_time or _now_ms(), trial.end_time or _now_ms()
    if not run_id:
        tags = {
            MLFLOW_PARENT_RUN_ID: parent_run_id,
            STUDY_TAG: study.unique_id,
            TRIAL_TAG: str(trial.number),
            STATE_TAG: trial.state,
        }
        tags |= {REASON_TAG: trial.reason} if trial.reason else {}
        name = f"trial {trial.number}" + (" pruned" if trial.state == "pruned" else "")
        run_id = client.create_run(experiment_id, start_time, tags, name).info.run_id
    params = [Param(name, _format_value(value)) for name, value in trial.params.items()]
    client.log_batch(run_id, metrics=list(_trial_metrics(study, trial, end_time)), params=params)
    client.set_terminated(run_id, RUN_STATUS[trial.state], end_time=end_time)


def _trial_metrics(study: StudySummary, trial: TrialResult, end_time: int) -> Iterator[Metric]:
    """Yield the score, the scores of folds by step, other objectives and the seconds of a trial."""
    if trial.score is not None and trial.state == "complete":
        yield Metric(sanitize_name(study.metric), trial.score, end_time, 0)
    for step, score in enumerate(trial.fold_scores, start=1):
        yield Metric(sanitize_name(f"fold/{study.metric}"), score, end_time, step)
    for name, value in zip(study.objectives, trial.objective_values, strict=False):
        if name != "score":
            yield Metric(name, value, end_time, 0)
    yield Metric("seconds", trial.seconds, end_time, 0)


def _log_progress(
    client: MlflowClient, parent: Run, study: StudySummary, plots: Sequence[Path], *, is_running: bool
) -> None:
    """Log the number of trials, the best trial, the history of the best score, plots and the status of a study."""
    run_id = parent.info.run_id
    tags = {"trials": str(len(study.trials)), "mlflow.note.content": _describe_study(study)}
    tags |= {state: str(len(study.trials_in_state(state))) for state in ("complete", "pruned", "failed")}
    best = study.get_trial(study.best_trial_number)
    if best is not None:
        tags |= {"best": f"trial {best.number}"} | {
            f"best.{name}": _format_value(value) for name, value in best.params.items()
        }
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    history = list(_best_score_history(study)) if best is not None else []
    n_logged = len(client.get_metric_history(run_id, sanitize_name(study.metric))) if history else 0
    for start in range(n_logged, len(history), METRIC_BATCH_SIZE):
        client.log_batch(run_id, metrics=history[start : start + METRIC_BATCH_SIZE])
    for path in plots:
        client.log_artifact(run_id, str(path), PLOTS_FOLDER)
    is_unfinished = any(not trial.is_finished for trial in study.trials)
    if is_running and is_unfinished:
        client.update_run(run_id, status="RUNNING")
    else:
        end_time = max((trial.end_time for trial in study.trials if trial.end_time), default=_now_ms())
        client.set_terminated(run_id, "KILLED" if is_unfinished else "FINISHED", end_time=end_time)


def _best_score_history(study: StudySummary) -> Iterator[Metric]:
    """Yield the best score after each improvement; the step is the number of complete trials."""
    complete = sorted(study.trials_in_state("complete"), key=lambda trial: (trial.end_time or 0, trial.number))
    best = None
    for step, trial in enumerate(complete, start=1):
        if trial.score is not None and (best is None or study.sign * trial.score > study.sign * best):
            best = trial.score
            yield Metric(sanitize_name(study.metric), best, trial.end_time or 0, step)


def _describe_study(study: StudySummary) -> str:
    """Return the description of a parent run in MLflow's UI, in Markdown."""
    lines = [
        f"Study of `{study.model}`: {study.metric}, {study.direction} is better, mean of {study.n_folds} folds.",
        "",
    ]
    lines += [f"{study.description.capitalize()}.", ""]
    best = study.get_trial(study.best_trial_number)
    if best is not None:
        lines += [f"Best: trial {best.number}, {study.metric} {best.score:.4g}", "", "| key | value |", "|---|---|"]
        lines += [f"| {name} | {_format_value(value)} |" for name, value in best.params.items()]
        lines += ["", f"`fivefold study apply {study.name}` writes it into params.yaml."]
    elif study.pareto_front:
        lines += [f"Pareto-optimal trials: {', '.join(map(str, study.pareto_front))}."]
    return "\n".join(lines)


def _format_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:MAX_VALUE_LENGTH]


def _now_ms() -> int:
    return int(time.time() * 1000)
