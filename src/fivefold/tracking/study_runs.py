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
from ..config.flow import flow
from ..config.search import Categorical, Float, Int, ranges_of
from ..errors import BusyError
from ..stages.lock import locked
from . import lineage, store
from .reporter import key
from .study_results import StudyFacts, TrialFacts

STUDY, TRIAL, STATE, REASON = "fivefold.study", "fivefold.trial", "fivefold.state", "fivefold.reason"
"""Tags: the mark of a study; number, state and reason of a trial."""
ALL = "all"
"""Instead of a number, of the parent run."""
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
"""What MLflow shows: a pruned trial is as it should be; its name says that it was pruned."""
PAGE = 1000
"""Runs that MLflow returns at once."""
BATCH, FEW = 1000, 100
"""Metrics and params that MLflow takes in one call."""
LONGEST = 5000
"""Characters of a value: MLflow refuses more than 6000."""
FOLDER = "pictures"


def project(study: StudyFacts, pictures: Sequence[Path] = (), *, running: bool) -> str:
    """Tell MLflow what it does not know of a study yet; return a line that says so, or what is wrong with the store.

    pictures: files that the parent run is to have, in place of those of the same name.
    running: the study goes on; else it is finished, or stopped before its end.
    """
    try:
        with locked(paths.root() / ".fivefold/told" / study.mark, patience=5):
            client, experiment = store.open_store(f"study/{study.model}")
            parent = _parent(client, experiment, study)
            _tell_what_it_is(client, parent, study)
            told = _told(client, experiment, parent.info.run_id)
            fresh = [trial for trial in study.trials if trial.finished and told.get(trial.number) != "done"]
            for trial in fresh:
                _trial(client, experiment, parent.info.run_id, study, trial, told.get(trial.number, ""))
            _tell_parent(client, parent, study, pictures, running=running)
    except (MlflowException, BusyError, OSError) as error:
        return f"not in MLflow yet: {store.trouble(error)}; the study goes on, and is told there when it next ends"
    known = told.keys() | {trial.number for trial in fresh}
    return f"MLflow: experiment study/{study.model}, run {study.name}, {len(known)} trials"


def _parent(client: MlflowClient, experiment: str, study: StudyFacts) -> Run:
    """Return the run of a study, made if need be."""
    found = client.search_runs(
        [experiment], f"tags.`{STUDY}` = '{study.mark}' and tags.`{TRIAL}` = '{ALL}'", max_results=1
    )
    if found:
        return found[0]
    known = {name: value for name, value in lineage.tags("", "").items() if name not in ("dvc.stage", "dvc.experiment")}
    tags = {**known, STUDY: study.mark, TRIAL: ALL, "mlflow.source.name": f"fivefold study run {study.model}"}
    began = min((trial.began for trial in study.trials if trial.began), default=_now())
    return client.create_run(experiment, began, tags, study.name)


def _tell_what_it_is(client: MlflowClient, parent: Run, study: StudyFacts) -> None:
    """Give the run of a study the params that it has not yet: what is searched, and how it was when it began."""
    what = {
        "sampler": study.sampler,
        "prune": study.prune,
        "folds": study.folds,
        "seed": study.seed,
        "metric": study.metric,
        "objectives": ", ".join(study.objectives),
        "storage": study.where,
        **{f"search.{name}": _range(found) for name, found in ranges_of(study.search).items()},
    }
    params = [
        Param(name, _written(value))
        for name, value in what.items()
        if value is not None and name not in parent.data.params
    ]
    for start in range(0, len(params), FEW):
        client.log_batch(parent.info.run_id, params=params[start : start + FEW])


def _range(found: Float | Int | Categorical) -> str:
    """Return a range as a person reads it."""
    when = f", when {flow(dict(found.when))[1:-1]}" if found.when else ""
    if isinstance(found, Categorical):
        return f"{', '.join(map(flow, found.choices))}{when}"
    how = ", log" if found.log else f", step {found.step:g}" if found.step not in (None, 1) else ""
    return f"{flow(found.low)} to {flow(found.high)}{how}{when}"


def _told(client: MlflowClient, experiment: str, parent: str) -> dict[int, str]:
    """Return the trials that have a run: `done`, or the id of a run that was not told to its end."""
    found: dict[int, str] = {}
    page = None
    while page is None or page:
        runs = client.search_runs(
            [experiment], f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{parent}'", max_results=PAGE, page_token=page
        )
        for run in runs:
            ended = run.info.status in STATUS.values()
            found[int(run.data.tags[TRIAL])] = "done" if ended else run.info.run_id
        page = runs.token or ""
    return found


