"""Trainings that wait for their turn, and what comes of each."""

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import fmean

from ..errors import TrainingError
from ..families.saved import Saved
from ..training.callbacks import Metrics
from ..training.stacked.fit import OnEpoch, fit_stack
from ..training.stacked.job import Job
from ..training.stacked.refusal import why_not
from .objective import train


@dataclass(frozen=True)
class Trained:
    """What came of a job.

    saved: the model; None if it could not be trained. epochs: what each measured. kept_epoch: the one whose weights it
    has, from 1. error: why it could not be trained; empty if it could.
    """

    saved: Saved | None
    epochs: list[Metrics]
    kept_epoch: int
    error: str = ""


def train_all(name: str, jobs: Iterable[Job], work: Path) -> Iterator[tuple[Job, Trained]]:
    """Train the network of each job; yield each with what came of it, in their order.

    Small networks of one architecture learn at once, others one after the other, each only made when its turn comes.

    work: folder for checkpoints, which is removed.

    Raises:
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
        ArtifactError: the model that judges was not trained.
    """
    coming = iter(jobs)
    first = next(coming, None)
    if first is None:
        return
    if why_not([first]):
        yield from _one_by_one(name, chain([first], coming), work)
        return
    every = [first, *coming]
    if why_not(every):  # folds whose training rows have not the same categories, say
        yield from _one_by_one(name, every, work)
        return
    for job, outcome in zip(every, fit_stack(name, every, _tell(name)), strict=True):
        assert outcome is not None  # none was stopped
        if not outcome.error:
            yield job, Trained(outcome.saved, outcome.epochs, outcome.kept_epoch)
            continue
        rate = job.params.training.optimizer.lr
        yield job, Trained(None, outcome.epochs, 0, f"{outcome.error}; lower training.optimizer.lr (now {rate:g})")


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
        try:
            done = Trained(*train(name, job.params, job.dataset, job.chain, job.seed, work, lambda *_: None))
        except TrainingError as error:
            done = Trained(None, [], 0, str(error))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        yield job, done
