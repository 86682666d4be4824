"""Evaluate a generator: compare generated samples with real ones, next to a baseline of real samples of another split.

Metrics in the feature space of a reference classifier are not comparable with those of another classifier or with
published values.
Shapes: n rows, k classes.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ...data.dataset import SPLITS, Array, Dataset, Split
from ...data.decoding import match_schema, to_frame
from ...data.schema import Schema
from ...models.feature_extractor import ReferenceClassifier
from ...models.serialization import TrainedModel
from ...training.diagnostics.summary import Measurements
from ..report import EvaluationReport
from ..tables import gradient_table
from .metrics import c2st, distribution_scores, entropy, linear_classifier_accuracy, tree_regressor_r2
from .plots import PLOT_FUNCTIONS, build_sample_plots
from .samples import (
    ExtractedFeatures,
    FeatureExtractor,
    concatenate_features,
    generate,
    generate_batches,
    is_conditional,
    preprocess_samples,
    sample_noise,
    target_of_samples,
)
from .tabular import TabularSample, column_histograms, column_shapes, memorization

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_ROWS = 10_000
"""Maximum number of real rows per split that are compared, and of samples generated for each split."""

BASELINE_SPLITS = {"test": "validation", "validation": "test", "train": "validation"}
"""Split -> the split whose real rows take the place of generated samples in the baseline."""

SHORT_SPLIT_NAMES = {"test": "test", "validation": "val", "train": "train"}
"""Split -> its name in scores."""

N_STANDARD_ERRORS = 2
"""Number of standard errors by which a reference classifier must exceed the majority class."""

BASELINE_KEY = "{}_real"
"""Key of the baseline of a metric: its value for real rows in place of generated samples."""

METRIC_DESCRIPTIONS = {
    "energy_distance": "energy distance divided by the mean distance of two real rows; 0 is best",
    "fid": "Frechet distance; lower is better",
    "kid": "kernel distance; lower is better",
    "precision": "fraction of samples within the real distribution; higher is better",
    "recall": "fraction of real rows within the generated distribution; higher is better",
    "density": "density of real rows around samples, relative to that around real rows; 1 is good",
    "coverage": "fraction of real rows with a sample nearby; higher is better",
    "c2st": "accuracy of a linear classifier of real and generated samples; 0.5 is best",
    "c2st_trees": "accuracy of boosted trees that classify real and generated samples; 0.5 is best",
    "class_entropy": "bits, entropy of the predicted classes",
    "class_accuracy": "fraction of samples whose predicted class is their label; higher is better",
    "tstr": "accuracy or R2 on real rows of a model trained on generated samples only; higher is better",
    "wasserstein": "mean Wasserstein distance of numeric columns, in standard deviations; lower is better",
    "total_variation": "mean total variation distance of categorical columns; lower is better",
    "correlation_difference": "mean absolute difference of feature correlations; lower is better",
    "dcr": "median distance to the closest training row; far below that of real rows indicates memorization",
    "exact_copies": "fraction of samples that equal a training row",
}


class GeneratedSamples(NamedTuple):
    """Generated samples: raw (n, ...), not stored for images; labels that they are conditioned on, (n,) or (0,).

    y: the labels, or the primary targets generated with the rows of a table, (n,); empty without either.
    """

    records: Array
    labels: Array
    features: ExtractedFeatures
    y: Array


class GenerationComparison(NamedTuple):
    """Real rows of each split with their features, and as many generated samples with the same class counts.

    featurize: returns preprocessed features of raw samples; with `hide_target=True` their targets are hidden.
    """

    real: dict[str, Split]
    real_features: dict[str, ExtractedFeatures]
    generated: dict[str, GeneratedSamples]
    schema: Schema
    featurize: Callable[..., Array]


def evaluate_generator(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    measurements: Measurements,
    reference: ReferenceClassifier | None,
) -> EvaluationReport:
    """Return the report of a GAN; see `evaluate`."""
    seed, dataset = int(trained_model.metadata["params"]["seed"]), match_schema(dataset, trained_model.schema)
    comparison = build_comparison(trained_model, dataset, reference, seed)
    scores = {
        SHORT_SPLIT_NAMES[split]: compute_scores(comparison, split, seed) for split in ("test", "validation", "train")
    }
    tables = _build_tables(trained_model, history, measurements, comparison)
    if trained_model.schema.kind == "images" or reference:  # during training, tables are compared by other features
        baselines = [BASELINE_KEY.format(metric) for metric in ("energy_distance", "kid")]
        tables["learning_curve"] = tables["learning_curve"].assign(**{key: scores["val"][key] for key in baselines})
    plots: dict[str, Callable[[], Figure]] = {
        each: partial(PLOT_FUNCTIONS[each], table, name) for each, table in tables.items()
    }
    plots |= build_sample_plots(name, trained_model, comparison.generated["test"].records, dataset.test.x, seed)
    summary = [
        *format_scores(scores["test"]),
        *reference_warnings(comparison, reference),
        describe_reference(reference),
    ]
    return EvaluationReport(scores, _prediction_table(trained_model, comparison), tables, plots, summary)


def build_comparison(
    trained_model: TrainedModel, dataset: Dataset, reference: ReferenceClassifier | None, seed: int
) -> GenerationComparison:
    """Generate as many samples as each split has rows, and extract the features of both.

    Images are generated and processed batch by batch and not stored.
    """
    extractor, schema = FeatureExtractor(trained_model, reference), trained_model.schema
    real, generated = {}, {}
    for i, split in enumerate(SPLITS):
        rows = dataset.splits()[split]
        real[split] = rows.take(np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_ROWS]))
        labels = np.asarray(real[split].y) if is_conditional(trained_model) else np.arange(0)
        z = sample_noise(trained_model, len(real[split]), seed + i, labels)
        if schema.kind == "images":
            features = concatenate_features(map(extractor, generate_batches(trained_model, z)))
            generated[split] = GeneratedSamples(np.zeros((0, *schema.shape)), labels, features, labels)
        else:
            records = generate(trained_model, z)
            y = labels if len(labels) else target_of_samples(records, schema)
            generated[split] = GeneratedSamples(records, labels, extractor(records), y)
    real_features = {split: extractor(rows.x) for split, rows in real.items()}
    return GenerationComparison(real, real_features, generated, schema, partial(preprocess_samples, trained_model))


def compute_scores(comparison: GenerationComparison, split: str, seed: int) -> dict[str, float]:
    """Return the metrics of a split, each followed by its baseline."""
    other = BASELINE_SPLITS[split]
    real, generated = comparison.real_features[split], comparison.generated[split]
    held_out = comparison.real_features[other]
    scores = distribution_scores(real.values, generated.features.values, seed)
    baselines = distribution_scores(real.values, held_out.values, seed)
    if len(real.predicted_classes):
        scores["class_entropy"] = entropy(_class_proportions(generated.features.predicted_classes))
        baselines["class_entropy"] = entropy(_class_proportions(real.predicted_classes))
    if len(generated.y) and len(real.predicted_classes):
        scores["class_accuracy"] = float((generated.features.predicted_classes == generated.y).mean())
        baselines["class_accuracy"] = float((held_out.predicted_classes == comparison.real[other].y).mean())
    if len(generated.y):
        real_split = "train" if split != "train" else other
        scores["tstr"], baselines["tstr"] = _train_on_synthetic(comparison, split, real_split)
    if comparison.schema.kind == "table":
        tables = {name: TabularSample(rows.x, comparison.featurize(rows.x)) for name, rows in comparison.real.items()}
        samples = TabularSample(generated.records, comparison.featurize(generated.records))
        scores["c2st_trees"] = c2st(tables[split].features, samples.features, seed, use_trees=True)
        baselines["c2st_trees"] = c2st(tables[split].features, tables[other].features, seed, use_trees=True)
        scores |= column_shapes(comparison.schema, tables[split], samples) | memorization(samples, tables["train"])
        unseen = tables[other if split == "train" else split]
        baselines |= column_shapes(comparison.schema, tables[split], tables[other])
        baselines |= memorization(unseen, tables["train"])
    return {
        key: value
        for name, score in scores.items()
        for key, value in ((name, score), (BASELINE_KEY.format(name), baselines[name]))
    }


def _train_on_synthetic(comparison: GenerationComparison, split: str, real_split: str) -> tuple[float, float]:
    """Return the scores on a split of a model trained on generated samples and of one trained on `real_split`."""
    generated, y_test = comparison.generated["train"], comparison.real[split].y
    score = linear_classifier_accuracy if comparison.schema.classes else tree_regressor_r2
    if comparison.schema.kind == "table":
        featurize = partial(comparison.featurize, hide_target=True)
        x_test = featurize(comparison.real[split].x)
        x_generated, x_real = featurize(generated.records), featurize(comparison.real[real_split].x)
    else:
        x_test = comparison.real_features[split].values
        x_generated, x_real = generated.features.values, comparison.real_features[real_split].values
    return (
        score(x_generated, generated.y, x_test, y_test),
        score(x_real, comparison.real[real_split].y, x_test, y_test),
    )


def _class_proportions(classes: Array) -> Array:
    """Return the proportion of each class that occurs in classes (n,)."""
    return np.unique(classes, return_counts=True)[1] / len(classes)


def _build_tables(
    trained_model: TrainedModel, history: pd.DataFrame, measurements: Measurements, comparison: GenerationComparison
) -> dict[str, pd.DataFrame]:
    metrics = ("train/discriminator", "train/generator", "val/energy_distance", "val/kid", "val/diversity")
    columns = {"epoch": history["epoch"], **{name.partition("/")[2]: history[name] for name in metrics}}
    tables = {"learning_curve": pd.DataFrame(columns), "gradients": gradient_table(measurements)}
    real, generated = comparison.real_features["test"], comparison.generated["test"]
    if len(real.predicted_classes):
        names = trained_model.schema.classes
        proportions = {
            key: np.bincount(classes, minlength=len(names)) / len(classes)
            for key, classes in (
                ("real", real.predicted_classes),
                ("generated", generated.features.predicted_classes),
            )
        }
        tables["class_proportions"] = pd.DataFrame({"class": names, **proportions})
    if trained_model.schema.kind == "table":
        rows = comparison.real["test"].x, generated.records
        tables["column_histograms"] = column_histograms(trained_model.schema, *rows)
    return tables


def _prediction_table(trained_model: TrainedModel, comparison: GenerationComparison) -> pd.DataFrame:
    """Return one row per sample: its label and predicted class; of a table, the generated rows themselves."""
    names = np.array(trained_model.schema.classes)
    if trained_model.schema.kind == "table":
        generated = comparison.generated["train"]
        return to_frame(generated.records, generated.labels, trained_model.schema)
    generated = comparison.generated["test"]
    frame = pd.DataFrame({"row": np.arange(len(generated.features.values))})
    if len(generated.labels):
        frame["label"] = names[generated.labels]
    if len(generated.features.predicted_classes):
        frame["predicted_class"] = names[generated.features.predicted_classes]
    return frame


def format_scores(scores: dict[str, float]) -> list[str]:
    """Return one line per metric, with its baseline and description."""
    return [
        f"{name} {scores[name]:.4f}, real rows {scores[BASELINE_KEY.format(name)]:.4f} ({description})"
        for name, description in METRIC_DESCRIPTIONS.items()
        if name in scores
    ]


def reference_warnings(comparison: GenerationComparison, reference: ReferenceClassifier | None) -> list[str]:
    """Return a warning if the reference classifier is no better than the majority class on real test rows."""
    predicted, y = comparison.real_features["test"].predicted_classes, comparison.real["test"].y
    if reference is None or not len(predicted):
        return []
    accuracy, majority = float((predicted == y).mean()), float(_class_proportions(y).max())
    if accuracy > majority + N_STANDARD_ERRORS * np.sqrt(majority * (1 - majority) / len(y)):
        return []
    return [
        f"the reference classifier {reference.model_name} is no better than chance: its accuracy on real test rows is"
        f" {accuracy:.4f}, the largest class has a share of {majority:.4f}; metrics computed with it are not meaningful"
    ]


def describe_reference(reference: ReferenceClassifier | None) -> str:
    """Return a line that names the feature space of the comparison."""
    space = (
        f"in the feature space of {reference.model_name} ({reference.digest[:12]})"
        if reference
        else "on preprocessed features"
    )
    return f"samples are compared {space}; results depend on the feature extractor"
