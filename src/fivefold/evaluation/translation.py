"""The report of a translator: whether translated images are taken for real ones, and whether they lead back.

Names that end in `_first` are of translations into the first class, those in `_second` of translations into the second.
Shapes: n images.

Pictures of translated images, and of how a translator came about.

Shapes: n images.

Images of both classes, translated, and what is seen in them.

Shapes: n images, c channels, h x w pixels.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

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

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXEL_RANGE = 255
"""Of pixels."""


class TranslationDirection(NamedTuple):
    """Images of one class translated into the other one, raw.

    sources: rows of the one. rows: those of the other, and seen: what is seen in them.
    made: the sources, translated, and made_seen: what is seen in those.
    back: what is made, translated back.
    same: what the generator that translates makes of `rows`, which are of its class already.
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
        """Mean absolute difference of each source from what is back, (n,), the range of pixels being 1."""
        return _pixel_l1(self.cycled, self.sources.x)

    @property
    def identity_l1(self) -> Array:
        """The same of each of `rows` from what is made of it, (n,)."""
        return _pixel_l1(self.identity, self.targets.x)


def translate_both_directions(
    trained_model: TrainedModel, split: Split, extractor: FeatureExtractor
) -> tuple[TranslationDirection, TranslationDirection]:
    """Return the rows of the second class translated into the first, and those of the first into the second."""
    first, second = (split.take(np.flatnonzero(np.asarray(split.y) == i)) for i in range(2))
    seen = [extractor(rows.x) for rows in (first, second)]
    found = []
    for into, (sources, rows) in enumerate(((second, first), (first, second))):
        made, back = translate_images(trained_model, sources.x, into)
        same, _ = translate_images(trained_model, rows.x, into)
        found.append(TranslationDirection(sources, rows, seen[into], made, extractor(made), back, same))
    return found[0], found[1]


@torch.inference_mode()
def translate_images(trained_model: TrainedModel, x: Array, target_index: int) -> tuple[Array, Array]:
    """Return what raw images x (n, c, h, w) are in the class of index `into`, and what that is in the other one, raw.

    What goes back is what the generator made, before pixels are brought within their range.
    """
    preprocess, undo = trained_model.model.preprocess, trained_model.model.head.get_submodule("inverse")
    there, back = (
        trained_model.model.network.get_submodule(f"generator.by_target.{i}") for i in (target_index, 1 - target_index)
    )
    found = []
    for part in iterate_batches(x):
        made = there(preprocess(part))
        found.append((undo(made), undo(back(made))))
    made, returned = (torch.cat(parts).numpy() for parts in zip(*found, strict=True))
    return made, returned


def _pixel_l1(translated: Array, expected: Array) -> Array:
    return np.asarray(np.abs(translated - expected.astype(np.float32)).mean(axis=(1, 2, 3)) / PIXEL_RANGE)


VALIDATION_METRICS = {
    "kid": "kernel distance, that of the two classes being 1",
    "cycle_l1": "cycle L1, pixels from 0 to 1",
    "diversity": "diversity, 1 is that of real rows",
}
"""What was measured of validation rows, and what it says."""


def plot_translations(model_name: str, direction: TranslationDirection, target_class: str) -> Figure:
    """Test images of a class, what they are in the other one, and what that is back."""
    shown = {"record": direction.sources.x.astype(np.float64), "there": direction.translated, "back": direction.cycled}
    return plot_image_rows(f"{model_name}: test rows, what they are as {target_class}, and what that is back", shown)


def plot_learning_curve(table: pd.DataFrame, model_name: str) -> Figure:
    """Losses of all players over epochs, and below them what was measured of validation rows."""
    fig, first = make_figure(6.0, 5.0)
    first.remove()
    above, below = fig.subplots(2, 1, sharex=True)
    for player in table.columns.drop(["epoch", *VALIDATION_METRICS]):
        above.plot(table.epoch, table[player], label=player.replace("_", ", "))
    seen = table.dropna()
    for measure, text in VALIDATION_METRICS.items():
        below.plot(seen.epoch, seen[measure], marker=".", label=text)
    above.set(ylabel="loss")
    below.set(xlabel="epoch")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.legend(fontsize="small")
    set_title(fig, f"{model_name}: the contest")
    return fig


DirectionPair = tuple[TranslationDirection, TranslationDirection]

DIRECTION_SUFFIXES = ("first", "second")

HISTORY_COLUMNS = (
    "train/generator",
    "train/discriminator_a",
    "train/discriminator_b",
    *[f"val/{name}" for name in VALIDATION_METRICS],
)

METRIC_DESCRIPTIONS = {
    "target_rate": "share that the judge takes for images of the class they are translated into; higher is better",
    "cycle_l1": "absolute difference after there and back, the range of pixels being 1; lower is better",
    "identity_l1": "absolute difference of images translated into their own class; lower is better",
    "kid": "kernel distance from images of the class they are translated into; lower is better",
}


