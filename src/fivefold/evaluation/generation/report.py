"""The report of a generator: how like real rows its records are, beside how like them other real rows are.

What a judge of our own sees compares neither with what other judges see, nor with numbers that others publish.
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
from . import plots as pictures
from .metrics import c2st, distribution_scores, entropy, linear_classifier_accuracy, tree_regressor_r2
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
"""Real rows of a set that are compared at most, and records that are made to compare with them."""

BASELINE_SPLITS = {"test": "validation", "validation": "test", "train": "validation"}
"""A set, and the real rows that are compared with it in place of records: the floor."""

SHORT_SPLIT_NAMES = {"test": "test", "validation": "val", "train": "train"}

N_STANDARD_ERRORS = 2
"""Standard errors by which a judge must be better than guessing."""

BASELINE_KEY = "{}_floor"
"""A score of real rows in place of records."""

METRIC_DESCRIPTIONS = {
    "energy_distance": "energy distance, in the mean distance of two real rows; 0 is best",
    "fid": "Frechet distance; lower is better",
    "kid": "kernel distance; lower is better",
    "precision": "share of records that are like real rows; higher is better",
    "recall": "share of real rows that are like records; higher is better",
    "density": "real rows that a record is like, in those that a real one is like; 1 is good",
    "coverage": "share of real rows with a record near them; higher is better",
    "two_sample": "share that a linear classifier tells from real rows; 0.5 is best",
    "two_sample_trees": "share that boosted trees tell from real rows; 0.5 is best",
    "entropy": "bits, of the classes that the judge sees",
    "agreement": "share in which the judge sees the class that was asked for; higher is better",
    "taught": "accuracy on real rows, of values R2, of what learnt from records alone; higher is better",
    "wasserstein": "mean distance of a number's distributions, in deviations; lower is better",
    "variation": "mean share of rows that another category would have to have; lower is better",
    "correlation": "mean difference of the correlation of two features; lower is better",
    "nearest": "median distance from the nearest training row; far below that of real rows it is learnt by heart",
    "copies": "share of records that equal a training row",
}


class GeneratedSamples(NamedTuple):
    """Records that were made: raw (n, ...), of images none; classes asked for, (n,) or (0,); what is seen in them.

    y: classes asked for, or a table's leading targets as they were made, (n,); empty if there are neither.
    """

    records: Array
    labels: Array
    features: ExtractedFeatures
    y: Array


class GenerationComparison(NamedTuple):
    """Real rows of each set, what is seen in them, and as many records with classes as often.

    features: of raw records, their targets hidden if asked to.
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
    """Score model `name` on the rows it was trained, chosen and tested with, as `judge` sees them."""
    seed, dataset = int(trained_model.metadata["params"]["seed"]), match_schema(dataset, trained_model.schema)
    compared = build_comparison(trained_model, dataset, reference, seed)
    scores = {SHORT_SPLIT_NAMES[part]: compute_scores(compared, part, seed) for part in ("test", "validation", "train")}
    tables = _build_tables(trained_model, history, measurements, compared)
    if trained_model.schema.kind == "images" or reference:  # a training compares rows of a table by other features
        least = {
            BASELINE_KEY.format(each): scores["val"][BASELINE_KEY.format(each)] for each in ("energy_distance", "kid")
        }
        tables["learning_curve"] = tables["learning_curve"].assign(**least)
    drawn: dict[str, Callable[[], Figure]] = {
        each: partial(pictures.PLOT_FUNCTIONS[each], table, name) for each, table in tables.items()
    }
    drawn |= pictures.build_sample_plots(name, trained_model, compared.generated["test"].records, dataset.test.x, seed)
    return EvaluationReport(
        scores,
        _prediction_table(trained_model, compared),
        tables,
        drawn,
        _summary_lines(scores["test"], compared, reference),
    )


def build_comparison(
    trained_model: TrainedModel, dataset: Dataset, reference: ReferenceClassifier | None, seed: int
) -> GenerationComparison:
    """Make as many records as there are rows of each set, and return what `judge` sees in both.

    Images are made and looked at batch by batch, and not kept.
    """
    view, rows, made, schema = FeatureExtractor(trained_model, reference), {}, {}, trained_model.schema
    for i, part in enumerate(SPLITS):
        every = dataset.splits()[part]
        rows[part] = every.take(np.sort(np.random.default_rng(seed).permutation(len(every))[:MAX_ROWS]))
        asked = np.asarray(rows[part].y) if is_conditional(trained_model) else np.arange(0)
        z = sample_noise(trained_model, len(rows[part]), seed + i, asked)
        if schema.kind == "images":
            made[part] = GeneratedSamples(
                np.zeros((0, *schema.shape)),
                asked,
                concatenate_features(map(view, generate_batches(trained_model, z))),
                asked,
            )
        else:
            records = generate(trained_model, z)
            made[part] = GeneratedSamples(
                records, asked, view(records), asked if len(asked) else target_of_samples(records, schema)
            )
    seen = {part: view(each.x) for part, each in rows.items()}
    return GenerationComparison(rows, seen, made, schema, partial(preprocess_samples, trained_model))


