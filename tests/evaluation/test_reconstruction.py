"""The evaluation of autoencoders, compared with PCA, scikit-learn, torchmetrics and closed forms."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from fivefold.config.datasets import MissingValues
from fivefold.config.models import Model
from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.networks.mlp import Mlp
from fivefold.config.training import AutoLoss
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Column, Schema
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.generation.samples import generate, sample_noise
from fivefold.evaluation.reconstruction.metrics import PCABaseline, build_noise, corrupt_features, reconstruct
from fivefold.evaluation.reconstruction.report import METRIC_DESCRIPTIONS, feature_names
from fivefold.evaluation.report import EvaluationReport
from fivefold.models.factory import build_network
from fivefold.models.feature_extractor import ReferenceClassifier, energy_distance
from fivefold.models.serialization import TrainedModel, build_head, build_inference_model, build_input_spec
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

from ..conftest import dataset_of, schema_of, table_block

PIPELINE = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))
HISTORY = pd.DataFrame({"epoch": [1], "train/loss": [1.0], "val/loss": [1.0]})
MEASUREMENTS: Any = {"gradient_norm": {"layer": [1.0]}}


def dataset(size: int = 12, n: int = 150) -> Dataset:
    """Return images of two classes, each a mixture of three random patterns of its class."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    patterns = random.random((2, 3, size, size))
    weights = random.random((n, 3))
    x = np.einsum("nk,nkhw->nhw", weights, patterns[y])[:, None] / 3 * 255
    rows = Split(x.astype(np.uint8), y, np.arange(n))
    schema = Schema(
        kind="images", task="classification", target="t", features=(), shape=(1, size, size), classes=("a", "b")
    )
    ends = (n // 2, 3 * n // 4, n)
    return Dataset(schema, *(rows.take(np.arange(a, b)) for a, b in zip((0, *ends), ends, strict=False)))


def build_model(data: Dataset, pipeline: Pipeline = PIPELINE, **network: Any) -> TrainedModel:
    """Return an untrained autoencoder."""
    params = Autoencoder.model_validate_json(json.dumps({"family": "autoencoder", "latent_dim": 4, **network}))
    return assemble(data, pipeline, params, {"name": "m", "params": {"seed": 3}})


def assemble(data: Dataset, pipeline: Pipeline, params: Any, metadata: dict[str, Any]) -> TrainedModel:
    """Return an untrained model."""
    loss = AutoLoss(name="auto")
    torch.manual_seed(0)
    network = build_network(params, build_input_spec(data.schema, pipeline, loss))
    head = build_head(params, data.schema, pipeline, loss)
    model = build_inference_model(params, data.schema, pipeline, network, head).eval()
    return TrainedModel(model, data.schema, params, loss, metadata)


def build_pca_model(data: Dataset) -> TrainedModel:
    """Return an autoencoder that is equivalent to a PCA: its weights are the principal components."""
    trained_model = build_model(data, hidden=[])
    flat = PIPELINE(data.train.x).reshape(len(data.train), -1)
    pca = PCA(4, random_state=3).fit(flat.astype(np.float64))
    network = trained_model.model.network
    with torch.no_grad():
        network.to_latent.weight.copy_(torch.from_numpy(pca.components_))
        network.to_latent.bias.copy_(torch.from_numpy(-pca.components_ @ pca.mean_))
        network.decoder.layers[-1].weight.copy_(torch.from_numpy(pca.components_.T))
        network.decoder.layers[-1].bias.copy_(torch.from_numpy(pca.mean_))
    return trained_model


def report_of(trained_model: TrainedModel, data: Dataset) -> EvaluationReport:
    return evaluate("m", trained_model, data, HISTORY, MEASUREMENTS)


def test_an_autoencoder_that_is_a_pca_has_the_scores_of_a_pca() -> None:
    data = dataset()
    scores = report_of(build_pca_model(data), data).scores
    for split in ("test", "val", "train"):
        assert scores[split]["mse"] == pytest.approx(scores[split]["pca_mse"], rel=1e-3)
        assert scores[split]["knn_accuracy"] == scores[split]["pca_knn_accuracy"]
    flat = PIPELINE(data.train.x).reshape(len(data.train), -1).astype(np.float64)
    singular_values = np.linalg.svd(flat - flat.mean(0), compute_uv=False)
    unexplained = float((singular_values[4:] ** 2).sum() / flat.size)
    assert scores["train"]["mse"] == pytest.approx(unexplained, rel=1e-3)


def test_every_metric_has_a_description_and_a_line() -> None:
    data = dataset()
    report = report_of(build_model(data), data)
    assert set(report.scores["test"]) <= set(METRIC_DESCRIPTIONS)
    assert len(report.summary) == len(report.scores["test"])
    assert report.summary[0].startswith("mse ")


def test_predictions_have_the_latent_code_of_every_row() -> None:
    data = dataset()
    trained_model = build_model(data)
    frame = report_of(trained_model, data).predictions
    latent = [f"latent_{i}" for i in range(4)]
    assert list(frame.columns) == ["row", "split", "target", "error", *latent]
    assert frame["split"].value_counts().to_dict() == {"train": 75, "validation": 37, "test": 38}
    with torch.no_grad():
        codes = trained_model.model.network.encode(torch.from_numpy(PIPELINE(data.test.x))).numpy()
    np.testing.assert_allclose(frame[frame["split"] == "test"][latent].to_numpy(), codes, rtol=1e-5)


def test_an_autoencoder_that_is_a_pca_has_the_rate_distortion_curve_of_a_pca() -> None:
    data = dataset()
    table = report_of(build_pca_model(data), data).tables["rate_distortion"]
    assert (table.autoencoder.diff().dropna() <= 1e-9).all()
    np.testing.assert_allclose(table.autoencoder, table.pca, rtol=0.02)
    assert table.rate.iloc[-1] < 8 * 4 / 144


class TestAnomalies:
    def test_detection_metrics_agree_with_scikit_learn(self) -> None:
        data = dataset()
        detector = build_model(data, mode={"name": "anomaly", "normal_classes": ["a"]})
        detector.model.head.threshold.fill_(0.1)
        report = report_of(detector, data)
        scores, test = report.scores["test"], report.predictions[report.predictions["split"] == "test"]
        is_anomaly = test.target == "b"
        assert next(iter(scores)) == "roc_auc"
        assert scores["roc_auc"] == pytest.approx(roc_auc_score(is_anomaly, test.error))
        assert scores["true_positive_rate"] == pytest.approx((test.error > 0.1)[is_anomaly].mean())
        assert scores["false_positive_rate"] == pytest.approx((test.error > 0.1)[~is_anomaly].mean())
        largest = test.sort_values("error", ascending=False, kind="stable").head(int(is_anomaly.sum()))
        assert scores["precision_at_k"] == pytest.approx((largest.target == "b").mean())
        assert (test.anomaly == (test.error > 0.1)).all()

    def test_reconstruction_metrics_and_pca_are_those_of_normal_rows(self) -> None:
        data = dataset()
        report = report_of(build_model(data, mode={"name": "anomaly", "normal_classes": ["a"]}), data)
        scores = report.scores["test"]
        train, test = (
            PIPELINE(rows.x[rows.y == 0]).reshape(-1, 144).astype(np.float64) for rows in (data.train, data.test)
        )
        pca = PCA(4, random_state=3).fit(train)
        squared_errors = (test - pca.inverse_transform(pca.transform(test))) ** 2
        assert scores["pca_mse"] == pytest.approx(squared_errors.mean(), rel=1e-4)
        frame = report.predictions[report.predictions["split"] == "test"]
        assert scores["mse"] == pytest.approx(frame.error[frame.target == "a"].mean())
        variance = ((test - train.mean(0)) ** 2).mean()
        assert scores["explained_variance"] == pytest.approx(1 - scores["mse"] / variance, rel=1e-4)

    def test_without_normal_classes_there_is_an_alert_rate(self) -> None:
        data = dataset()
        detector = build_model(data, mode={"name": "anomaly"})
        detector.model.head.threshold.fill_(0.1)
        assert next(iter(report_of(detector, data).scores["test"])) == "alert_rate"

    def test_the_threshold_is_a_quantile_of_the_errors_of_normal_validation_rows(self, tmp_path: Path) -> None:
        data = dataset()
        tree = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {
                "family": "autoencoder",
                "latent_dim": 3,
                "mode": {"name": "anomaly", "normal_classes": ["a"], "quantile": 0.8},
            },
            "training": {"max_epochs": 30, "patience": 0, "optimizer": {"name": "adamw", "lr": 0.003}},
        }
        fitted = fit(
            "m",
            Model.model_validate_json(json.dumps(tree)),
            data,
            PIPELINE,
            seed=0,
            checkpoint_folder=tmp_path,
            on_epoch=lambda *_: None,
        )
        held_out = data.validation.take(np.flatnonzero(data.validation.y == 0))
        model = fitted.trained_model.model
        threshold = float(model.head.get_buffer("threshold"))
        assert threshold == pytest.approx(np.quantile(reconstruct(model, held_out.x).errors, 0.8), rel=1e-4)
        with torch.no_grad():
            outputs = model(torch.from_numpy(data.test.x)).numpy()
        np.testing.assert_allclose(outputs[:, 0], reconstruct(model, data.test.x).errors, rtol=1e-4)
        assert (outputs[:, 1] == (outputs[:, 0] > threshold)).all()
        assert outputs[data.test.y == 1, 1].mean() > outputs[data.test.y == 0, 1].mean() + 0.5


