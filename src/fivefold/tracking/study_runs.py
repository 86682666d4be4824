"""Studies in MLflow: experiment `study/<model>`, a parent run a study, and below it a run a finished trial.

What was told is found again by tags, so that a study that goes on is the same run, and no trial is told twice.
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
"""Tags: the mark of a study; number, state and reason of a trial."""
PARENT_VALUE = "all"
"""Instead of a number, of the parent run."""
RUN_STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
"""What MLflow shows: a pruned trial is as it should be; its name says that it was pruned."""
PAGE_SIZE = 1000
"""Runs that MLflow returns at once."""
METRIC_BATCH_SIZE, PARAM_BATCH_SIZE = 1000, 100
"""Metrics and params that MLflow takes in one call."""
MAX_VALUE_LENGTH = 5000
"""Characters of a value: MLflow refuses more than 6000."""
PLOTS_FOLDER = "pictures"


def sync_study(study: StudySummary, plots: Sequence[Path] = (), *, is_running: bool) -> str:
    """Tell MLflow what it does not know of a study yet; return a line that says so, or what is wrong with the store.

    pictures: files that the parent run is to have, in place of those of the same name.
    running: the study goes on; else it is finished, or stopped before its end.
    """
    try:
        with hold_lock(paths.project_root() / ".fivefold/told" / study.unique_id, timeout=5):
            client, experiment = store.open_store(f"study/{study.model}")
            parent = _get_or_create_parent(client, experiment, study)
            _log_study_params(client, parent, study)
            told = _logged_trials(client, experiment, parent.info.run_id)
            fresh = [trial for trial in study.trials if trial.is_finished and told.get(trial.number) != "done"]
            for trial in fresh:
                _log_trial(client, experiment, parent.info.run_id, study, trial, told.get(trial.number, ""))
            _log_progress(client, parent, study, plots, is_running=is_running)
    except (MlflowException, BusyError, OSError) as error:
        return (
            f"not in MLflow yet: {store.describe_error(error)}; the study goes on, and is told there when it next ends"
        )
    known = told.keys() | {trial.number for trial in fresh}
    return f"MLflow: experiment study/{study.model}, run {study.name}, {len(known)} trials"


def _get_or_create_parent(client: MlflowClient, experiment_id: str, study: StudySummary) -> Run:
    """Return the run of a study, made if need be."""
    found = client.search_runs(
        [experiment_id],
        f"tags.`{STUDY_TAG}` = '{study.unique_id}' and tags.`{TRIAL_TAG}` = '{PARENT_VALUE}'",
        max_results=1,
    )
    if found:
        return found[0]
    known = {
        name: value for name, value in lineage.run_tags("", "").items() if name not in ("dvc.stage", "dvc.experiment")
    }
    tags = {
        **known,
        STUDY_TAG: study.unique_id,
        TRIAL_TAG: PARENT_VALUE,
        "mlflow.source.name": f"fivefold study run {study.model}",
    }
    began = min((trial.start_time for trial in study.trials if trial.start_time), default=_now_ms())
    return client.create_run(experiment_id, began, tags, study.name)


def _log_study_params(client: MlflowClient, parent: Run, study: StudySummary) -> None:
    """Give the run of a study the params that it has not yet: what is searched, and how it was when it began."""
    what = {
        "sampler": study.sampler,
        "pruner": study.pruner,
        "folds": study.n_folds,
        "seed": study.seed,
        "metric": study.metric,
        "objectives": ", ".join(study.objectives),
        "storage": study.storage_uri,
        **{f"search.{name}": _format_distribution(found) for name, found in parse_ranges(study.search_space).items()},
    }
    params = [
        Param(name, _format_value(value))
        for name, value in what.items()
        if value is not None and name not in parent.data.params
    ]
    for start in range(0, len(params), PARAM_BATCH_SIZE):
        client.log_batch(parent.info.run_id, params=params[start : start + PARAM_BATCH_SIZE])


def _format_distribution(distribution: FloatRange | IntRange | CategoricalRange) -> str:
    """Return a range as a person reads it."""
    when = f", when {format_flow(dict(distribution.when))[1:-1]}" if distribution.when else ""
    if isinstance(distribution, CategoricalRange):
        return f"{', '.join(map(format_flow, distribution.choices))}{when}"
    how = ", log" if distribution.log else f", step {distribution.step:g}" if distribution.step not in (None, 1) else ""
    return f"{format_flow(distribution.low)} to {format_flow(distribution.high)}{how}{when}"


def _logged_trials(client: MlflowClient, experiment_id: str, parent_run_id: str) -> dict[int, str]:
    """Return the trials that have a run: `done`, or the id of a run that was not told to its end."""
    found: dict[int, str] = {}
    page = None
    while page is None or page:
        runs = client.search_runs(
            [experiment_id],
            f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent_run_id}'",
            max_results=PAGE_SIZE,
            page_token=page,
        )
        for run in runs:
            ended = run.info.status in RUN_STATUS.values()
            found[int(run.data.tags[TRIAL_TAG])] = "done" if ended else run.info.run_id
        page = runs.token or ""
    return found


def _log_trial(
    client: MlflowClient, experiment_id: str, parent_run_id: str, study: StudySummary, trial: TrialResult, run_id: str
) -> None:
    """Make the run of a finished trial, or tell one to its end."""
    began, ended = trial.start_time or trial.end_time or _now_ms(), trial.end_time or _now_ms()
    if not run_id:
        tags = {
            MLFLOW_PARENT_RUN_ID: parent_run_id,
            STUDY_TAG: study.unique_id,
            TRIAL_TAG: str(trial.number),
            STATE_TAG: trial.state,
        }
        tags |= {REASON_TAG: trial.reason} if trial.reason else {}
        name = f"trial {trial.number}" + (" pruned" if trial.state == "pruned" else "")
        run_id = client.create_run(experiment_id, began, tags, name).info.run_id
    values = [Param(name, _format_value(value)) for name, value in trial.params.items()]
    client.log_batch(run_id, metrics=list(_trial_metrics(study, trial, ended)), params=values)
    client.set_terminated(run_id, RUN_STATUS[trial.state], end_time=ended)


def _trial_metrics(study: StudySummary, trial: TrialResult, end_time: int) -> Iterator[Metric]:
    """Yield score, scores of folds by step, other objectives and seconds of a trial."""
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
    """Tell how far a study is: the best trial, how the best score came about, the pictures."""
    run_id = parent.info.run_id
    tags = {"trials": str(len(study.trials)), "mlflow.note.content": _describe_study(study)}
    tags |= {state: str(len(study.trials_in_state(state))) for state in ("complete", "pruned", "failed")}
    best = study.get_trial(study.best_trial_number)
    if best is not None:
        tags |= {"best": f"trial {best.number}"} | {
            f"best.{name}": _format_value(value) for name, value in best.params.items()
        }
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    course = list(_best_score_history(study)) if best is not None else []
    known = len(client.get_metric_history(run_id, sanitize_name(study.metric))) if course else 0
    for start in range(known, len(course), METRIC_BATCH_SIZE):
        client.log_batch(run_id, metrics=course[start : start + METRIC_BATCH_SIZE])
    for path in plots:
        client.log_artifact(run_id, str(path), PLOTS_FOLDER)
    left = [trial for trial in study.trials if not trial.is_finished]
    if is_running and left:
        client.update_run(run_id, status="RUNNING")
    else:
        ended = max((trial.end_time for trial in study.trials if trial.end_time), default=_now_ms())
        client.set_terminated(run_id, "KILLED" if left else "FINISHED", end_time=ended)


def _best_score_history(study: StudySummary) -> Iterator[Metric]:
    """Yield the best score after each improvement, the step being how many trials were complete."""
    done = sorted(study.trials_in_state("complete"), key=lambda trial: (trial.end_time or 0, trial.number))
    best = None
    for step, trial in enumerate(done, start=1):
        if trial.score is not None and (best is None or study.sign * trial.score > study.sign * best):
            best = trial.score
            yield Metric(sanitize_name(study.metric), best, trial.end_time or 0, step)


def _describe_study(study: StudySummary) -> str:
    """Return the run's description in MLflow's UI, in Markdown."""
    lines = [
        f"Study of `{study.model}`: {study.metric}, {study.direction} is better, mean of {study.n_folds} folds.",
        "",
    ]
    lines += [f"{study.description.capitalize()}.", ""]
    best = study.get_trial(study.best_trial_number)
    if best is not None:
        lines += [f"Best: trial {best.number}, {study.metric} {best.score:.4g}", "", "| key | value |", "|---|---|"]
        lines += [f"| {name} | {_format_value(value)} |" for name, value in best.params.items()]
        lines += ["", f"`fivefold study adopt {study.name}` writes it into params.yaml."]
    elif study.pareto_front:
        lines += [f"Trials that none beats in all objectives: {', '.join(map(str, study.pareto_front))}."]
    return "\n".join(lines)


def _format_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:MAX_VALUE_LENGTH]


def _now_ms() -> int:
    return int(time.time() * 1000)
