"""Trainings that wait for their turn, and what comes of each."""

import math
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ..errors import TrainingError
from ..models.serialization import Saved
from ..training.callbacks import Metrics
from ..training.vectorized.eligibility import why_not
from ..training.vectorized.fit import OnEpoch, fit_stack
from ..training.vectorized.job import Job
from ..tuning.execution.objective import train

LARGEST = 2**28
"""Numbers in the rows of networks that learn at once."""


@dataclass(frozen=True)
class Trained:
    """What came of a job.

    saved: the model; None if it could not be trained. epochs: what each measured. kept_epoch: the one whose weights it
    has, from 1. seconds: its share of the time. error: why it could not be trained; empty if it could.
    """

    saved: Saved | None
    epochs: list[Metrics]
    kept_epoch: int
    seconds: float
    error: str = ""


def train_all(name: str, jobs: Iterable[Job], work: Path) -> Iterator[tuple[Job, Trained]]:
    """Train the network of each job; yield each with what came of it, in their order.

    Small networks of one architecture learn at once, others one after the other, each only made when its turn comes.

    work: folder for checkpoints, which is removed.

    Raises:
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
        ArtifactError: the model that judges was not trained.
    """
    for group in _groups(jobs):
        yield from _one_by_one(name, group, work) if len(group) == 1 or why_not(group) else _at_once(name, group)


def _groups(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """Yield jobs that might learn at once, as many as lie in memory together."""
    group: list[Job] = []
    numbers = 0
    for job in jobs:
        more = job.dataset.train.x.size + job.dataset.validation.x.size
        if group and (why_not([job]) or numbers + more > LARGEST):
            yield group
            group, numbers = [], 0
        group.append(job)
        numbers += more
        if why_not(group[:1]):
            yield group
            group, numbers = [], 0
    if group:
        yield group


def _at_once(name: str, jobs: Sequence[Job]) -> Iterator[tuple[Job, Trained]]:
    started = time.monotonic()
    outcomes = fit_stack(name, jobs, _tell(name))
    seconds = (time.monotonic() - started) / len(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        assert outcome is not None  # none was stopped
        if not outcome.error:
            yield job, Trained(outcome.saved, outcome.epochs, outcome.kept_epoch, seconds)
            continue
        yield job, Trained(None, outcome.epochs, 0, seconds, outcome.error)


def _tell(name: str) -> OnEpoch:
    """Return what prints how far a stack is."""

    def told(epoch: int, places: Sequence[int], metrics: Sequence[Metrics]) -> tuple[int, ...]:
        loss = fmean(each["val/loss"] for each in metrics) if metrics else math.nan
        print(f"{name}  epoch {epoch + 1}, {len(places)} at once  val/loss {loss:.4g}", flush=True)
        return ()

    return told


def _one_by_one(name: str, jobs: Iterable[Job], work: Path) -> Iterator[tuple[Job, Trained]]:
    for job in jobs:
        shutil.rmtree(work, ignore_errors=True)  # of another training, from which this one must not go on
        started = time.monotonic()
        try:
            found = train(name, job.params, job.dataset, job.chain, job.seed, work, lambda *_: None)
            done = Trained(*found, time.monotonic() - started)
        except TrainingError as error:
            done = Trained(None, [], 0, time.monotonic() - started, str(error))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        yield job, done
