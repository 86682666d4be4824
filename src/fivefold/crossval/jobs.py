"""Training jobs and their results."""

import math
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..errors import TrainingError
from ..models.serialization import TrainedModel
from ..training.callbacks import Metrics
from ..training.vectorized.eligibility import ineligible_reason
from ..training.vectorized.fit import OnEpoch, fit_vectorized
from ..training.vectorized.job import Job
from ..tuning.execution.objective import train_model

MAX_GROUP_VALUES = 2**28
"""Largest number of values in the rows of networks that train as one program."""


@dataclass(frozen=True)
class TrainingResult:
    """The result of a job.

    trained_model: None if training failed. metrics_by_epoch: metrics of each epoch. best_epoch: epoch of the weights,
    from 1. seconds: share of the training time. error: why training failed; "" if it did not.
    """

    trained_model: TrainedModel | None
    metrics_by_epoch: list[Metrics]
    best_epoch: int
    seconds: float
    error: str = ""


def train_jobs(model_name: str, jobs: Iterable[Job], work_dir: Path) -> Iterator[tuple[Job, TrainingResult]]:
    """Train the network of each job; yield the jobs with their results, in order.

    Small networks with the same architecture train vectorized, others one after the other and built one at a time.

    work_dir: folder for checkpoints, which is removed.

    Raises:
        ParamsError: the network does not match the data, or the training settings do not match the machine.
        ArtifactError: the reference classifier is not trained.
    """
    for group in _group_jobs(jobs):
        yield from (
            _train_sequentially(model_name, group, work_dir)
            if len(group) == 1 or ineligible_reason(group)
            else _train_vectorized(model_name, group)
        )


def _group_jobs(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Yield groups of jobs that may train as one program, limited by memory."""
    group: list[Job] = []
    n_values = 0
    for job in jobs:
        n_more = job.dataset.train.x.size + job.dataset.validation.x.size
        if group and (ineligible_reason([job]) or n_values + n_more > MAX_GROUP_VALUES):
            yield group
            group, n_values = [], 0
        group.append(job)
        n_values += n_more
        if ineligible_reason(group[:1]):
            yield group
            group, n_values = [], 0
    if group:
        yield group


def _train_vectorized(model_name: str, jobs: Sequence[Job]) -> Iterator[tuple[Job, TrainingResult]]:
    started = time.monotonic()
    results = fit_vectorized(model_name, jobs, _epoch_printer(model_name))
    seconds = (time.monotonic() - started) / len(jobs)
    for job, result in zip(jobs, results, strict=True):
        assert result is not None  # none was stopped
        if not result.error:
            yield job, TrainingResult(result.trained_model, result.metrics_by_epoch, result.best_epoch, seconds)
            continue
        yield job, TrainingResult(None, result.metrics_by_epoch, 0, seconds, result.error)


def _epoch_printer(model_name: str) -> OnEpoch:
    """Return a callback that prints the mean validation loss of vectorized trainings."""

    def print_epoch(epoch: int, active: Sequence[int], metrics: Sequence[Metrics]) -> tuple[int, ...]:
        loss = fmean(each["val/loss"] for each in metrics) if metrics else math.nan
        print(f"{model_name}  epoch {epoch + 1}, {len(active)} vectorized  val/loss {loss:.4g}", flush=True)
        return ()

    return print_epoch


def _train_sequentially(model_name: str, jobs: Iterable[Job], work_dir: Path) -> Iterator[tuple[Job, TrainingResult]]:
    for job in jobs:
        shutil.rmtree(work_dir, ignore_errors=True)  # checkpoints of another training must not be resumed
        started = time.monotonic()
        try:
            trained = train_model(
                model_name, job.params, job.dataset, job.pipeline, job.seed, work_dir, lambda *_: None
            )
            result = TrainingResult(*trained, time.monotonic() - started)
        except TrainingError as error:
            result = TrainingResult(None, [], 0, time.monotonic() - started, str(error))
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)
        yield job, result
