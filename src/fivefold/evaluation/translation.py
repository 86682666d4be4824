"""Evaluate an image translator (CycleGAN): realism of translated images and consistency of cycles.

Names that end in `_to_a` refer to translations into the first class, those in `_to_b` into the second.
Shapes: n images, c channels, h x w pixels.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..data.dataset import SPLITS, Array, Dataset, Split
from ..models.feature_extractor import ReferenceClassifier, kid
from ..models.serialization import TrainedModel
from ..plotting import make_figure, set_title
from .generation.report import BASELINE_KEY, BASELINE_SPLITS, MAX_ROWS, SHORT_SPLIT_NAMES
from .generation.samples import ExtractedFeatures, FeatureExtractor, iterate_batches
from .image_plots import plot_image_rows
from .report import EvaluationReport

PIXEL_RANGE = 255
"""Difference of the largest and the smallest pixel value."""

DIRECTIONS = ("to_a", "to_b")
"""Suffixes of metrics and names of plots, by index of the target class."""

VALIDATION_METRICS = {
    "kid": "KID, relative to that of the two classes",
    "cycle_l1": "cycle L1, pixels from 0 to 1",
    "diversity": "diversity, 1 for real images",
}
"""Validation metric -> its label in the plot of the learning curve."""

HISTORY_COLUMNS = (
    "train/generator",
    "train/discriminator_a",
    "train/discriminator_b",
    *[f"val/{name}" for name in VALIDATION_METRICS],
)
"""Columns of the history that the learning curve shows."""

METRIC_DESCRIPTIONS = {
    "target_rate": "fraction that the reference classifier assigns to the target class; higher is better",
    "cycle_l1": "absolute error of a cycle, pixels from 0 to 1; lower is better",
    "identity_l1": "absolute change of images translated into their own class; lower is better",
    "kid": "kernel distance from real images of the target class; lower is better",
}


class TranslationDirection(NamedTuple):
    """Images of one class translated into the other, with raw pixels.

    Attributes:
        sources: Rows of the source class.
        targets: Rows of the target class.
        target_features: Features of `targets`.
        translated: `sources` translated into the target class.
        translated_features: Features of `translated`.
        cycled: `translated` translated back into the source class.
        identity: `targets` translated into their own class.
    """

    sources: Split
    targets: Split
    target_features: ExtractedFeatures
    translated: Array
    translated_features: ExtractedFeatures
    cycled: Array
    identity: Array

    @property
    def cycle_l1(self) -> Array:
        """Mean absolute difference of sources and cycled images, (n,), for pixels from 0 to 1."""
        return _pixel_l1(self.cycled, self.sources.x)

    @property
    def identity_l1(self) -> Array:
        """Mean absolute difference of targets and their identity translation, (n,), for pixels from 0 to 1."""
        return _pixel_l1(self.identity, self.targets.x)


DirectionPair = tuple[TranslationDirection, TranslationDirection]
"""Translations into the first class and into the second."""


def evaluate_translator(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    reference: ReferenceClassifier | None,
) -> EvaluationReport:
    """Return the report of a CycleGAN; see `evaluate`."""
    extractor, seed = FeatureExtractor(trained_model, reference), int(trained_model.metadata["params"]["seed"])
    translations: dict[str, DirectionPair] = {}
    for split in SPLITS:
        rows = dataset.splits()[split]
        rows = rows.take(np.sort(np.random.default_rng(seed).permutation(len(rows))[:MAX_ROWS]))
        translations[split] = translate_both_directions(trained_model, rows, extractor)
    scores = {
        SHORT_SPLIT_NAMES[split]: _compute_scores(translations[split], translations[BASELINE_SPLITS[split]])
        for split in ("test", "validation", "train")
    }
    learning_curve = pd.DataFrame(
        {"epoch": history["epoch"], **{key.partition("/")[2]: history[key] for key in HISTORY_COLUMNS}}
    )
    plots: dict[str, Callable[[], Figure]] = {"learning_curve": partial(plot_learning_curve, learning_curve, name)}
    classes = trained_model.schema.classes
    for direction, translation, target_class in zip(DIRECTIONS, translations["test"], classes, strict=True):
        plots[direction] = partial(plot_translations, name, translation, target_class)
    return EvaluationReport(
        scores,
        _prediction_table(trained_model, translations["test"]),
        {"learning_curve": learning_curve},
        plots,
        _summary_lines(scores["test"], classes, reference),
    )


def translate_both_directions(
    trained_model: TrainedModel, split: Split, extractor: FeatureExtractor
) -> tuple[TranslationDirection, TranslationDirection]:
    """Return the rows of the second class translated into the first, and those of the first into the second."""
    first, second = (split.take(np.flatnonzero(np.asarray(split.y) == i)) for i in range(2))
    features = [extractor(rows.x) for rows in (first, second)]
    directions = []
    for target_index, (sources, targets) in enumerate(((second, first), (first, second))):
        translated, cycled = translate_images(trained_model, sources.x, target_index)
        identity, _ = translate_images(trained_model, targets.x, target_index)
        translated_features = extractor(translated)
        directions.append(
            TranslationDirection(
                sources, targets, features[target_index], translated, translated_features, cycled, identity
            )
        )
    return directions[0], directions[1]


@torch.inference_mode()
def translate_images(trained_model: TrainedModel, x: Array, target_index: int) -> tuple[Array, Array]:
    """Return raw images x (n, c, h, w) translated into the class `target_index`, and these translated back.

    Images are translated back from the generator's output, before pixels are clipped to their range.
    """
    preprocess, inverse = trained_model.model.preprocess, trained_model.model.head.get_submodule("inverse")
    forward, backward = (
        trained_model.model.network.get_submodule(f"generator.by_target.{i}") for i in (target_index, 1 - target_index)
    )
    batches = []
    for batch in iterate_batches(x):
        output = forward(preprocess(batch))
        batches.append((inverse(output), inverse(backward(output))))
    translated, cycled = (torch.cat(images).numpy() for images in zip(*batches, strict=True))
    return translated, cycled


def _pixel_l1(translated: Array, expected: Array) -> Array:
    return np.asarray(np.abs(translated - expected.astype(np.float32)).mean(axis=(1, 2, 3)) / PIXEL_RANGE)


def plot_translations(model_name: str, direction: TranslationDirection, target_class: str) -> Figure:
    """Plot test images, their translations into the target class, and these translated back."""
    labeled_images = {
        "original": direction.sources.x.astype(np.float64),
        "translated": direction.translated,
        "cycled": direction.cycled,
    }
    return plot_image_rows(f"{model_name}: test images, translated to {target_class}, and cycled", labeled_images)


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Plot the losses of generator and discriminators, and validation metrics, by epoch."""
    fig, first = make_figure(6.0, 5.0)
    first.remove()
    losses, metrics = fig.subplots(2, 1, sharex=True)
    for network in table.columns.drop(["epoch", *VALIDATION_METRICS]):
        losses.plot(table.epoch, table[network], label=network.replace("_", " "))
    validated = table.dropna()
    for metric, label in VALIDATION_METRICS.items():
        metrics.plot(validated.epoch, validated[metric], marker=".", label=label)
    losses.set(ylabel="loss")
    metrics.set(xlabel="epoch")
    metrics.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (losses, metrics):
        axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: adversarial losses and validation metrics")
    return fig


