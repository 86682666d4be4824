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

from ...config.networks.autoencoder import (
    AnomalyMode,
    Autoencoder,
    DenoisingVariant,
    GenerationMode,
    ReductionMode,
    VariationalVariant,
)
from ...data.dataset import SPLITS, Array, Dataset, Split
from ...models.feature_extractor import ReferenceClassifier
from ...models.serialization import TrainedModel
from ...training.diagnostics.summary import Measurements
from ..generation import report
from ..image_plots import MAX_SHOWN, plot_image_grid, value_range
from ..plots import PLOT_FUNCTIONS
from ..report import EvaluationReport
from ..tables import gradient_table
from . import plots as pictures
from .compression import interpolate_curves, rate_distortion_curve
from .metrics import (
    LatentSamples,
    PCABaseline,
    Reconstruction,
    decode,
    denoising_scores,
    elbo_scores,
    reconstruct,
    reconstruction_errors,
    sample_latent_space,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNNAMED_FEATURE = "feature {}"


def feature_names(trained_model: TrainedModel, n_features: int) -> list[str]:
    """Return the name of each of `width` features of a table, as `preprocessing.scaling` has them; numbers if mixed."""
    schema, preprocess = trained_model.schema, trained_model.model.preprocess
    names, labels, place = list(schema.features), {}, 0
    for known in schema.columns:
        labels[place] = known.name, (*known.categories, "other", "missing")
        place += len(known.features)
    for i, kind in enumerate(preprocess.step_kinds):

        def whole(array: str, i: int = i) -> list[int]:
            return [int(value) for value in preprocess.get_buffer(f"{array}_{i}").tolist()]

        match kind:
            case "missing_indicator":
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
    return names if len(names) == n_features else [UNNAMED_FEATURE.format(i) for i in range(n_features)]


N_NEIGHBORS = 5
"""Of a code, that say its class."""

MAX_NEIGHBOR_ROWS = 5_000
"""That neighbours are sought for and among, at most."""

SHORT_SPLIT_NAMES = {"test": "test", "validation": "val", "train": "train"}

METRIC_DESCRIPTIONS = {
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


class AutoencoderEvaluation(NamedTuple):
    """A model, its rows told, and a PCA of as many components."""

    trained_model: TrainedModel
    dataset: Dataset
    reconstructions: dict[str, Reconstruction]
    pca_baseline: PCABaseline

    @property
    def network(self) -> Autoencoder:
        """What was chosen of it."""
        return cast(Autoencoder, self.trained_model.network_config)

    @property
    def threshold(self) -> float:
        """The error from which a detector takes a record for an anomaly."""
        return float(self.trained_model.model.head.get_buffer("threshold"))

    @property
    def class_names(self) -> Array:
        """Names of classes by index; empty if rows have none."""
        return np.array(self.trained_model.schema.classes)

    def in_distribution(self, split: str) -> Reconstruction:
        """Return the rows of a set that are like those that were learnt: to a detector, those of normal classes."""
        return _in_distribution_rows(self.trained_model, self.dataset, self.reconstructions, split)


def evaluate_autoencoder(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    measurements: Measurements,
    reference: ReferenceClassifier | None = None,
) -> EvaluationReport:
    """Score model `name` on the rows it was trained, chosen and tested with; images it makes as `judge` sees them."""
    seed = int(trained_model.metadata["params"]["seed"])
    told = {each: reconstruct(trained_model.model, records.x) for each, records in dataset.splits().items()}
    seen = AutoencoderEvaluation(
        trained_model,
        dataset,
        told,
        PCABaseline.fit(_in_distribution_rows(trained_model, dataset, told, "train"), seed),
    )
    scores = {SHORT_SPLIT_NAMES[each]: _compute_scores(seen, each, seed) for each in ("test", "validation", "train")}
    lines = [
        f"{each} {value:.4f} ({METRIC_DESCRIPTIONS[each]})"
        for each, value in scores["test"].items()
        if each in METRIC_DESCRIPTIONS
    ]
    if trained_model.schema.kind == "images" and isinstance(seen.network.mode, GenerationMode):
        compared = report.build_comparison(trained_model, dataset, reference, seed)
        made = {each: report.compute_scores(compared, part, seed) for part, each in SHORT_SPLIT_NAMES.items()}
        scores = {each: made[each] | own for each, own in scores.items()}
        lines = [
            *report.format_scores(made["test"]),
            *lines,
            *report.reference_warnings(compared, reference),
            report.describe_reference(reference),
        ]
    shown = _build_tables(seen, history, measurements)
    drawn: dict[str, Callable[[], Figure]] = {
        each: partial(PLOT_FUNCTIONS[each], table, name) for each, table in shown.items()
    }
    return EvaluationReport(scores, _prediction_table(seen), shown, drawn | _build_plots(name, seen, seed), lines)


def _compute_scores(evaluation: AutoencoderEvaluation, split: str, seed: int) -> dict[str, float]:
    """Return the scores of one set, those of the purpose first."""
    network = evaluation.network
    told = evaluation.in_distribution(split)
    usual = {"mse": float(told.errors.mean()), "pca_mse": float(evaluation.pca_baseline.errors(told).mean())}
    mean = np.broadcast_to(evaluation.in_distribution("train").mean, told.original.shape)
    variance = float(reconstruction_errors(told.original, mean, told.mask).mean())
    usual["explained"] = 1 - usual["mse"] / variance if variance else 0.0
    found = _knn_scores(evaluation, split, seed)
    match network.variant:
        case DenoisingVariant() if (
            evaluation.trained_model.schema.kind != "table"
        ):  # 0 and 1 of a category have no span to be decibels of
            found |= denoising_scores(
                evaluation.trained_model,
                network.variant,
                evaluation.dataset.splits()[split].x,
                evaluation.pca_baseline,
                seed,
            )
        case VariationalVariant():
            found |= elbo_scores(evaluation.trained_model, evaluation.dataset.splits()[split].x, seed)
    match network.mode:
        case AnomalyMode():
            return _detection_scores(evaluation, split, evaluation.reconstructions[split].errors) | usual | found
        case ReductionMode() | GenerationMode():
            return found | usual
    return (found | usual) if network.mode.name == "denoising" else (usual | found)


def _knn_scores(evaluation: AutoencoderEvaluation, split: str, seed: int) -> dict[str, float]:
    """Return how often the classes of near training codes are those of rows, beside a PCA of as many components."""
    if not len(evaluation.class_names):
        return {}
    from sklearn.neighbors import KNeighborsClassifier  # paid for by models that tell records alone

    train, rows = evaluation.dataset.train.y, evaluation.dataset.splits()[split].y
    among = np.random.default_rng(seed).permutation(len(train))[:MAX_NEIGHBOR_ROWS]
    asked = np.random.default_rng(seed + 1).permutation(len(rows))[:MAX_NEIGHBOR_ROWS]
    if split == "train":  # a row is not its own neighbour
        among, asked = (
            among[: len(among) // 2],
            np.setdiff1d(np.arange(len(rows)), among[: len(among) // 2])[:MAX_NEIGHBOR_ROWS],
        )
    found = {}
    for name, codes in (("knn_accuracy", _latent_codes), ("pca_knn_accuracy", _pca_components)):
        near = KNeighborsClassifier(min(N_NEIGHBORS, len(among))).fit(codes(evaluation, "train")[among], train[among])
        found[name] = float((near.predict(codes(evaluation, split)[asked]) == rows[asked]).mean())
    return found


def _latent_codes(evaluation: AutoencoderEvaluation, split: str) -> Array:
    return evaluation.reconstructions[split].codes


def _pca_components(evaluation: AutoencoderEvaluation, split: str) -> Array:
    return evaluation.pca_baseline.transform(evaluation.reconstructions[split])


def _detection_scores(evaluation: AutoencoderEvaluation, split: str, errors: Array) -> dict[str, float]:
    """Return how well errors tell anomalies from normal rows."""
    threshold = evaluation.threshold
    flagged = errors > threshold
    odd = anomaly_mask(evaluation.trained_model, evaluation.dataset.splits()[split])
    if odd is None or odd.all() or not odd.any():
        return {"flagged": float(flagged.mean())}
    worst = np.argsort(-errors, kind="stable")[: odd.sum()]
    return {
        "auroc": float(metrics.roc_auc_score(odd, errors)),
        "average_precision": float(metrics.average_precision_score(odd, errors)),
        "precision_at_k": float(odd[worst].mean()),
        "pca_auroc": float(
            metrics.roc_auc_score(odd, evaluation.pca_baseline.errors(evaluation.reconstructions[split]))
        ),
        "flagged_normal": float(flagged[~odd].mean()),
        "flagged_anomalies": float(flagged[odd].mean()),
    }


def anomaly_mask(trained_model: TrainedModel, split: Split) -> Array | None:
    """Return which rows (n,) are of no normal class; None if no classes are named."""
    purpose = cast(Autoencoder, trained_model.network_config).mode
    if not isinstance(purpose, AnomalyMode) or not purpose.normal_classes:
        return None
    return ~np.isin(np.array(trained_model.schema.classes)[split.y], purpose.normal_classes)


def _in_distribution_rows(
    trained_model: TrainedModel, dataset: Dataset, reconstructions: dict[str, Reconstruction], split: str
) -> Reconstruction:
    odd = anomaly_mask(trained_model, dataset.splits()[split])
    return reconstructions[split] if odd is None or odd.all() else reconstructions[split].take(~odd)


def _prediction_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return a row per record of every set: row in the source, set, class if there is one, error, decision, code."""
    frames = []
    for part in SPLITS:
        records, told = evaluation.dataset.splits()[part], evaluation.reconstructions[part]
        frame = pd.DataFrame({"row": records.rows, "set": part})
        if len(evaluation.class_names):
            frame["target"] = evaluation.class_names[records.y]
        frame["error"] = told.errors
        if isinstance(evaluation.network.mode, AnomalyMode):
            frame["anomaly"] = told.errors > evaluation.threshold
        codes = pd.DataFrame(told.codes, columns=[f"code_{i}" for i in range(told.codes.shape[1])])
        frames.append(frame.join(codes))
    return pd.concat(frames, ignore_index=True)


def _build_tables(
    evaluation: AutoencoderEvaluation, history: pd.DataFrame, measurements: Measurements
) -> dict[str, pd.DataFrame]:
    columns = {"epoch": history["epoch"], "train": history["train/loss"], "val": history["val/loss"]}
    return {
        "learning_curve": pd.DataFrame(columns),
        "gradients": gradient_table(measurements),
        "errors": _error_table(evaluation),
        "compression": _compression_table(evaluation),
        "codes": _latent_projection(evaluation),
    }


def _error_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return the error of each test row, and what it is: normal or anomaly, its class, or a row; and a threshold."""
    test, purpose = evaluation.dataset.test, evaluation.network.mode
    kinds = evaluation.class_names[test.y] if len(evaluation.class_names) else np.full(len(test), "rows")
    odd = anomaly_mask(evaluation.trained_model, test)
    if odd is not None:
        kinds = np.where(odd, "anomaly", "normal")
    table = pd.DataFrame({"kind": kinds, "error": evaluation.reconstructions["test"].errors})
    return table.assign(threshold=evaluation.threshold) if isinstance(purpose, AnomalyMode) else table


def _compression_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return rate and distortion of test rows, of codes and of a PCA's components, kept in the same way."""
    test, train, linear = (
        evaluation.in_distribution("test"),
        evaluation.in_distribution("train"),
        evaluation.pca_baseline,
    )

    def lost(told: Array) -> float:
        return float(reconstruction_errors(test.original, told, test.mask).mean())

    own = rate_distortion_curve(
        train.codes, test.codes, lambda codes: decode(evaluation.trained_model.model, codes), lost
    )
    straight = rate_distortion_curve(linear.transform(train), linear.transform(test), linear.inverse_transform, lost)
    return interpolate_curves({"autoencoder": own, "pca": straight}, int(np.prod(test.original.shape[1:])))


def _latent_projection(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return test rows in the plane of their codes: the two numbers of each, or the first two components of more."""
    train, test = evaluation.reconstructions["train"].codes, evaluation.reconstructions["test"].codes
    if test.shape[1] > 2:
        mean = train.mean(0)
        _, _, axes = np.linalg.svd(train[:: max(1, -(-len(train) // MAX_NEIGHBOR_ROWS))] - mean, full_matrices=False)
        test = (test - mean) @ axes[:2].T
    elif test.shape[1] == 1:
        test = np.column_stack([test, np.zeros(len(test))])
    names = (
        evaluation.class_names[evaluation.dataset.test.y] if len(evaluation.class_names) else np.full(len(test), "rows")
    )
    return pd.DataFrame({"x": test[:, 0], "y": test[:, 1], "class": names})


def _build_plots(name: str, evaluation: AutoencoderEvaluation, seed: int) -> dict[str, Callable[[], "Figure"]]:
    """Return what is drawn of records themselves."""
    kind, network, test = evaluation.trained_model.schema.kind, evaluation.network, evaluation.reconstructions["test"]
    drawn: dict[str, Callable[[], Figure]] = {}
    if kind == "images":
        drawn["records"] = partial(pictures.plot_reconstructed_images, name, test)
        drawn["worst"] = partial(pictures.plot_error_maps, name, test)
        if isinstance(network.variant, VariationalVariant):
            made, bounds = sample_latent_space(evaluation.trained_model, seed), value_range(test.original)
            texts = ("records made of noise", "from noise to noise, row by row", "a number of the code from -3 to 3")
            for each, text, records in zip(LatentSamples._fields, texts, made, strict=True):
                drawn[each] = partial(plot_image_grid, f"{name}: {text}", records, bounds)
        if isinstance(network.variant, DenoisingVariant):
            x = evaluation.dataset.test.x[:MAX_SHOWN]
            drawn["denoised"] = partial(
                pictures.plot_denoised_images, name, evaluation.trained_model, network.variant, x, seed
            )
    elif kind in ("sequences", "series"):
        drawn["records"] = partial(pictures.plot_reconstructed_sequences, name, test)
    else:
        drawn["records"] = partial(
            pictures.plot_reconstructed_features,
            name,
            test,
            feature_names(evaluation.trained_model, test.original.shape[-1]),
        )
    return drawn
