"""A training job of a model stack, and its result."""

from dataclasses import dataclass

from ...config.models import Model
from ...data.dataset import Dataset
from ...models.serialization import TrainedModel
from ...preprocessing.pipeline import Pipeline
from ..callbacks import Metrics


@dataclass(frozen=True)
class Job:
    """One training of a model stack.

    dataset: training and validation rows.
    pipeline: preprocessing, fitted to the training rows. Jobs with the same rows share one dataset and one pipeline
        object, so that the rows are stored on the device once.
    """

    params: Model
    dataset: Dataset
    pipeline: Pipeline
    seed: int


@dataclass(frozen=True)
class JobResult:
    """The result of a training, as that of `training.fit.fit`.

    trained_model: the model with the weights of the selected epoch; with initial weights if training diverged before.
    metrics_by_epoch: the metrics of each epoch.
    best_epoch: the epoch whose weights the model has, counted from 1; 0 if there is none.
    error: why training was aborted, and the remedy; empty if it was not.
    """

    trained_model: TrainedModel
    metrics_by_epoch: list[Metrics]
    best_epoch: int
    error: str = ""
