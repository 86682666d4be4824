"""Trainings that wait for their turn, and what comes of each."""

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
"""Numbers in the rows of networks that learn at once."""


@dataclass(frozen=True)
class TrainingResult:
    """What came of a job.

    saved: the model; None if it could not be trained. epochs: what each measured. kept_epoch: the one whose weights it
    has, from 1. seconds: its share of the time. error: why it could not be trained; empty if it could.
    """

    trained_model: TrainedModel | None
    metrics_by_epoch: list[Metrics]
    best_epoch: int
    seconds: float
    error: str = ""


def train_jobs(model_name: str, jobs: Iterable[Job], work_dir: Path) -> Iterator[tuple[Job, TrainingResult]]:
    """Train the network of each job; yield each with what came of it, in their order.

    Small networks of one architecture learn at once, others one after the other, each only made when its turn comes.

    work: folder for checkpoints, which is removed.

    Raises:
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
        ArtifactError: the model that judges was not trained.
    """
    for group in _group_jobs(jobs):
        yield from (
            _train_sequentially(model_name, group, work_dir)
            if len(group) == 1 or ineligible_reason(group)
            else _train_vectorized(model_name, group)
        )


def _group_jobs(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Yield jobs that might learn at once, as many as lie in memory together."""
    group: list[Job] = []
    numbers = 0
    for job in jobs:
        more = job.dataset.train.x.size + job.dataset.validation.x.size
        if group and (ineligible_reason([job]) or numbers + more > MAX_GROUP_VALUES):
            yield group
            group, numbers = [], 0
        group.append(job)
        numbers += more
        if ineligible_reason(group[:1]):
            yield group
            group, numbers = [], 0
    if group:
        yield group


def _train_vectorized(model_name: str, jobs: Sequence[Job]) -> Iterator[tuple[Job, TrainingResult]]:
    started = time.monotonic()
    outcomes = fit_vectorized(model_name, jobs, _epoch_printer(model_name))
    seconds = (time.monotonic() - started) / len(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        assert outcome is not None  # none was stopped
        if not outcome.error:
            yield job, TrainingResult(outcome.trained_model, outcome.metrics_by_epoch, outcome.best_epoch, seconds)
            continue
        yield job, TrainingResult(None, outcome.metrics_by_epoch, 0, seconds, outcome.error)


def _epoch_printer(model_name: str) -> OnEpoch:
    """Return what prints how far a stack is."""

    def told(epoch: int, places: Sequence[int], metrics: Sequence[Metrics]) -> tuple[int, ...]:
        loss = fmean(each["val/loss"] for each in metrics) if metrics else math.nan
        print(f"{model_name}  epoch {epoch + 1}, {len(places)} at once  val/loss {loss:.4g}", flush=True)
        return ()

    return told


def _train_sequentially(model_name: str, jobs: Iterable[Job], work_dir: Path) -> Iterator[tuple[Job, TrainingResult]]:
    for job in jobs:
        shutil.rmtree(work_dir, ignore_errors=True)  # of another training, from which this one must not go on
        started = time.monotonic()
        try:
            found = train_model(model_name, job.params, job.dataset, job.pipeline, job.seed, work_dir, lambda *_: None)
            done = TrainingResult(*found, time.monotonic() - started)
        except TrainingError as error:
            done = TrainingResult(None, [], 0, time.monotonic() - started, str(error))
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)
        yield job, done
