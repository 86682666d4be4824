"""The report of an autoencoder: what is lost, what codes are like, and what its variant and its purpose ask beside.

Shapes: n rows, l numbers of a code.

Names of the features that a model's preprocessing makes of a table's columns.
"""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import pandas as pd
from sklearn import metrics

from ...config.networks.autoencoder import Autoencoder, Denoising, Detect, Generate, Reduce, Variational
from ...data.dataset import SPLITS, Array, Dataset, Records
from ...models.feature_extractor import Expert
from ...models.serialization import Saved
from ...training.diagnostics.summary import Measured
from ..generation import report
from ..image_plots import SHOWN, bounds_of, plot_image_grid
from ..plots import PICTURES
from ..report import Report
from ..tables import gradients
from . import plots as pictures
from .compression import beside, curve
from .metrics import Linear, Made, Told, decode, errors_of, samples_of, scores_of_bound, scores_of_noise, tell

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNNAMED = "feature {}"


def names_of(saved: Saved, width: int) -> list[str]:
    """Return the name of each of `width` features of a table, as `preprocessing.scaling` has them; numbers if mixed."""
    schema, preprocess = saved.schema, saved.model.preprocess
    names, labels, place = list(schema.features), {}, 0
    for known in schema.columns:
        labels[place] = known.name, (*known.categories, "other", "missing")
        place += len(known.features)
    for i, kind in enumerate(preprocess.kinds):

        def whole(array: str, i: int = i) -> list[int]:
            return [int(value) for value in preprocess.get_buffer(f"{array}_{i}").tolist()]

        match kind:
            case "indicate":
                names += [f"{names[j]} missing" for j in whole("index")]
            case "one_hot":
                pairs = [(labels[j], code) for j, code in zip(whole("column"), whole("code"), strict=True)]
                names = [
                    *(names[j] for j in whole("keep")),
                    *(f"{name}={words[code]}" for (name, words), code in pairs),
                ]
            case "take":
                names = [names[j] for j in whole("index")]
            case "project" | "dense":
                names = []
    return names if len(names) == width else [UNNAMED.format(i) for i in range(width)]


NEIGHBOURS = 5
"""Of a code, that say its class."""

ROWS = 5_000
"""That neighbours are sought for and among, at most."""

SHORT = {"test": "test", "validation": "val", "train": "train"}

UNITS = {
    "mse": "mean squared error a number, after normalization; lower is better",
    "pca_mse": "the same of a PCA of as many components",
    "explained": "share of the variance; higher is better",
    "knn_accuracy": "share of rows whose class 5 neighbours among training codes tell; higher is better",
    "pca_knn_accuracy": "the same of a PCA of as many components",
    "elbo": "nats a record, a lower bound of the log likelihood; higher is better",
    "divergence": "nats a record, of codes from noise",
    "active": "numbers of the code that tell records apart",
    "psnr": "dB; higher is better",
    "psnr_noisy": "dB, of the spoilt records",
    "gain": "dB; higher is better",
    "pca_gain": "dB, of a PCA of as many components",
    "ssim": "0 to 1; higher is better",
    "ssim_noisy": "0 to 1, of the spoilt records",
    "auroc": "0.5 to 1; higher is better",
    "average_precision": "0 to 1; higher is better",
    "precision_at_k": "share of anomalies among as many rows as there are, the most unlike first; higher is better",
    "pca_auroc": "0.5 to 1, of the error of a PCA of as many components",
    "flagged_normal": "share of normal rows taken for anomalies; lower is better",
    "flagged_anomalies": "share of anomalies taken for such; higher is better",
    "flagged": "share of rows taken for anomalies",
}


class Seen(NamedTuple):
    """A model, its rows told, and a PCA of as many components."""

    saved: Saved
    dataset: Dataset
    told: dict[str, Told]
    linear: Linear

    @property
    def network(self) -> Autoencoder:
        """What was chosen of it."""
        return cast(Autoencoder, self.saved.network)

    @property
    def threshold(self) -> float:
        """The error from which a detector takes a record for an anomaly."""
        return float(self.saved.model.output.get_buffer("threshold"))

    @property
    def classes(self) -> Array:
        """Names of classes by index; empty if rows have none."""
        return np.array(self.saved.schema.classes)

    def learnt(self, part: str) -> Told:
        """Return the rows of a set that are like those that were learnt: to a detector, those of normal classes."""
        return _learnt(self.saved, self.dataset, self.told, part)


