"""What a study is after: a number that a trained model gets on rows held out, and which way is better.

The scores of a trained model on rows held out, what it weighs and how long it takes.
"""

import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, NamedTuple

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from ..config.models import Model
from ..config.networks.autoencoder import AnomalyMode, Autoencoder
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.search import Study
from ..data.dataset import Dataset, Split
from ..data.schema import Schema
from ..errors import ParamsError, TrainingError
from ..evaluation.metrics import NON_NEGATIVE, UNIT_INTERVAL, compute_scores, metric_bounds, metrics_for_task
from ..evaluation.predict import predict_for_metrics, subsample_for_scoring
from ..evaluation.reconstruction.metrics import reconstruct
from ..models.serialization import TrainedModel

LOSS_KEYS = ("training.loss", "training.loss_weights", "training.class_balance", "training.difference")
"""Keys that change what a validation loss means."""


class ObjectiveMetric(NamedTuple):
    """A score: name, which way is better, and what of an epoch's metrics stands for it; "" if nothing does."""

    name: str
    direction: Literal["higher", "lower"]
    epoch_metric: str

    @property
    def sign(self) -> int:
        """What a score is multiplied by so that more is better."""
        return 1 if self.direction == "higher" else -1

    def epoch_score(self, metrics: Mapping[str, float]) -> float:
        """Return how good an epoch is, more being better; NaN if it was not looked at."""
        value = metrics.get(self.epoch_metric, float("nan"))
        return value if self.epoch_metric == "val/accuracy" else -value


def select_objective_metric(
    model_name: str, model: Model, schema: Schema, study: Study, searched_keys: Sequence[str] = ()
) -> ObjectiveMetric:
    """Return the goal of a study.

    tried: keys of which it tries values.

    Raises:
        ParamsError: `study.metric` is no metric of the model's task.
    """
    goals = available_objective_metrics(model, schema)
    if study.metric != "auto" and study.metric not in goals:
        raise ParamsError(
            f"models.{model_name}.study.metric must be auto or one of {', '.join(goals)}, but is {study.metric!r}; mend it"
        )
    goal = goals[next(iter(goals)) if study.metric == "auto" else study.metric]
    blind = goal.epoch_metric == "val/loss" and any(key.startswith(LOSS_KEYS) for key in searched_keys)
    return goal._replace(epoch_metric="") if blind else goal


def available_objective_metrics(model: Model, schema: Schema) -> dict[str, ObjectiveMetric]:
    """Return every score that a model can be searched by, its leading one first."""
    match model.network:
        case Gan() | Cyclegan():
            name = (
                "translation_score"
                if isinstance(model.network, Cyclegan)
                else "kid"
                if model.source_model
                else "energy_distance"
            )
            return {name: ObjectiveMetric(name, "lower", f"val/{name}")}
        case Autoencoder(mode=AnomalyMode(normal_classes=(_, *_))):
            return {
                "auroc": ObjectiveMetric("auroc", "higher", "val/loss"),
                "mse": ObjectiveMetric("mse", "lower", "val/loss"),
            }
        case Autoencoder():
            return {"mse": ObjectiveMetric("mse", "lower", "val/loss")}
    # of a lone target: of others the loss of an epoch is of all together
    accuracy = not schema.extra_targets and schema.task == "classification"
    return {
        metric.name: ObjectiveMetric(
            metric.name, metric.direction, "val/accuracy" if accuracy and "accuracy" in metric.name else "val/loss"
        )
        for metric in metrics_for_task(schema)
    }


def score_bounds(model: Model, schema: Schema) -> dict[str, tuple[float, float]]:
    """Return between which values scores of a model always lie, of those of which that is known."""
    match model.network:
        case Gan() | Cyclegan():
            return {}
        case Autoencoder():
            return {"auroc": UNIT_INTERVAL, "mse": NON_NEGATIVE}
    return metric_bounds(schema)


N_LATENCY_RUNS = 30
"""Of which the latency is the median."""


def score_model(
    model: Model,
    trained_model: TrainedModel,
    held_out: Split,
    metrics_by_epoch: Sequence[Mapping[str, float]],
    best_epoch: int,
) -> dict[str, float]:
    """Return every score of a trained model on rows held out.

    epochs: what each measured; kept: the one whose weights it has, from 1.

    Raises:
        TrainingError: a prediction is not finite.
    """
    match model.network:
        case Gan() | Cyclegan():
            (goal,) = available_objective_metrics(model, trained_model.schema).values()
            return {goal.name: float(metrics_by_epoch[best_epoch - 1][goal.epoch_metric])}
        case Autoencoder() as network:
            return _score_autoencoder(network, trained_model, held_out)
    records = subsample_for_scoring(trained_model, held_out)
    return compute_scores(trained_model.schema, records, predict_for_metrics(trained_model, records))


def _score_autoencoder(network: Autoencoder, trained_model: TrainedModel, held_out: Split) -> dict[str, float]:
    errors = reconstruct(trained_model.model, held_out.x).errors
    if not np.isfinite(errors).all():
        raise TrainingError("errors of records must be finite, but are not; lower training.optimizer.lr")
    if not isinstance(network.mode, AnomalyMode) or not network.mode.normal_classes:
        return {"mse": float(errors.mean())}
    odd = ~np.isin(held_out.y, [trained_model.schema.classes.index(each) for each in network.mode.normal_classes])
    return {"auroc": float(roc_auc_score(odd, errors)), "mse": float(errors[~odd].mean())}


def count_parameters(trained_model: TrainedModel) -> float:
    """Return how many weights a network has."""
    return float(sum(weight.numel() for weight in trained_model.model.network.parameters()))


def measure_latency(trained_model: TrainedModel, dataset: Dataset) -> float:
    """Return the time that one row takes on a CPU, median of `RUNS`, in milliseconds."""
    row = torch.from_numpy(np.array(dataset.validation.x[:1]))
    seconds = []
    with torch.inference_mode():
        for _ in range(N_LATENCY_RUNS):
            started = time.perf_counter()
            trained_model.model(row)
            seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000
