"""Score a model by what it is for.

What is said of a model's scores.

The report of a model that tells targets.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import pandas as pd

from ..config.networks.autoencoder import Autoencoder
from ..config.networks.cyclegan import Cyclegan
from ..config.networks.gan import Gan
from ..data.dataset import Dataset
from ..data.schema import Schema
from ..data.targets import goals
from ..models.feature_extractor import Expert
from ..models.serialization import Saved
from ..training.diagnostics.summary import Measured
from .generation.report import evaluate_generator
from .metrics import metrics_of, scores_of
from .plots import PICTURES
from .predict import fewer, judged
from .reconstruction.report import evaluate_autoencoder
from .report import Report
from .tables import gradients, predictions, tables
from .translation import evaluate_translator


def lines(schema: Schema, scores: Mapping[str, float]) -> Iterator[str]:
    """Yield each score of `scores_of` with its unit and direction; of quantiles how much they hold, and should."""
    for goal in goals(schema):
        for metric in metrics_of(goal.schema):
            name = goal.prefix + metric.name
            yield f"{name} {scores[name]:.4f} ({metric.unit}, {metric.better} is better)"
    if schema.levels:
        held = schema.levels[-1] - schema.levels[0]
        yield f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)"
        yield f"coverage {scores['coverage']:.4f} (share of values, {held:.4g} is right)"
    for name in ("persistence_rmse", "seasonal_rmse"):
        if name in scores:
            yield f"{name} {scores[name]:.4f}, which needs no network"


def evaluate_supervised(name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured) -> Report:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    schema, test = saved.schema, dataset.test
    p = judged(saved, test)
    scores = {"test": scores_of(schema, test, p)}
    for short, every in (("val", dataset.validation), ("train", dataset.train)):
        records = fewer(saved, every)
        scores[short] = scores_of(schema, records, judged(saved, records))
    shown = tables(schema, test, p, history) | {"gradients": gradients(measured)}
    pictures = {each: partial(PICTURES[each], table, name) for each, table in shown.items()}
    return Report(scores, predictions(schema, test, p), shown, pictures, [*lines(schema, scores["test"])])


def judge(
    name: str, saved: Saved, dataset: Dataset, history: pd.DataFrame, measured: Measured, expert: Expert | None = None
) -> Report:
    """Return the report of model `name` on the rows it was trained, chosen and tested with.

    history: a row an epoch, as train wrote it. measured: what the doctor saw.
    expert: the classifier by which records that are made are compared with rows.
    """
    match saved.network:
        case Gan():
            return evaluate_generator(name, saved, dataset, history, measured, expert)
        case Cyclegan():
            return evaluate_translator(name, saved, dataset, history, expert)
        case Autoencoder():
            return evaluate_autoencoder(name, saved, dataset, history, measured, expert)
    return evaluate_supervised(name, saved, dataset, history, measured)
