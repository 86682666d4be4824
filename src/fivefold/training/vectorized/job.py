"""What is trained in a stack, and what comes of it."""

from dataclasses import dataclass

from ...config.models import Model
from ...data.dataset import Dataset
from ...models.serialization import TrainedModel
from ...preprocessing.pipeline import Pipeline
from ..callbacks import Metrics


@dataclass(frozen=True)
class Job:
    """One training of a stack.

    dataset: `train` is learnt, `validation` judges each epoch.
    chain: preprocessing fitted to the training rows. Jobs that share rows hand over the same dataset and chain, which
        are then laid out once.
    """

    params: Model
    dataset: Dataset
    pipeline: Pipeline
    seed: int


@dataclass(frozen=True)
class JobResult:
    """What `training.fit.fit` would have given.

    saved: the model with the weights of the kept epoch; of one that diverged before it had any, as it began.
    epochs: the metrics of each epoch.
    kept_epoch: the epoch whose weights the model has, from 1; 0 if there is none.
    error: why the training could not go on, and what to do about it; empty if it could.
    """

    trained_model: TrainedModel
    metrics_by_epoch: list[Metrics]
    best_epoch: int
    error: str = ""
