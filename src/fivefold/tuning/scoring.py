"""Objective metrics of studies, and the scores of trained models on held-out rows."""

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

Direction = Literal["minimize", "maximize"]
"""Optuna's direction of an objective."""
LOSS_KEYS = ("training.loss", "training.loss_weights", "training.class_balance", "training.difference")
"""Keys that change the scale of the validation loss, so that losses of trials are not comparable."""


class ObjectiveMetric(NamedTuple):
    """A score that a study can optimize, and the metric of an epoch that represents it; "" if none does."""

    name: str
    direction: Literal["higher", "lower"]
    epoch_metric: str

    @property
    def sign(self) -> int:
        """Factor that makes higher scores better."""
        return 1 if self.direction == "higher" else -1

    def epoch_score(self, metrics: Mapping[str, float]) -> float:
        """Return the score of an epoch, higher is better; NaN if it was not validated."""
        value = metrics.get(self.epoch_metric, float("nan"))
        return value if self.epoch_metric == "val/accuracy" else -value


def select_objective_metric(
    model_name: str, model: Model, schema: Schema, study: Study, searched_keys: Sequence[str] = ()
) -> ObjectiveMetric:
    """Return the metric that a study optimizes.

    searched_keys: dotted keys whose values the study varies.

    Raises:
        ParamsError: `study.metric` is no metric of the model's task.
    """
    candidates = available_objective_metrics(model, schema)
    if study.metric != "auto" and study.metric not in candidates:
        raise ParamsError(
            f"models.{model_name}.study.metric must be auto or one of {', '.join(candidates)}, but is {study.metric!r};"
            " choose one of these"
        )
    metric = candidates[next(iter(candidates)) if study.metric == "auto" else study.metric]
    not_comparable = metric.epoch_metric == "val/loss" and any(key.startswith(LOSS_KEYS) for key in searched_keys)
    return metric._replace(epoch_metric="") if not_comparable else metric


def available_objective_metrics(model: Model, schema: Schema) -> dict[str, ObjectiveMetric]:
    """Return every metric that a study of a model can optimize, the primary one first."""
    match model.network:
        case Gan() | Cyclegan():
            if isinstance(model.network, Cyclegan):
                name = "translation_score"
            else:
                name = "kid" if model.source_model else "energy_distance"
            return {name: ObjectiveMetric(name, "lower", f"val/{name}")}
        case Autoencoder(mode=AnomalyMode(normal_classes=(_, *_))):
            return {
                "roc_auc": ObjectiveMetric("roc_auc", "higher", "val/loss"),
                "mse": ObjectiveMetric("mse", "lower", "val/loss"),
            }
        case Autoencoder():
            return {"mse": ObjectiveMetric("mse", "lower", "val/loss")}
    # with several targets, the validation accuracy and loss of an epoch are not those of one target
    accuracy = not schema.extra_targets and schema.task == "classification"
    return {
        metric.name: ObjectiveMetric(
            metric.name, metric.direction, "val/accuracy" if accuracy and "accuracy" in metric.name else "val/loss"
        )
        for metric in metrics_for_task(schema)
    }


def score_bounds(model: Model, schema: Schema) -> dict[str, tuple[float, float]]:
    """Return the known lower and upper bounds of a model's scores, by metric."""
    match model.network:
        case Gan() | Cyclegan():
            return {}
        case Autoencoder():
            return {"roc_auc": UNIT_INTERVAL, "mse": NON_NEGATIVE}
    return metric_bounds(schema)


N_LATENCY_RUNS = 30
"""Runs of which the latency is the median."""


def score_model(
    model: Model,
    trained_model: TrainedModel,
    held_out: Split,
    metrics_by_epoch: Sequence[Mapping[str, float]],
    best_epoch: int,
) -> dict[str, float]:
    """Return every score of a trained model on held-out rows.

    metrics_by_epoch: metrics of each training epoch. best_epoch: the epoch of the weights, counted from 1.

    Raises:
        TrainingError: a prediction is not finite.
    """
    match model.network:
        case Gan() | Cyclegan():
            (metric,) = available_objective_metrics(model, trained_model.schema).values()
            return {metric.name: float(metrics_by_epoch[best_epoch - 1][metric.epoch_metric])}
        case Autoencoder() as network:
            return _score_autoencoder(network, trained_model, held_out)
    samples = subsample_for_scoring(trained_model, held_out)
    return compute_scores(trained_model.schema, samples, predict_for_metrics(trained_model, samples))


def _score_autoencoder(network: Autoencoder, trained_model: TrainedModel, held_out: Split) -> dict[str, float]:
    errors = reconstruct(trained_model.model, held_out.x).errors
    if not np.isfinite(errors).all():
        raise TrainingError("reconstruction errors must be finite, but are not; lower training.optimizer.lr")
    if not isinstance(network.mode, AnomalyMode) or not network.mode.normal_classes:
        return {"mse": float(errors.mean())}
    normal = [trained_model.schema.classes.index(each) for each in network.mode.normal_classes]
    is_anomaly = ~np.isin(held_out.y, normal)
    return {"roc_auc": float(roc_auc_score(is_anomaly, errors)), "mse": float(errors[~is_anomaly].mean())}


def count_parameters(trained_model: TrainedModel) -> float:
    """Return the number of parameters of a network."""
    return float(sum(weight.numel() for weight in trained_model.model.network.parameters()))


def measure_latency(trained_model: TrainedModel, dataset: Dataset) -> float:
    """Return the median time of a prediction for one row on a CPU, in milliseconds."""
    row = torch.from_numpy(np.array(dataset.validation.x[:1]))
    seconds = []
    with torch.inference_mode():
        for _ in range(N_LATENCY_RUNS):
            started = time.perf_counter()
            trained_model.model(row)
            seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000
