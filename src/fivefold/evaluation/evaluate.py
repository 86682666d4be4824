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
from ..data.targets import target_specs
from ..models.feature_extractor import ReferenceClassifier
from ..models.serialization import TrainedModel
from ..training.diagnostics.summary import Measurements
from .generation.report import evaluate_generator
from .metrics import compute_scores, metrics_for_task
from .plots import PLOT_FUNCTIONS
from .predict import predict_for_metrics, subsample_for_scoring
from .reconstruction.report import evaluate_autoencoder
from .report import EvaluationReport
from .tables import build_tables, gradient_table, prediction_table
from .translation import evaluate_translator


def format_scores(schema: Schema, scores: Mapping[str, float]) -> Iterator[str]:
    """Yield each score of `scores_of` with its unit and direction; of quantiles how much they hold, and should."""
    for goal in target_specs(schema):
        for metric in metrics_for_task(goal.schema):
            name = goal.prefix + metric.name
            yield f"{name} {scores[name]:.4f} ({metric.unit}, {metric.direction} is better)"
    if schema.quantiles:
        held = schema.quantiles[-1] - schema.quantiles[0]
        yield f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)"
        yield f"coverage {scores['coverage']:.4f} (share of values, {held:.4g} is right)"
    for name in ("persistence_rmse", "seasonal_rmse"):
        if name in scores:
            yield f"{name} {scores[name]:.4f}, which needs no network"


def evaluate_supervised(
    name: str, trained_model: TrainedModel, dataset: Dataset, history: pd.DataFrame, measurements: Measurements
) -> EvaluationReport:
    """Score model `name` on the rows it was trained, chosen and tested with."""
    schema, test = trained_model.schema, dataset.test
    p = predict_for_metrics(trained_model, test)
    scores = {"test": compute_scores(schema, test, p)}
    for short, every in (("val", dataset.validation), ("train", dataset.train)):
        records = subsample_for_scoring(trained_model, every)
        scores[short] = compute_scores(schema, records, predict_for_metrics(trained_model, records))
    shown = build_tables(schema, test, p, history) | {"gradients": gradient_table(measurements)}
    pictures = {each: partial(PLOT_FUNCTIONS[each], table, name) for each, table in shown.items()}
    return EvaluationReport(
        scores, prediction_table(schema, test, p), shown, pictures, [*format_scores(schema, scores["test"])]
    )


def evaluate(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    measurements: Measurements,
    reference: ReferenceClassifier | None = None,
) -> EvaluationReport:
    """Return the report of model `name` on the rows it was trained, chosen and tested with.

    history: a row an epoch, as train wrote it. measured: what the doctor saw.
    expert: the classifier by which records that are made are compared with rows.
    """
    match trained_model.network_config:
        case Gan():
            return evaluate_generator(name, trained_model, dataset, history, measurements, reference)
        case Cyclegan():
            return evaluate_translator(name, trained_model, dataset, history, reference)
        case Autoencoder():
            return evaluate_autoencoder(name, trained_model, dataset, history, measurements, reference)
    return evaluate_supervised(name, trained_model, dataset, history, measurements)