def _trial(
    client: MlflowClient, experiment: str, parent: str, study: StudyFacts, trial: TrialFacts, run_id: str
) -> None:
    """Make the run of a finished trial, or tell one to its end."""
    began, ended = trial.began or trial.ended or _now(), trial.ended or _now()
    if not run_id:
        tags = {MLFLOW_PARENT_RUN_ID: parent, STUDY: study.mark, TRIAL: str(trial.number), STATE: trial.state}
        tags |= {REASON: trial.reason} if trial.reason else {}
        name = f"trial {trial.number}" + (" pruned" if trial.state == "pruned" else "")
        run_id = client.create_run(experiment, began, tags, name).info.run_id
    values = [Param(name, _written(value)) for name, value in trial.values.items()]
    client.log_batch(run_id, metrics=list(_metrics(study, trial, ended)), params=values)
    client.set_terminated(run_id, STATUS[trial.state], end_time=ended)


def _metrics(study: StudyFacts, trial: TrialFacts, ended: int) -> Iterator[Metric]:
    """Yield score, scores of folds by step, other objectives and seconds of a trial."""
    if trial.score is not None and trial.state == "complete":
        yield Metric(key(study.metric), trial.score, ended, 0)
    for step, score in enumerate(trial.folds, start=1):
        yield Metric(key(f"fold/{study.metric}"), score, ended, step)
    for name, value in zip(study.objectives, trial.objectives, strict=False):
        if name != "score":
            yield Metric(name, value, ended, 0)
    yield Metric("seconds", trial.seconds, ended, 0)


def _tell_parent(
    client: MlflowClient, parent: Run, study: StudyFacts, pictures: Sequence[Path], *, running: bool
) -> None:
    """Tell how far a study is: the best trial, how the best score came about, the pictures."""
    run_id = parent.info.run_id
    tags = {"trials": str(len(study.trials)), "mlflow.note.content": _note(study)}
    tags |= {state: str(len(study.of(state))) for state in ("complete", "pruned", "failed")}
    best = study.trial(study.best)
    if best is not None:
        tags |= {"best": f"trial {best.number}"} | {
            f"best.{name}": _written(value) for name, value in best.values.items()
        }
    client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
    course = list(_course(study)) if best is not None else []
    known = len(client.get_metric_history(run_id, key(study.metric))) if course else 0
    for start in range(known, len(course), BATCH):
        client.log_batch(run_id, metrics=course[start : start + BATCH])
    for path in pictures:
        client.log_artifact(run_id, str(path), FOLDER)
    left = [trial for trial in study.trials if not trial.finished]
    if running and left:
        client.update_run(run_id, status="RUNNING")
    else:
        ended = max((trial.ended for trial in study.trials if trial.ended), default=_now())
        client.set_terminated(run_id, "KILLED" if left else "FINISHED", end_time=ended)


def _course(study: StudyFacts) -> Iterator[Metric]:
    """Yield the best score after each improvement, the step being how many trials were complete."""
    done = sorted(study.of("complete"), key=lambda trial: (trial.ended or 0, trial.number))
    best = None
    for step, trial in enumerate(done, start=1):
        if trial.score is not None and (best is None or study.sign * trial.score > study.sign * best):
            best = trial.score
            yield Metric(key(study.metric), best, trial.ended or 0, step)


def _note(study: StudyFacts) -> str:
    """Return the run's description in MLflow's UI, in Markdown."""
    lines = [f"Study of `{study.model}`: {study.metric}, {study.better} is better, mean of {study.folds} folds.", ""]
    lines += [f"{study.how.capitalize()}.", ""]
    best = study.trial(study.best)
    if best is not None:
        lines += [f"Best: trial {best.number}, {study.metric} {best.score:.4g}", "", "| key | value |", "|---|---|"]
        lines += [f"| {name} | {_written(value)} |" for name, value in best.values.items()]
        lines += ["", f"`fivefold study adopt {study.name}` writes it into params.yaml."]
    elif study.front:
        lines += [f"Trials that none beats in all objectives: {', '.join(map(str, study.front))}."]
    return "\n".join(lines)


def _written(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:LONGEST]


def _now() -> int:
    return int(time.time() * 1000)