def evaluate_autoencoder(
    name: str,
    saved: Saved,
    dataset: Dataset,
    history: pd.DataFrame,
    measured: Measured,
    judge: Expert | None = None,
) -> Report:
    """Score model `name` on the rows it was trained, chosen and tested with; images it makes as `judge` sees them."""
    seed = int(saved.facts["params"]["seed"])
    told = {each: tell(saved.model, records.x) for each, records in dataset.splits().items()}
    seen = Seen(saved, dataset, told, Linear.fit(_learnt(saved, dataset, told, "train"), seed))
    scores = {SHORT[each]: _scores(seen, each, seed) for each in ("test", "validation", "train")}
    lines = [f"{each} {value:.4f} ({UNITS[each]})" for each, value in scores["test"].items() if each in UNITS]
    if saved.schema.kind == "images" and isinstance(seen.network.purpose, Generate):
        compared = report.compare(saved, dataset, judge, seed)
        made = {each: report.scores_of(compared, part, seed) for part, each in SHORT.items()}
        scores = {each: made[each] | own for each, own in scores.items()}
        lines = [
            *report.lines_of(made["test"]),
            *lines,
            *report.doubts(compared, judge),
            report.seen_by(judge),
        ]
    shown = _tables(seen, history, measured)
    drawn: dict[str, Callable[[], Figure]] = {
        each: partial(PICTURES[each], table, name) for each, table in shown.items()
    }
    return Report(scores, _predictions(seen), shown, drawn | _pictures(name, seen, seed), lines)


def _scores(seen: Seen, part: str, seed: int) -> dict[str, float]:
    """Return the scores of one set, those of the purpose first."""
    network = seen.network
    told = seen.learnt(part)
    usual = {"mse": float(told.errors.mean()), "pca_mse": float(seen.linear.errors(told).mean())}
    mean = np.broadcast_to(seen.learnt("train").mean, told.truth.shape)
    variance = float(errors_of(told.truth, mean, told.real).mean())
    usual["explained"] = 1 - usual["mse"] / variance if variance else 0.0
    found = _neighbours(seen, part, seed)
    match network.variant:
        case Denoising() if seen.saved.schema.kind != "table":  # 0 and 1 of a category have no span to be decibels of
            found |= scores_of_noise(seen.saved, network.variant, seen.dataset.splits()[part].x, seen.linear, seed)
        case Variational():
            found |= scores_of_bound(seen.saved, seen.dataset.splits()[part].x, seed)
    match network.purpose:
        case Detect():
            return _anomalies(seen, part, seen.told[part].errors) | usual | found
        case Reduce() | Generate():
            return found | usual
    return (found | usual) if network.purpose.name == "denoising" else (usual | found)