def _compute_scores(translations: DirectionPair, baseline: DirectionPair) -> dict[str, float]:
    """Return the metrics of a split, means of both directions first; baseline: the split that real images come from."""
    by_direction = [
        _direction_scores(translations[i], translations[1 - i].target_features, baseline[i].target_features, i)
        for i in range(2)
    ]
    means = {name: (by_direction[0][name] + by_direction[1][name]) / 2 for name in by_direction[0]}
    return means | {
        f"{name}_{direction}": value
        for direction, scores in zip(DIRECTIONS, by_direction, strict=True)
        for name, value in scores.items()
    }


def _direction_scores(
    direction: TranslationDirection,
    source_features: ExtractedFeatures,
    baseline_features: ExtractedFeatures,
    target_index: int,
) -> dict[str, float]:
    """Return the metrics of translations into a class.

    Baselines are the metrics of real images of that class, for KID those of another split. `kid_source` is the KID of
    untranslated source images.
    """
    target = direction.target_features
    scores = {
        "cycle_l1": float(direction.cycle_l1.mean()),
        "kid": _kid(target, direction.translated_features),
        BASELINE_KEY.format("kid"): _kid(target, baseline_features),
        "kid_source": _kid(target, source_features),
        "identity_l1": float(direction.identity_l1.mean()),
    }
    if not len(target.predicted_classes):
        return scores
    target_rate, real_rate = (
        float((features.predicted_classes == target_index).mean())
        for features in (direction.translated_features, target)
    )
    return {"target_rate": target_rate, **scores, BASELINE_KEY.format("target_rate"): real_rate}


def _kid(real: ExtractedFeatures, generated: ExtractedFeatures) -> float:
    return kid(torch.from_numpy(real.values), torch.from_numpy(generated.values))


def _prediction_table(trained_model: TrainedModel, translations: DirectionPair) -> pd.DataFrame:
    """Return one row per image: its class, the target class, the predicted class and the error of the cycle."""
    names = np.array(trained_model.schema.classes)
    frames = []
    for i, direction in enumerate(translations):
        columns = {"row": direction.sources.rows, "source_class": names[1 - i], "target_class": names[i]}
        predicted = direction.translated_features.predicted_classes
        if len(predicted):
            columns["predicted_class"] = names[predicted]
        frames.append(pd.DataFrame({**columns, "cycle_l1": direction.cycle_l1}))
    return pd.concat(frames).sort_values("row", ignore_index=True)


def _summary_lines(
    scores: dict[str, float], classes: tuple[str, ...], reference: ReferenceClassifier | None
) -> list[str]:
    lines = []
    for name, description in METRIC_DESCRIPTIONS.items():
        if name not in scores:
            continue
        by_direction = ", ".join(
            f"to {target_class} {scores[f'{name}_{direction}']:.4f}"
            for direction, target_class in zip(DIRECTIONS, classes, strict=True)
        )
        baseline = BASELINE_KEY.format(name)
        real = f"; real images {scores[baseline]:.4f}" if baseline in scores else ""
        lines.append(f"{name} {scores[name]:.4f}, {by_direction}{real} ({description})")
    space = (
        f"in the feature space of {reference.model_name} ({reference.digest[:12]})"
        if reference
        else "on pixels, because there is no reference classifier"
    )
    return [*lines, f"images are compared {space}"]
