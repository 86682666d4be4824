"""The scores of a trained model on rows held out, what it weighs and how long it takes."""

import time
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from ..config.models import Model
from ..config.networks.autoencoder import Autoencoder, Detect
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..data.dataset import Dataset, Records
from ..errors import TrainingError
from ..evaluation.metrics import scores_of
from ..evaluation.predict import fewer, judged
from ..evaluation.reconstruction.metrics import tell
from ..models.serialization import Saved
from .goals import goals_of

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