def _neighbours(seen: Seen, part: str, seed: int) -> dict[str, float]:
    """Return how often the classes of near training codes are those of rows, beside a PCA of as many components."""
    if not len(seen.classes):
        return {}
    from sklearn.neighbors import KNeighborsClassifier  # paid for by models that tell records alone

    train, rows = seen.dataset.train.y, seen.dataset.splits()[part].y
    among = np.random.default_rng(seed).permutation(len(train))[:ROWS]
    asked = np.random.default_rng(seed + 1).permutation(len(rows))[:ROWS]
    if part == "train":  # a row is not its own neighbour
        among, asked = among[: len(among) // 2], np.setdiff1d(np.arange(len(rows)), among[: len(among) // 2])[:ROWS]
    found = {}
    for name, codes in (("knn_accuracy", _codes), ("pca_knn_accuracy", _components)):
        near = KNeighborsClassifier(min(NEIGHBOURS, len(among))).fit(codes(seen, "train")[among], train[among])
        found[name] = float((near.predict(codes(seen, part)[asked]) == rows[asked]).mean())
    return found


def _codes(seen: Seen, part: str) -> Array:
    return seen.told[part].codes


def _components(seen: Seen, part: str) -> Array:
    return seen.linear.codes(seen.told[part])


def _anomalies(seen: Seen, part: str, errors: Array) -> dict[str, float]:
    """Return how well errors tell anomalies from normal rows."""
    threshold = seen.threshold
    flagged = errors > threshold
    odd = odd_rows(seen.saved, seen.dataset.splits()[part])
    if odd is None or odd.all() or not odd.any():
        return {"flagged": float(flagged.mean())}
    worst = np.argsort(-errors, kind="stable")[: odd.sum()]
    return {
        "auroc": float(metrics.roc_auc_score(odd, errors)),
        "average_precision": float(metrics.average_precision_score(odd, errors)),
        "precision_at_k": float(odd[worst].mean()),
        "pca_auroc": float(metrics.roc_auc_score(odd, seen.linear.errors(seen.told[part]))),
        "flagged_normal": float(flagged[~odd].mean()),
        "flagged_anomalies": float(flagged[odd].mean()),
    }


def odd_rows(saved: Saved, records: Records) -> Array | None:
    """Return which rows (n,) are of no normal class; None if no classes are named."""
    purpose = cast(Autoencoder, saved.network).purpose
    if not isinstance(purpose, Detect) or not purpose.normal:
        return None
    return ~np.isin(np.array(saved.schema.classes)[records.y], purpose.normal)


def _learnt(saved: Saved, dataset: Dataset, told: dict[str, Told], part: str) -> Told:
    odd = odd_rows(saved, dataset.splits()[part])
    return told[part] if odd is None or odd.all() else told[part].take(~odd)


def _predictions(seen: Seen) -> pd.DataFrame:
    """Return a row per record of every set: row in the source, set, class if there is one, error, decision, code."""
    frames = []
    for part in SPLITS:
        records, told = seen.dataset.splits()[part], seen.told[part]
        frame = pd.DataFrame({"row": records.rows, "set": part})
        if len(seen.classes):
            frame["target"] = seen.classes[records.y]
        frame["error"] = told.errors
        if isinstance(seen.network.purpose, Detect):
            frame["anomaly"] = told.errors > seen.threshold
        codes = pd.DataFrame(told.codes, columns=[f"code_{i}" for i in range(told.codes.shape[1])])
        frames.append(frame.join(codes))
    return pd.concat(frames, ignore_index=True)


def _tables(seen: Seen, history: pd.DataFrame, measured: Measured) -> dict[str, pd.DataFrame]:
    columns = {"epoch": history["epoch"], "train": history["train/loss"], "val": history["val/loss"]}
    return {
        "learning_curve": pd.DataFrame(columns),
        "gradients": gradients(measured),
        "errors": _errors(seen),
        "compression": _compression(seen),
        "codes": _plane(seen),
    }


def _errors(seen: Seen) -> pd.DataFrame:
    """Return the error of each test row, and what it is: normal or anomaly, its class, or a row; and a threshold."""
    test, purpose = seen.dataset.test, seen.network.purpose
    kinds = seen.classes[test.y] if len(seen.classes) else np.full(len(test), "rows")
    odd = odd_rows(seen.saved, test)
    if odd is not None:
        kinds = np.where(odd, "anomaly", "normal")
    table = pd.DataFrame({"kind": kinds, "error": seen.told["test"].errors})
    return table.assign(threshold=seen.threshold) if isinstance(purpose, Detect) else table


def _compression(seen: Seen) -> pd.DataFrame:
    """Return rate and distortion of test rows, of codes and of a PCA's components, kept in the same way."""
    test, train, linear = seen.learnt("test"), seen.learnt("train"), seen.linear

    def lost(told: Array) -> float:
        return float(errors_of(test.truth, told, test.real).mean())

    own = curve(train.codes, test.codes, lambda codes: decode(seen.saved.model, codes), lost)
    straight = curve(linear.codes(train), linear.codes(test), linear.tell, lost)
    return beside({"autoencoder": own, "pca": straight}, int(np.prod(test.truth.shape[1:])))


def _plane(seen: Seen) -> pd.DataFrame:
    """Return test rows in the plane of their codes: the two numbers of each, or the first two components of more."""
    train, test = seen.told["train"].codes, seen.told["test"].codes
    if test.shape[1] > 2:
        mean = train.mean(0)
        _, _, axes = np.linalg.svd(train[:: max(1, -(-len(train) // ROWS))] - mean, full_matrices=False)
        test = (test - mean) @ axes[:2].T
    elif test.shape[1] == 1:
        test = np.column_stack([test, np.zeros(len(test))])
    names = seen.classes[seen.dataset.test.y] if len(seen.classes) else np.full(len(test), "rows")
    return pd.DataFrame({"x": test[:, 0], "y": test[:, 1], "class": names})


def _pictures(name: str, seen: Seen, seed: int) -> dict[str, Callable[[], "Figure"]]:
    """Return what is drawn of records themselves."""
    kind, network, test = seen.saved.schema.kind, seen.network, seen.told["test"]
    drawn: dict[str, Callable[[], Figure]] = {}
    if kind == "images":
        drawn["records"] = partial(pictures.images, name, test)
        drawn["worst"] = partial(pictures.heat, name, test)
        if isinstance(network.variant, Variational):
            made, bounds = samples_of(seen.saved, seed), bounds_of(test.truth)
            texts = ("records made of noise", "from noise to noise, row by row", "a number of the code from -3 to 3")
            for each, text, records in zip(Made._fields, texts, made, strict=True):
                drawn[each] = partial(plot_image_grid, f"{name}: {text}", records, bounds)
        if isinstance(network.variant, Denoising):
            x = seen.dataset.test.x[:SHOWN]
            drawn["denoised"] = partial(pictures.cleaned, name, seen.saved, network.variant, x, seed)
    elif kind in ("sequences", "series"):
        drawn["records"] = partial(pictures.steps, name, test)
    else:
        drawn["records"] = partial(pictures.columns, name, test, names_of(seen.saved, test.truth.shape[-1]))
    return drawn
