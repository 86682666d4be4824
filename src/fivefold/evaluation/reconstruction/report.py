"""Evaluate an autoencoder: reconstruction errors, latent codes, and what its variant and mode require.

Shapes: n rows, l latent dimensions.
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
from ..generation import report as generation_report
from ..generation.report import SHORT_SPLIT_NAMES
from ..image_plots import MAX_SHOWN, plot_image_grid, value_range
from ..plots import PLOT_FUNCTIONS
from ..report import EvaluationReport
from ..tables import gradient_table
from . import plots
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
"""Name of a feature that mixes several columns, by index."""

N_NEIGHBORS = 5
"""Number of nearest latent codes that vote on a class."""

MAX_NEIGHBOR_ROWS = 5_000
"""Maximum number of training rows and of classified rows of the nearest-neighbor classifier."""

METRIC_DESCRIPTIONS = {
    "mse": "mean squared error per value, in normalized units; lower is better",
    "pca_mse": "mean squared error of a PCA of the same dimension",
    "explained_variance": "fraction of the variance; higher is better",
    "knn_accuracy": "accuracy of a 5-nearest-neighbor classifier of latent codes; higher is better",
    "pca_knn_accuracy": "the same for a PCA of the same dimension",
    "elbo": "nats per sample, lower bound of the log-likelihood; higher is better",
    "kl": "nats per sample, divergence of the posterior from the prior",
    "active_units": "number of latent dimensions in use",
    "psnr": "dB; higher is better",
    "psnr_noisy": "dB, of the corrupted samples",
    "psnr_gain": "dB; higher is better",
    "pca_psnr_gain": "dB, of a PCA of the same dimension",
    "ssim": "0 to 1; higher is better",
    "ssim_noisy": "0 to 1, of the corrupted samples",
    "roc_auc": "0.5 to 1; higher is better",
    "average_precision": "0 to 1; higher is better",
    "precision_at_k": "fraction of anomalies among the k largest errors, for k anomalies in all; higher is better",
    "pca_roc_auc": "0.5 to 1, of the errors of a PCA of the same dimension",
    "false_positive_rate": "fraction of normal rows above the threshold; lower is better",
    "true_positive_rate": "fraction of anomalies above the threshold; higher is better",
    "alert_rate": "fraction of rows above the threshold",
}


class AutoencoderEvaluation(NamedTuple):
    """A model, its dataset, the reconstruction of each split, and a PCA of the same dimension."""

    trained_model: TrainedModel
    dataset: Dataset
    reconstructions: dict[str, Reconstruction]
    pca_baseline: PCABaseline

    @property
    def network(self) -> Autoencoder:
        """The network's configuration."""
        return cast(Autoencoder, self.trained_model.network_config)

    @property
    def threshold(self) -> float:
        """Error above which a detector classifies a row as an anomaly."""
        return float(self.trained_model.model.head.get_buffer("threshold"))

    @property
    def class_names(self) -> Array:
        """Names of classes by index; empty if rows have no classes."""
        return np.array(self.trained_model.schema.classes)

    def in_distribution(self, split: str) -> Reconstruction:
        """Return the rows of a split distributed like training rows: for a detector, those of normal classes."""
        return _in_distribution_rows(self.trained_model, self.dataset, self.reconstructions, split)