def test_denoising_metrics_agree_with_torchmetrics() -> None:
    data = dataset(size=16)
    trained_model = build_model(data, variant={"name": "denoising", "amount": 0.2})
    scores = report_of(trained_model, data).scores["test"]
    clean = reconstruct(trained_model.model, data.test.x)
    span = float(clean.original.max() - clean.original.min())
    noise = build_noise(trained_model, trained_model.network_config.variant, clean.original)
    noisy = torch.from_numpy(corrupt_features(trained_model, noise, data.test.x, 3))
    denoised = torch.from_numpy(reconstruct(trained_model.model, data.test.x, noise, 3).reconstructed)
    original = torch.from_numpy(clean.original)
    assert float((noisy - original).std()) == pytest.approx(0.2, rel=0.05)
    for name, images in (("psnr", denoised), ("psnr_noisy", noisy)):
        expected = float(peak_signal_noise_ratio(images, original, data_range=span))
        assert scores[name] == pytest.approx(expected, rel=1e-4)
    ssim = float(structural_similarity_index_measure(denoised, original, data_range=span))
    assert scores["ssim"] == pytest.approx(ssim, rel=1e-4)
    assert scores["psnr_gain"] == pytest.approx(scores["psnr"] - scores["psnr_noisy"])


def test_the_elbo_of_a_code_without_information_is_a_normal_log_likelihood() -> None:
    data = dataset()
    trained_model = build_model(data, variant={"name": "variational"}, mode={"name": "generation"})
    network = trained_model.model.network
    with torch.no_grad():  # the posterior is the prior, and the reconstruction is constant
        for layer in (network.to_latent, network.to_log_variance):
            layer.weight.zero_()
            layer.bias.zero_()
        network.decoder.layers[-1].weight.zero_()
        network.decoder.layers[-1].bias.fill_(0.25)
    scores = report_of(trained_model, data).scores["test"]
    squared_errors = ((PIPELINE(data.test.x).astype(np.float64) - 0.25) ** 2).reshape(len(data.test), -1)
    expected = -144 / 2 * (math.log(2 * math.pi * squared_errors.mean()) + 1)
    assert scores["elbo"] == pytest.approx(expected, rel=1e-5)
    assert (scores["kl"], scores["active_units"]) == (pytest.approx(0, abs=1e-6), 0)