def compute_scores(comparison: GenerationComparison, split: str, seed: int) -> dict[str, float]:
    """Return the scores of one set, each followed by its floor."""
    other = BASELINE_SPLITS[split]
    real, made, floor = comparison.real_features[split], comparison.generated[split], comparison.real_features[other]
    found = distribution_scores(real.values, made.features.values, seed)
    floors = distribution_scores(real.values, floor.values, seed)
    if len(real.predicted_classes):
        found["entropy"], floors["entropy"] = (
            entropy(_class_proportions(classes))
            for classes in (made.features.predicted_classes, real.predicted_classes)
        )
    if len(made.y) and len(real.predicted_classes):
        found["agreement"] = float((made.features.predicted_classes == made.y).mean())
        floors["agreement"] = float((floor.predicted_classes == comparison.real[other].y).mean())
    best = "train" if split != "train" else other
    if len(made.y):
        found["taught"], floors["taught"] = _train_on_synthetic(comparison, split, best)
    if comparison.schema.kind == "table":
        rows = {name: TabularSample(each.x, comparison.featurize(each.x)) for name, each in comparison.real.items()}
        theirs = TabularSample(made.records, comparison.featurize(made.records))
        for scores, each in ((found, theirs), (floors, rows[other])):
            scores["two_sample_trees"] = c2st(rows[split].features, each.features, seed, use_trees=True)
        found |= column_shapes(comparison.schema, rows[split], theirs) | memorization(theirs, rows["train"])
        held_out = rows[other if split == "train" else split]
        floors |= column_shapes(comparison.schema, rows[split], rows[other]) | memorization(held_out, rows["train"])
    pairs = ((name, value, floors[name]) for name, value in found.items())
    return {
        key: value for name, own, least in pairs for key, value in ((name, own), (BASELINE_KEY.format(name), least))
    }


def _train_on_synthetic(comparison: GenerationComparison, split: str, real_split: str) -> tuple[float, float]:
    """Return how well the rows of a set are told by what learnt from records, and from the real rows of set `best`."""
    teachers, truth = comparison.generated["train"], comparison.real[split].y
    score = linear_classifier_accuracy if comparison.schema.classes else tree_regressor_r2
    if comparison.schema.kind == "table":
        hidden = partial(comparison.featurize, hidden=True)
        asked, lessons = (
            hidden(comparison.real[split].x),
            (hidden(teachers.records), hidden(comparison.real[real_split].x)),
        )
    else:
        asked, lessons = (
            comparison.real_features[split].values,
            (teachers.features.values, comparison.real_features[real_split].values),
        )
    made, real = (
        score(lesson, y, asked, truth)
        for lesson, y in zip(lessons, (teachers.y, comparison.real[real_split].y), strict=True)
    )
    return made, real


def _class_proportions(classes: Array) -> Array:
    """Return how often each class is among (n,)."""
    return np.unique(classes, return_counts=True)[1] / len(classes)


def _build_tables(
    trained_model: TrainedModel, history: pd.DataFrame, measurements: Measurements, comparison: GenerationComparison
) -> dict[str, pd.DataFrame]:
    columns = {
        "epoch": history["epoch"],
        **{name.partition("/")[2]: history[name] for name in ("train/discriminator", "train/generator")},
        **{name.partition("/")[2]: history[name] for name in ("val/energy_distance", "val/kid", "val/diversity")},
    }
    tables = {"learning_curve": pd.DataFrame(columns), "gradients": gradient_table(measurements)}
    if len(comparison.real_features["test"].predicted_classes):
        k = len(trained_model.schema.classes)
        seen = (
            comparison.real_features["test"].predicted_classes,
            comparison.generated["test"].features.predicted_classes,
        )
        real, made = (np.bincount(classes, minlength=k) / len(classes) for classes in seen)
        tables["classes"] = pd.DataFrame({"class": trained_model.schema.classes, "real": real, "made": made})
    if trained_model.schema.kind == "table":
        rows = comparison.real["test"].x, comparison.generated["test"].records
        tables["columns"] = column_histograms(trained_model.schema, *rows)
    return tables


def _prediction_table(trained_model: TrainedModel, comparison: GenerationComparison) -> pd.DataFrame:
    """Return a row per record: the class that was asked for and the one that is seen; of a table whole rows."""
    names = np.array(trained_model.schema.classes)
    if trained_model.schema.kind == "table":
        made = comparison.generated["train"]
        return to_frame(made.records, made.labels, trained_model.schema)
    made = comparison.generated["test"]
    frame = pd.DataFrame({"row": np.arange(len(made.features.values))})
    if len(made.labels):
        frame["asked"] = names[made.labels]
    if len(made.features.predicted_classes):
        frame["seen"] = names[made.features.predicted_classes]
    return frame


def _summary_lines(
    scores: dict[str, float], comparison: GenerationComparison, reference: ReferenceClassifier | None
) -> list[str]:
    return [*format_scores(scores), *reference_warnings(comparison, reference), describe_reference(reference)]


def format_scores(scores: dict[str, float]) -> list[str]:
    """Return what a person is told of scores that stand beside their floors."""
    return [
        f"{each} {scores[each]:.4f}, of real rows {scores[BASELINE_KEY.format(each)]:.4f} ({unit})"
        for each, unit in METRIC_DESCRIPTIONS.items()
        if each in scores
    ]


def reference_warnings(comparison: GenerationComparison, reference: ReferenceClassifier | None) -> list[str]:
    """Return what a person is told of a judge that tells real test rows no better than their largest class would."""
    seen, truth = comparison.real_features["test"].predicted_classes, comparison.real["test"].y
    if reference is None or not len(seen):
        return []
    right, most = float((seen == truth).mean()), float(_class_proportions(truth).max())
    if right > most + N_STANDARD_ERRORS * np.sqrt(most * (1 - most) / len(truth)):
        return []
    return [
        f"the judge {reference.model_name} is no better than guessing: it tells {right:.4f} of real test rows, and their largest"
        f" class is {most:.4f} of them; scores by it say nothing"
    ]


def describe_reference(reference: ReferenceClassifier | None) -> str:
    """Return what a person is told of who compared."""
    by = f"as {reference.model_name} ({reference.digest[:12]}) sees them" if reference else "by their own features"
    return f"records are compared {by}; other judges see other numbers"
