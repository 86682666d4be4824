"""Evaluate a trained model: choose the report by model family, and evaluate supervised models."""

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
from .metrics import NAIVE_METRICS, compute_scores, metrics_for_task
from .plots import PLOT_FUNCTIONS
from .predict import predict_for_metrics, subsample_for_scoring
from .reconstruction.report import evaluate_autoencoder
from .report import EvaluationReport
from .tables import build_tables, gradient_table, prediction_table
from .translation import evaluate_translator


def evaluate(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    measurements: Measurements,
    reference: ReferenceClassifier | None = None,
) -> EvaluationReport:
    """Return the report of model `name` on its training, validation and test rows.

    Args:
        name: Name of the model in params.yaml, shown in plot titles.
        trained_model: The model to evaluate.
        dataset: The dataset that it was trained on.
        history: Metrics by epoch, one row per epoch, as written by train.
        measurements: Training diagnostics by kind, layer and epoch.
        reference: Classifier whose feature space generated and real samples are compared in.
    """
    match trained_model.network_config:
        case Gan():
            return evaluate_generator(name, trained_model, dataset, history, measurements, reference)
        case Cyclegan():
            return evaluate_translator(name, trained_model, dataset, history, reference)
        case Autoencoder():
            return evaluate_autoencoder(name, trained_model, dataset, history, measurements, reference)
    return evaluate_supervised(name, trained_model, dataset, history, measurements)


def evaluate_supervised(
    name: str, trained_model: TrainedModel, dataset: Dataset, history: pd.DataFrame, measurements: Measurements
) -> EvaluationReport:
    """Return the report of a classifier, regressor, forecaster or language model; see `evaluate`."""
    schema, test = trained_model.schema, dataset.test
    p = predict_for_metrics(trained_model, test)
    scores = {"test": compute_scores(schema, test, p)}
    for short, split in (("val", dataset.validation), ("train", dataset.train)):
        rows = subsample_for_scoring(trained_model, split)
        scores[short] = compute_scores(schema, rows, predict_for_metrics(trained_model, rows))
    tables = build_tables(schema, test, p, history) | {"gradients": gradient_table(measurements)}
    plots = {each: partial(PLOT_FUNCTIONS[each], table, name) for each, table in tables.items()}
    return EvaluationReport(
        scores, prediction_table(schema, test, p), tables, plots, [*format_scores(schema, scores["test"])]
    )


def format_scores(schema: Schema, scores: Mapping[str, float]) -> Iterator[str]:
    """Yield one line per score of `compute_scores`, with its unit and direction or its nominal value."""
    for target in target_specs(schema):
        for metric in metrics_for_task(target.schema):
            name = target.prefix + metric.name
            yield f"{name} {scores[name]:.4f} ({metric.unit}, {metric.direction} is better)"
    if schema.quantiles:
        nominal = schema.quantiles[-1] - schema.quantiles[0]
        yield f"pinball {scores['pinball']:.4f} (unit of the target, lower is better)"
        yield f"coverage {scores['coverage']:.4f} (fraction of values, nominal {nominal:.4g})"
    for name in NAIVE_METRICS:
        if name in scores:
            yield f"{name} {scores[name]:.4f} (naive baseline)"