@pytest.mark.parametrize("variant", ["plain", "denoising", "variational"])
def test_every_plot_is_drawn(variant: str) -> None:
    data = dataset()
    plots = report_of(build_model(data, variant={"name": variant}), data).plots
    assert set(plots) >= {
        "reconstructions", "worst_reconstructions", "latent_codes", "errors", "rate_distortion", "learning_curve",
        "gradients",
    }  # fmt: skip
    assert ("samples" in plots) == (variant == "variational")
    assert ("denoised" in plots) == (variant == "denoising")
    for draw in plots.values():
        draw()


def test_generated_images_are_compared_with_real_ones_on_features_or_by_a_reference_classifier() -> None:
    data = dataset()
    trained_model = build_model(data, variant={"name": "variational"}, mode={"name": "generation"})
    scores = report_of(trained_model, data).scores["test"]
    images = generate(trained_model, sample_noise(trained_model, len(data.test), 5, np.arange(0)))
    real, held_out = (torch.from_numpy(PIPELINE(x)).flatten(1) for x in (data.test.x, data.validation.x))
    expected = energy_distance(real, torch.from_numpy(images / 255).flatten(1))
    assert next(iter(scores)) == "energy_distance"
    assert scores["energy_distance"] == pytest.approx(expected, rel=1e-4)
    assert scores["energy_distance_real"] == pytest.approx(energy_distance(real, held_out), rel=1e-4)
    assert {"fid", "kid", "coverage", "elbo", "kl", "active_units", "mse"} <= set(scores)
    classifier = assemble(data, PIPELINE, Mlp(family="mlp", hidden=(3,)), {"name": "net"})
    reference = ReferenceClassifier("net", "0123456789abcdef", classifier)
    report = evaluate("m", trained_model, data, HISTORY, MEASUREMENTS, reference)
    assert {"class_entropy", "class_entropy_real"} <= set(report.scores["test"])
    assert report.scores["test"]["elbo"] == pytest.approx(scores["elbo"])
    assert report.summary[-1].startswith("samples are compared in the feature space of net (0123456789ab)")