def evaluate_translator(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    reference: ReferenceClassifier | None,
) -> EvaluationReport:
    """Score model `name` on the rows it was trained, chosen and tested with, as `judge` sees them."""
    view, seed = FeatureExtractor(trained_model, reference), int(trained_model.metadata["params"]["seed"])
    found: dict[str, DirectionPair] = {}
    for part in SPLITS:
        every = dataset.splits()[part]
        rows = every.take(np.sort(np.random.default_rng(seed).permutation(len(every))[:MAX_ROWS]))
        found[part] = translate_both_directions(trained_model, rows, view)
    scores = {
        SHORT_SPLIT_NAMES[part]: _compute_scores(found[part], found[BASELINE_SPLITS[part]])
        for part in ("test", "validation", "train")
    }
    learning = pd.DataFrame(
        {"epoch": history["epoch"], **{key.partition("/")[2]: history[key] for key in HISTORY_COLUMNS}}
    )
    drawn: dict[str, Callable[[], Figure]] = {"learning_curve": partial(plot_learning_curve, learning, name)}
    for side, there, label in zip(DIRECTION_SUFFIXES, found["test"], trained_model.schema.classes, strict=True):
        drawn[f"into_{side}"] = partial(plot_translations, name, there, label)
    lines = _summary_lines(scores["test"], trained_model.schema.classes, reference)
    return EvaluationReport(
        scores, _prediction_table(trained_model, found["test"]), {"learning_curve": learning}, drawn, lines
    )


def _compute_scores(translations: DirectionPair, baseline: DirectionPair) -> dict[str, float]:
    """Return the scores of one set, means of both directions first; beside: another set, for what real rows score."""
    each = [
        _direction_scores(translations[i], translations[1 - i].target_features, baseline[i].target_features, i)
        for i in range(2)
    ]
    means = {name: (each[0][name] + each[1][name]) / 2 for name in each[0]}
    return means | {
        f"{name}_{side}": value
        for side, own in zip(DIRECTION_SUFFIXES, each, strict=True)
        for name, value in own.items()
    }


def _direction_scores(
    direction: TranslationDirection,
    source_features: ExtractedFeatures,
    baseline_features: ExtractedFeatures,
    target_index: int,
) -> dict[str, float]:
    """Return the scores of translations into a class.

    A floor is the score of real images of that class, of the kernel distance those of another set; `kid_before` that of
    images as they were.
    """
    judged = len(direction.target_features.predicted_classes) > 0
    return {
        **(
            {"target_rate": float((direction.translated_features.predicted_classes == target_index).mean())}
            if judged
            else {}
        ),
        "cycle_l1": float(direction.cycle_l1.mean()),
        "kid": _kernel_distance(direction.target_features, direction.translated_features),
        BASELINE_KEY.format("kid"): _kernel_distance(direction.target_features, baseline_features),
        "kid_before": _kernel_distance(direction.target_features, source_features),
        "identity_l1": float(direction.identity_l1.mean()),
        **(
            {
                BASELINE_KEY.format("target_rate"): float(
                    (direction.target_features.predicted_classes == target_index).mean()
                )
            }
            if judged
            else {}
        ),
    }


def _kernel_distance(real: ExtractedFeatures, generated: ExtractedFeatures) -> float:
    return kid(torch.from_numpy(real.values), torch.from_numpy(generated.values))


def _prediction_table(trained_model: TrainedModel, translations: DirectionPair) -> pd.DataFrame:
    """Return a row per image: its class, the one it is translated into, the one that is seen then, what is lost."""
    names = np.array(trained_model.schema.classes)
    frames = [
        pd.DataFrame(
            {
                "row": there.sources.rows,
                "from": names[1 - into],
                "to": names[into],
                **(
                    {"judged": names[there.translated_features.predicted_classes]}
                    if len(there.translated_features.predicted_classes)
                    else {}
                ),
                "cycle_l1": there.cycle_l1,
            }
        )
        for into, there in enumerate(translations)
    ]
    return pd.concat(frames).sort_values("row", ignore_index=True)


def _summary_lines(
    scores: dict[str, float], classes: tuple[str, ...], reference: ReferenceClassifier | None
) -> list[str]:
    lines = []
    for each, unit in METRIC_DESCRIPTIONS.items():
        if each not in scores:
            continue
        sides = ", ".join(
            f"into {label} {scores[f'{each}_{side}']:.4f}"
            for side, label in zip(DIRECTION_SUFFIXES, classes, strict=True)
        )
        floor = BASELINE_KEY.format(each)
        real = f"; of real images {scores[floor]:.4f}" if floor in scores else ""
        lines.append(f"{each} {scores[each]:.4f}, {sides}{real} ({unit})")
    by = (
        f"as {reference.model_name} ({reference.digest[:12]}) sees them"
        if reference
        else "by their pixels, since there is no judge"
    )
    return [*lines, f"images are compared {by}"]