def evaluate_autoencoder(
    name: str,
    trained_model: TrainedModel,
    dataset: Dataset,
    history: pd.DataFrame,
    measurements: Measurements,
    reference: ReferenceClassifier | None = None,
) -> EvaluationReport:
    """Return the report of an autoencoder; see `evaluate`. Images that it generates are compared as those of a GAN."""
    seed = int(trained_model.metadata["params"]["seed"])
    reconstructions = {split: reconstruct(trained_model.model, rows.x) for split, rows in dataset.splits().items()}
    train = _in_distribution_rows(trained_model, dataset, reconstructions, "train")
    evaluation = AutoencoderEvaluation(trained_model, dataset, reconstructions, PCABaseline.fit(train, seed))
    scores = {
        SHORT_SPLIT_NAMES[split]: _compute_scores(evaluation, split, seed) for split in ("test", "validation", "train")
    }
    summary = [
        f"{metric} {value:.4f} ({METRIC_DESCRIPTIONS[metric]})"
        for metric, value in scores["test"].items()
        if metric in METRIC_DESCRIPTIONS
    ]
    if trained_model.schema.kind == "images" and isinstance(evaluation.network.mode, GenerationMode):
        comparison = generation_report.build_comparison(trained_model, dataset, reference, seed)
        generation_scores = {
            short: generation_report.compute_scores(comparison, split, seed)
            for split, short in SHORT_SPLIT_NAMES.items()
        }
        scores = {short: generation_scores[short] | own for short, own in scores.items()}
        summary = [
            *generation_report.format_scores(generation_scores["test"]),
            *summary,
            *generation_report.reference_warnings(comparison, reference),
            generation_report.describe_reference(reference),
        ]
    tables = _build_tables(evaluation, history, measurements)
    plot_functions: dict[str, Callable[[], Figure]] = {
        each: partial(PLOT_FUNCTIONS[each], table, name) for each, table in tables.items()
    }
    plot_functions |= _build_plots(name, evaluation, seed)
    return EvaluationReport(scores, _prediction_table(evaluation), tables, plot_functions, summary)


def anomaly_mask(trained_model: TrainedModel, split: Split) -> Array | None:
    """Return which rows (n,) are not of a normal class; None if no normal classes are configured."""
    mode = cast(Autoencoder, trained_model.network_config).mode
    if not isinstance(mode, AnomalyMode) or not mode.normal_classes:
        return None
    return ~np.isin(np.array(trained_model.schema.classes)[split.y], mode.normal_classes)


def feature_names(trained_model: TrainedModel, n_features: int) -> list[str]:
    """Return the names of a table's preprocessed features; numbered names if a step mixes columns."""
    schema, preprocess = trained_model.schema, trained_model.model.preprocess
    names, categories, position = list(schema.features), {}, 0
    for column in schema.columns:
        categories[position] = column.name, (*column.categories, "other", "missing")
        position += len(column.features)
    for i, kind in enumerate(preprocess.step_kinds):

        def integers(array: str, i: int = i) -> list[int]:
            return [int(value) for value in preprocess.get_buffer(f"{array}_{i}").tolist()]

        match kind:
            case "missing_indicator":
                names += [f"{names[j]} missing" for j in integers("index")]
            case "one_hot":
                pairs = [(categories[j], code) for j, code in zip(integers("column"), integers("code"), strict=True)]
                names = [
                    *(names[j] for j in integers("keep")),
                    *(f"{name}={labels[code]}" for (name, labels), code in pairs),
                ]
            case "take":
                names = [names[j] for j in integers("index")]
            case "project" | "dense":
                names = []
    return names if len(names) == n_features else [UNNAMED_FEATURE.format(i) for i in range(n_features)]


def _compute_scores(evaluation: AutoencoderEvaluation, split: str, seed: int) -> dict[str, float]:
    """Return the metrics of a split, those of the mode first."""
    network, schema = evaluation.network, evaluation.trained_model.schema
    reconstruction = evaluation.in_distribution(split)
    mse = float(reconstruction.errors.mean())
    mean = np.broadcast_to(evaluation.in_distribution("train").mean, reconstruction.original.shape)
    variance = float(reconstruction_errors(reconstruction.original, mean, reconstruction.mask).mean())
    errors = {
        "mse": mse,
        "pca_mse": float(evaluation.pca_baseline.errors(reconstruction).mean()),
        "explained_variance": 1 - mse / variance if variance else 0.0,
    }
    scores = _knn_scores(evaluation, split, seed)
    x = evaluation.dataset.splits()[split].x
    match network.variant:
        case DenoisingVariant() if schema.kind != "table":  # PSNR has no meaning for one-hot categories
            scores |= denoising_scores(evaluation.trained_model, network.variant, x, evaluation.pca_baseline, seed)
        case VariationalVariant():
            scores |= elbo_scores(evaluation.trained_model, x, seed)
    match network.mode:
        case AnomalyMode():
            return _detection_scores(evaluation, split, evaluation.reconstructions[split].errors) | errors | scores
        case ReductionMode() | GenerationMode():
            return scores | errors
    return (scores | errors) if network.mode.name == "denoising" else (errors | scores)