def test_the_pca_baseline_is_fitted_to_training_rows_only() -> None:
    data = dataset()
    model = build_model(data).model
    train, test = reconstruct(model, data.train.x), reconstruct(model, data.test.x)
    pca = PCA(4, random_state=3).fit(train.flat_features.astype(np.float64))
    reconstructed = pca.inverse_transform(pca.transform(test.flat_features))
    np.testing.assert_allclose(
        PCABaseline.fit(train, 3).errors(test), ((test.flat_features - reconstructed) ** 2).mean(1), rtol=1e-4
    )


@pytest.mark.parametrize("mode", ["reconstruction", "reduction", "anomaly"])
def test_without_a_target_there_are_no_metrics_that_need_one(mode: str) -> None:
    labeled = dataset()
    schema = labeled.schema.model_copy(update={"task": "unsupervised", "target": "", "classes": ()})
    unlabeled = (Split(rows.x, np.empty((len(rows), 0)), rows.rows) for rows in labeled.splits().values())
    data = Dataset(schema, *unlabeled)
    report = report_of(build_model(data, mode={"name": mode}), data)
    need_target = {
        "knn_accuracy", "pca_knn_accuracy", "roc_auc", "pca_roc_auc", "average_precision", "precision_at_k",
    }  # fmt: skip
    assert not need_target & set(report.scores["test"])
    assert ("alert_rate" in report.scores["test"]) == (mode == "anomaly")
    assert report.scores["test"]["mse"] == report_of(build_model(labeled), labeled).scores["test"]["mse"]
    assert "target" not in report.predictions
    assert set(report.tables["latent_codes"]["class"]) == {"rows"}
    for draw in report.plots.values():
        draw()


def table_dataset() -> tuple[Dataset, Pipeline]:
    """Return a table with numeric columns a and n, the latter with missing values, and a categorical column."""
    random = np.random.default_rng(0)
    x = np.column_stack([random.normal(size=(60, 1)), random.integers(0, 2, 60), random.normal(size=(60, 1))])
    x[::7, 2] = np.nan
    columns = (
        Column(name="a", type="numeric"),
        Column(name="word", type="categorical", categories=("x", "y")),
        Column(name="n", type="numeric"),
    )
    schema = schema_of((3,), 2).model_copy(update={"features": ("a", "word", "n"), "columns": columns})
    data = dataset_of(schema, *[(x, np.arange(60) % 2)] * 3)
    return data, fit_scaling(data.train.x, schema, table_block(missing=MissingValues(add_indicator=True)))


def test_features_of_a_table_are_named_after_columns_and_have_no_psnr() -> None:
    data, pipeline = table_dataset()
    trained_model = build_model(data, pipeline, latent_dim=2, variant={"name": "denoising", "amount": 0.1})
    names = ["a", "n", "n missing", "word=x", "word=y"]
    assert feature_names(trained_model, len(names)) == list(pipeline.feature_names) == names
    report = report_of(trained_model, data)
    assert not {"psnr", "psnr_gain", "pca_psnr_gain", "psnr_noisy"} & set(report.scores["test"])
    bars, *panels = report.plots["reconstructions"]().axes
    assert {label.get_text() for label in bars.get_yticklabels()} == set(names)
    assert [panel.get_xlabel() for panel in panels] == ["original", "reconstruction"]
