"""Trainings that wait for their turn, and what comes of each."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..data.records import Dataset
from ..errors import TrainingError
from ..families.saved import Saved
from ..params.models import Model
from ..preprocessing.chain import Chain
from ..training.callbacks import Metrics
from .objective import train


@dataclass(frozen=True)
class Job:
    """One training.

    dataset: `train` is learnt, `validation` chooses the epoch. chain: preprocessing fitted to the training rows.
    """

    params: Model
    dataset: Dataset
    chain: Chain
    seed: int


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    saved: the trained model; None if it could not be trained. epochs: what each measured. kept_epoch: the one whose
    weights it has, from 1. error: why it could not be trained; empty if it could.
    """

    saved: Saved | None
    epochs: list[Metrics]
    kept_epoch: int
    error: str = ""


def train_all(name: str, jobs: Iterable[Job], work: Path) -> Iterator[tuple[Job, Outcome]]:
    """Train the network of each job; yield each with what came of it, in their order, as it comes.

    work: folder for checkpoints, which is removed.

    Raises:
        ParamsError: the network does not fit the shape of the data, or training does not fit the machine.
        ArtifactError: the model that judges was not trained.
    """
    for job in jobs:
        shutil.rmtree(work, ignore_errors=True)  # of another training, from which this one must not go on
        try:
            outcome = Outcome(*train(name, job.params, job.dataset, job.chain, job.seed, work, lambda *_: None))
        except TrainingError as error:
            outcome = Outcome(None, [], 0, str(error))
        finally:
            shutil.rmtree(work, ignore_errors=True)
        yield job, outcome