def _knn_scores(evaluation: AutoencoderEvaluation, split: str, seed: int) -> dict[str, float]:
    """Return the accuracies of nearest-neighbor classifiers of latent codes and of principal components."""
    if not len(evaluation.class_names):
        return {}
    from sklearn.neighbors import KNeighborsClassifier  # imported here because only autoencoders need it

    y_train, y = evaluation.dataset.train.y, evaluation.dataset.splits()[split].y
    fitted = np.random.default_rng(seed).permutation(len(y_train))[:MAX_NEIGHBOR_ROWS]
    classified = np.random.default_rng(seed + 1).permutation(len(y))[:MAX_NEIGHBOR_ROWS]
    if split == "train":  # a row must not be its own neighbor
        fitted = fitted[: len(fitted) // 2]
        classified = np.setdiff1d(np.arange(len(y)), fitted)[:MAX_NEIGHBOR_ROWS]
    train, rows, pca = evaluation.reconstructions["train"], evaluation.reconstructions[split], evaluation.pca_baseline
    scores = {}
    for name, train_codes, codes in (
        ("knn_accuracy", train.codes, rows.codes),
        ("pca_knn_accuracy", pca.transform(train), pca.transform(rows)),
    ):
        knn = KNeighborsClassifier(min(N_NEIGHBORS, len(fitted))).fit(train_codes[fitted], y_train[fitted])
        scores[name] = float((knn.predict(codes[classified]) == y[classified]).mean())
    return scores


def _detection_scores(evaluation: AutoencoderEvaluation, split: str, errors: Array) -> dict[str, float]:
    """Return how well the errors (n,) of a split separate anomalies from normal rows."""
    is_alert = errors > evaluation.threshold
    is_anomaly = anomaly_mask(evaluation.trained_model, evaluation.dataset.splits()[split])
    if is_anomaly is None or is_anomaly.all() or not is_anomaly.any():
        return {"alert_rate": float(is_alert.mean())}
    largest = np.argsort(-errors, kind="stable")[: is_anomaly.sum()]
    pca_errors = evaluation.pca_baseline.errors(evaluation.reconstructions[split])
    return {
        "roc_auc": float(metrics.roc_auc_score(is_anomaly, errors)),
        "average_precision": float(metrics.average_precision_score(is_anomaly, errors)),
        "precision_at_k": float(is_anomaly[largest].mean()),
        "pca_roc_auc": float(metrics.roc_auc_score(is_anomaly, pca_errors)),
        "false_positive_rate": float(is_alert[~is_anomaly].mean()),
        "true_positive_rate": float(is_alert[is_anomaly].mean()),
    }


def _in_distribution_rows(
    trained_model: TrainedModel, dataset: Dataset, reconstructions: dict[str, Reconstruction], split: str
) -> Reconstruction:
    is_anomaly = anomaly_mask(trained_model, dataset.splits()[split])
    if is_anomaly is None or is_anomaly.all():
        return reconstructions[split]
    return reconstructions[split].take(~is_anomaly)


def _prediction_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return one row per sample of every split: row in the source, split, class, error, decision and latent code."""
    frames = []
    for split in SPLITS:
        rows, reconstruction = evaluation.dataset.splits()[split], evaluation.reconstructions[split]
        frame = pd.DataFrame({"row": rows.rows, "split": split})
        if len(evaluation.class_names):
            frame["target"] = evaluation.class_names[rows.y]
        frame["error"] = reconstruction.errors
        if isinstance(evaluation.network.mode, AnomalyMode):
            frame["anomaly"] = reconstruction.errors > evaluation.threshold
        names = [f"latent_{i}" for i in range(reconstruction.codes.shape[1])]
        frames.append(frame.join(pd.DataFrame(reconstruction.codes, columns=names)))
    return pd.concat(frames, ignore_index=True)


def _build_tables(
    evaluation: AutoencoderEvaluation, history: pd.DataFrame, measurements: Measurements
) -> dict[str, pd.DataFrame]:
    columns = {"epoch": history["epoch"], "train": history["train/loss"], "val": history["val/loss"]}
    return {
        "learning_curve": pd.DataFrame(columns),
        "gradients": gradient_table(measurements),
        "errors": _error_table(evaluation),
        "rate_distortion": _rate_distortion_table(evaluation),
        "latent_codes": _latent_projection(evaluation),
    }


def _error_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return error and group of each test row, and the threshold of a detector.

    The group is normal or anomaly for a detector of known classes, else the class, or "rows" without classes.
    """
    test = evaluation.dataset.test
    groups = evaluation.class_names[test.y] if len(evaluation.class_names) else np.full(len(test), "rows")
    is_anomaly = anomaly_mask(evaluation.trained_model, test)
    if is_anomaly is not None:
        groups = np.where(is_anomaly, "anomaly", "normal")
    table = pd.DataFrame({"group": groups, "error": evaluation.reconstructions["test"].errors})
    is_detector = isinstance(evaluation.network.mode, AnomalyMode)
    return table.assign(threshold=evaluation.threshold) if is_detector else table


def _rate_distortion_table(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return rate and distortion of test rows, for latent codes and for principal components coded the same way."""
    train, test = evaluation.in_distribution("train"), evaluation.in_distribution("test")
    pca, model = evaluation.pca_baseline, evaluation.trained_model.model

    def distortion(reconstructed: Array) -> float:
        return float(reconstruction_errors(test.original, reconstructed, test.mask).mean())

    curves = {
        "autoencoder": rate_distortion_curve(train.codes, test.codes, partial(decode, model), distortion),
        "pca": rate_distortion_curve(pca.transform(train), pca.transform(test), pca.inverse_transform, distortion),
    }
    return interpolate_curves(curves, int(np.prod(test.original.shape[1:])))


def _latent_projection(evaluation: AutoencoderEvaluation) -> pd.DataFrame:
    """Return 2-D coordinates and class of test rows: their codes, or the first two components of longer codes."""
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
    """Return the plots of reconstructions and, for variational autoencoders, of generated samples."""
    model, test = evaluation.trained_model, evaluation.reconstructions["test"]
    if model.schema.kind in ("sequences", "series"):
        return {"reconstructions": partial(plots.plot_reconstructed_sequences, name, test)}
    if model.schema.kind != "images":
        names = feature_names(model, test.original.shape[-1])
        return {"reconstructions": partial(plots.plot_reconstructed_features, name, test, names)}
    plot_functions: dict[str, Callable[[], Figure]] = {
        "reconstructions": partial(plots.plot_reconstructed_images, name, test),
        "worst_reconstructions": partial(plots.plot_error_maps, name, test),
    }
    match evaluation.network.variant:
        case VariationalVariant():
            samples, bounds = sample_latent_space(model, seed), value_range(test.original)
            titles = (
                "generated samples",
                "latent interpolations",
                "latent traversals, one dimension from -3 to 3 per row",
            )
            for each, title, images in zip(LatentSamples._fields, titles, samples, strict=True):
                plot_functions[each] = partial(plot_image_grid, f"{name}: {title}", images, bounds)
        case DenoisingVariant() as variant:
            x = evaluation.dataset.test.x[:MAX_SHOWN]
            plot_functions["denoised"] = partial(plots.plot_denoised_images, name, model, variant, x, seed)
    return plot_functions
