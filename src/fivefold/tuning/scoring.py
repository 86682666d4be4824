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
from ..config.networks.autoencoder import Autoencoder, Detect
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..config.search import Study
from ..data.dataset import Dataset, Records
from ..data.schema import Schema
from ..errors import ParamsError, TrainingError
from ..evaluation.metrics import ABOVE_0, SHARE, bounds_of, metrics_of, scores_of
from ..evaluation.predict import fewer, judged
from ..evaluation.reconstruction.metrics import tell
from ..models.serialization import Saved

OTHER_LOSSES = ("training.loss", "training.tasks", "training.imbalance", "training.base")
"""Keys that change what a validation loss means."""


class Goal(NamedTuple):
    """A score: name, which way is better, and what of an epoch's metrics stands for it; "" if nothing does."""

    name: str
    better: Literal["higher", "lower"]
    epoch: str

    @property
    def sign(self) -> int:
        """What a score is multiplied by so that more is better."""
        return 1 if self.better == "higher" else -1

    def of_epoch(self, metrics: Mapping[str, float]) -> float:
        """Return how good an epoch is, more being better; NaN if it was not looked at."""
        value = metrics.get(self.epoch, float("nan"))
        return value if self.epoch == "val/accuracy" else -value


def goal_of(name: str, model: Model, schema: Schema, study: Study, tried: Sequence[str] = ()) -> Goal:
    """Return the goal of a study.

    tried: keys of which it tries values.

    Raises:
        ParamsError: `study.metric` is no metric of the model's task.
    """
    goals = goals_of(model, schema)
    if study.metric != "auto" and study.metric not in goals:
        raise ParamsError(
            f"models.{name}.study.metric must be auto or one of {', '.join(goals)}, but is {study.metric!r}; mend it"
        )
    goal = goals[next(iter(goals)) if study.metric == "auto" else study.metric]
    blind = goal.epoch == "val/loss" and any(key.startswith(OTHER_LOSSES) for key in tried)
    return goal._replace(epoch="") if blind else goal


def goals_of(model: Model, schema: Schema) -> dict[str, Goal]:
    """Return every score that a model can be searched by, its leading one first."""
    match model.network:
        case Gan() | Cyclegan():
            name = "translation" if isinstance(model.network, Cyclegan) else "kid" if model.lender else "energy"
            return {name: Goal(name, "lower", f"val/{name}")}
        case Autoencoder(purpose=Detect(normal=(_, *_))):
            return {"auroc": Goal("auroc", "higher", "val/loss"), "mse": Goal("mse", "lower", "val/loss")}
        case Autoencoder():
            return {"mse": Goal("mse", "lower", "val/loss")}
    # of a lone target: of others the loss of an epoch is of all together
    accuracy = not schema.also and schema.task == "classification"
    return {
        metric.name: Goal(
            metric.name, metric.better, "val/accuracy" if accuracy and "accuracy" in metric.name else "val/loss"
        )
        for metric in metrics_of(schema)
    }


def bounds(model: Model, schema: Schema) -> dict[str, tuple[float, float]]:
    """Return between which values scores of a model always lie, of those of which that is known."""
    match model.network:
        case Gan() | Cyclegan():
            return {}
        case Autoencoder():
            return {"auroc": SHARE, "mse": ABOVE_0}
    return bounds_of(schema)


RUNS = 30
"""Of which the latency is the median."""


def scores(
    model: Model, saved: Saved, held: Records, epochs: Sequence[Mapping[str, float]], kept: int
) -> dict[str, float]:
    """Return every score of a trained model on rows held out.

    epochs: what each measured; kept: the one whose weights it has, from 1.

    Raises:
        TrainingError: a prediction is not finite.
    """
    match model.network:
        case Gan() | Cyclegan():
            (goal,) = goals_of(model, saved.schema).values()
            return {goal.name: float(epochs[kept - 1][goal.epoch])}
        case Autoencoder() as network:
            return _of_records(network, saved, held)
    records = fewer(saved, held)
    return scores_of(saved.schema, records, judged(saved, records))


def _of_records(network: Autoencoder, saved: Saved, held: Records) -> dict[str, float]:
    errors = tell(saved.model, held.x).errors
    if not np.isfinite(errors).all():
        raise TrainingError("errors of records must be finite, but are not; lower training.optimizer.lr")
    if not isinstance(network.purpose, Detect) or not network.purpose.normal:
        return {"mse": float(errors.mean())}
    odd = ~np.isin(held.y, [saved.schema.classes.index(each) for each in network.purpose.normal])
    return {"auroc": float(roc_auc_score(odd, errors)), "mse": float(errors[~odd].mean())}


def parameters(saved: Saved) -> float:
    """Return how many weights a network has."""
    return float(sum(weight.numel() for weight in saved.model.network.parameters()))


def latency(saved: Saved, dataset: Dataset) -> float:
    """Return the time that one row takes on a CPU, median of `RUNS`, in milliseconds."""
    row = torch.from_numpy(np.array(dataset.validation.x[:1]))
    seconds = []
    with torch.inference_mode():
        for _ in range(RUNS):
            started = time.perf_counter()
            saved.model(row)
            seconds.append(time.perf_counter() - started)
    return median(seconds) * 1000
