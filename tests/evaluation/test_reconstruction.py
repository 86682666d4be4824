"""Scores of autoencoders, against PCA, scikit-learn, torchmetrics and closed forms."""

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
from fivefold.config.training import AutoLoss
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Column, Schema
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.generation.samples import generate
from fivefold.evaluation.reconstruction.metrics import PCABaseline, reconstruct
from fivefold.evaluation.reconstruction.report import METRIC_DESCRIPTIONS, feature_names
from fivefold.evaluation.report import EvaluationReport
from fivefold.models.factory import build_network
from fivefold.models.feature_extractor import ReferenceClassifier, energy_distance
from fivefold.models.serialization import TrainedModel, build_head, build_inference_model, build_input_spec
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

from ..conftest import dataset_of, schema_of, table_block

CHAIN = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))
HISTORY = pd.DataFrame({"epoch": [1], "train/loss": [1.0], "val/loss": [1.0]})
MEASURED: Any = {"gradient_norm": {"layer": [1.0]}}


def dataset(size: int = 12, n: int = 150) -> Dataset:
    """Images of two classes, each a blend of a few patterns: a corner that is light, and a cross."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    patterns = random.random((2, 3, size, size))
    weights = random.random((n, 3))
    x = np.einsum("nk,nkhw->nhw", weights, patterns[y])[:, None] / 3 * 255
    records = Split(x.astype(np.uint8), y, np.arange(n))
    schema = Schema(
        kind="images", task="classification", target="t", features=(), shape=(1, size, size), classes=("a", "b")
    )
    ends = (n // 2, 3 * n // 4, n)
    return Dataset(schema, *(records.take(np.arange(a, b)) for a, b in zip((0, *ends), ends, strict=False)))


def saved(data: Dataset, **network: Any) -> TrainedModel:
    params = Autoencoder.model_validate_json(json.dumps({"family": "autoencoder", "latent": 4, **network}))
    torch.manual_seed(0)
    built = build_network(params, build_input_spec(data.schema, CHAIN, AutoLoss(name="auto")))
    output = build_head(params, data.schema, CHAIN, AutoLoss(name="auto"))
    model = build_inference_model(params, data.schema, CHAIN, built, output).eval()
    return TrainedModel(model, data.schema, params, AutoLoss(name="auto"), {"name": "m", "params": {"seed": 3}})


def linear(data: Dataset, **network: Any) -> TrainedModel:
    """An autoencoder that is a PCA: its weights are the components."""
    found = saved(data, hidden=[], **network)
    flat = CHAIN(data.train.x).reshape(len(data.train), -1)
    pca = PCA(4, random_state=3).fit(flat.astype(np.float64))
    inner = found.model.network
    with torch.no_grad():
        inner.to_code.view_parameter.copy_(torch.from_numpy(pca.components_))
        inner.to_code.bias.copy_(torch.from_numpy(-pca.components_ @ pca.mean_))
        inner.decoder.layers[-1].view_parameter.copy_(torch.from_numpy(pca.components_.T))
        inner.decoder.layers[-1].bias.copy_(torch.from_numpy(pca.mean_))
    return found


def report(found: TrainedModel, data: Dataset) -> EvaluationReport:
    return evaluate("m", found, data, HISTORY, MEASURED)


def test_an_autoencoder_that_is_a_pca_scores_like_one() -> None:
    data = dataset()
    scores = report(linear(data), data).scores
    for part in ("test", "val", "train"):
        assert scores[part]["mse"] == pytest.approx(scores[part]["pca_mse"], rel=1e-3)
        assert scores[part]["knn_accuracy"] == scores[part]["pca_knn_accuracy"]
    assert scores["train"]["mse"] == pytest.approx(_left(data), rel=1e-3)


def _left(data: Dataset) -> float:
    """The variance that four components leave, by singular values."""
    flat = CHAIN(data.train.x).reshape(len(data.train), -1).astype(np.float64)
    values = np.linalg.svd(flat - flat.mean(0), compute_uv=False)
    return float((values[4:] ** 2).sum() / flat.size)


def test_every_score_has_a_unit_and_a_line() -> None:
    data = dataset()
    found = report(saved(data), data)
    assert set(found.scores["test"]) <= set(METRIC_DESCRIPTIONS)
    assert len(found.summary) == len(found.scores["test"])
    assert found.summary[0].startswith("mse ")


def test_codes_stand_in_a_table_for_every_row() -> None:
    data = dataset()
    found = saved(data)
    frame = report(found, data).predictions
    assert list(frame.columns) == ["row", "set", "target", "error", "code_0", "code_1", "code_2", "code_3"]
    assert frame["set"].value_counts().to_dict() == {"train": 75, "validation": 37, "test": 38}
    with torch.no_grad():
        codes = found.model.network.encode(torch.from_numpy(CHAIN(data.test.x))).numpy()
    np.testing.assert_allclose(frame[frame["set"] == "test"].filter(like="code_").to_numpy(), codes, rtol=1e-5)


def test_an_autoencoder_that_is_a_pca_is_kept_in_as_many_bits() -> None:
    data = dataset()
    table = report(linear(data), data).tables["compression"]
    assert (table.autoencoder.diff().dropna() <= 1e-9).all()
    np.testing.assert_allclose(table.autoencoder, table.pca, rtol=0.02)
    assert table.rate.iloc[-1] < 8 * 4 / 144


class TestAnomalies:
    def test_errors_are_scored_like_scikit_learn_scores_them(self) -> None:
        data = dataset()
        found = saved(data, mode={"name": "anomaly", "normal": ["a"]})
        found.model.head.threshold.fill_(0.1)
        scores, frame = report(found, data).scores["test"], report(found, data).predictions
        test = frame[frame["set"] == "test"]
        assert next(iter(scores)) == "auroc"
        assert scores["auroc"] == pytest.approx(roc_auc_score(test.target == "b", test.error))
        assert scores["flagged_anomalies"] == pytest.approx((test.error > 0.1)[test.target == "b"].mean())
        odd = int((test.target == "b").sum())
        worst = test.sort_values("error", ascending=False, kind="stable").head(odd)
        assert scores["precision_at_k"] == pytest.approx((worst.target == "b").mean())
        assert (test.anomaly == (test.error > 0.1)).all()

    def test_normal_rows_are_told_beside_a_pca_of_normal_rows(self) -> None:
        data = dataset()
        found = report(saved(data, mode={"name": "anomaly", "normal": ["a"]}), data)
        train, test = (
            CHAIN(records.x[records.y == 0]).reshape(-1, 144).astype(np.float64) for records in (data.train, data.test)
        )
        golden = PCA(4, random_state=3).fit(train)
        left = (test - golden.inverse_transform(golden.transform(test))) ** 2
        assert found.scores["test"]["pca_mse"] == pytest.approx(left.mean(), rel=1e-4)
        frame = found.predictions[found.predictions["set"] == "test"]
        assert found.scores["test"]["mse"] == pytest.approx(frame.error[frame.target == "a"].mean())
        variance = ((test - train.mean(0)) ** 2).mean()
        assert found.scores["test"]["explained"] == pytest.approx(1 - found.scores["test"]["mse"] / variance, rel=1e-4)

    def test_rows_without_classes_have_a_share_that_is_flagged(self) -> None:
        data = dataset()
        found = saved(data, mode={"name": "anomaly"})
        found.model.head.threshold.fill_(0.1)
        assert next(iter(report(found, data).scores["test"])) == "flagged"

    def test_a_trained_one_takes_its_threshold_from_normal_validation_rows(self, tmp_path: Path) -> None:
        data = dataset()
        tree = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {
                "family": "autoencoder",
                "latent": 3,
                "mode": {"name": "anomaly", "normal": ["a"], "quantile": 0.8},
            },
            "training": {"max_epochs": 30, "patience": 0, "optimizer": {"name": "adamw", "lr": 0.003}},
        }
        fitted = fit(
            "m",
            Model.model_validate_json(json.dumps(tree)),
            data,
            CHAIN,
            seed=0,
            checkpoint_folder=tmp_path,
            on_epoch=lambda *_: None,
        )
        held_out = data.validation.take(np.flatnonzero(data.validation.y == 0))
        errors = reconstruct(fitted.trained_model.model, held_out.x).errors
        threshold = float(fitted.trained_model.model.head.get_buffer("threshold"))
        assert threshold == pytest.approx(np.quantile(errors, 0.8), rel=1e-4)
        with torch.no_grad():
            told = fitted.trained_model.model(torch.from_numpy(data.test.x)).numpy()
        np.testing.assert_allclose(told[:, 0], reconstruct(fitted.trained_model.model, data.test.x).errors, rtol=1e-4)
        assert (told[:, 1] == (told[:, 0] > threshold)).all()
        assert told[data.test.y == 1, 1].mean() > told[data.test.y == 0, 1].mean() + 0.5


def test_noise_that_is_taken_away_is_told_in_decibels() -> None:
    data = dataset(size=16)
    found = saved(data, variant={"name": "denoising", "amount": 0.2})
    scores = report(found, data).scores["test"]
    clean = reconstruct(found.model, data.test.x)
    span = float(clean.original.max() - clean.original.min())
    from fivefold.evaluation.reconstruction.metrics import build_noise, corrupt_features

    noise = build_noise(found, found.network_config.variant, clean.original)
    noisy = torch.from_numpy(corrupt_features(found, noise, data.test.x, 3))
    told = torch.from_numpy(reconstruct(found.model, data.test.x, noise, 3).reconstructed)
    truth = torch.from_numpy(clean.original)
    assert float((noisy - truth).std()) == pytest.approx(0.2, rel=0.05)
    for name, images in (("psnr", told), ("psnr_noisy", noisy)):
        assert scores[name] == pytest.approx(float(peak_signal_noise_ratio(images, truth, data_range=span)), rel=1e-4)
    golden = float(structural_similarity_index_measure(told, truth, data_range=span))
    assert scores["ssim"] == pytest.approx(golden, rel=1e-4)
    assert scores["gain"] == pytest.approx(scores["psnr"] - scores["psnr_noisy"])


def test_the_bound_of_a_code_without_information_is_a_normal_likelihood() -> None:
    data = dataset()
    found = saved(data, variant={"name": "variational"}, mode={"name": "generation"})
    with torch.no_grad():  # the code says nothing, and the mean is told
        for layer in (found.model.network.to_code, found.model.network.to_log_variance):
            layer.view_parameter.zero_()
            layer.bias.zero_()
        last = found.model.network.decoder.layers[-1]
        last.view_parameter.zero_()
        last.bias.fill_(0.25)
    scores = report(found, data).scores["test"]
    square = ((CHAIN(data.test.x).astype(np.float64) - 0.25) ** 2).reshape(len(data.test), -1)
    golden = -144 / 2 * (math.log(2 * math.pi * square.mean()) + 1)
    assert scores["elbo"] == pytest.approx(golden, rel=1e-5)
    assert (scores["divergence"], scores["active"]) == (pytest.approx(0, abs=1e-6), 0)


@pytest.mark.parametrize("variant", ["plain", "denoising", "variational"])
def test_every_picture_is_drawn(variant: str) -> None:
    data = dataset()
    found = report(saved(data, variant={"name": variant}), data)
    assert {"records", "worst", "codes", "errors", "compression", "learning_curve", "gradients"} <= set(found.plots)
    assert ("samples" in found.plots) == (variant == "variational")
    assert ("denoised" in found.plots) == (variant == "denoising")
    for picture in found.plots.values():
        picture()


def test_images_made_of_noise_are_scored_beside_real_rows_and_as_a_judge_sees_them() -> None:
    data = dataset()
    found = saved(data, variant={"name": "variational"}, mode={"name": "generation"})
    scores = report(found, data).scores["test"]
    made = generate(found, sample_noise(found, len(data.test), 5, np.arange(0)))
    real, other = (torch.from_numpy(CHAIN(x)).flatten(1) for x in (data.test.x, data.validation.x))
    assert next(iter(scores)) == "energy_distance"
    assert scores["energy_distance"] == pytest.approx(
        energy_distance(real, torch.from_numpy(made / 255).flatten(1)), rel=1e-4
    )
    assert scores["energy_distance_floor"] == pytest.approx(energy_distance(real, other), rel=1e-4)
    assert {"fid", "kid", "coverage", "elbo", "divergence", "active", "mse"} <= set(scores)
    tree = {"family": "mlp", "hidden": [3]}
    chosen = Model.model_validate_json(
        json.dumps(
            {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": tree, "training": {}}
        )
    )
    params, loss = chosen.network, AutoLoss(name="auto")
    built = build_network(params, build_input_spec(data.schema, CHAIN, loss))
    classifier = build_inference_model(
        params, data.schema, CHAIN, built, build_head(params, data.schema, CHAIN, loss)
    ).eval()
    expert = ReferenceClassifier(
        "net", "0123456789abcdef", TrainedModel(classifier, data.schema, params, loss, {"name": "net"})
    )
    judged = evaluate("m", found, data, HISTORY, MEASURED, expert)
    assert {"entropy", "entropy_floor"} <= set(judged.scores["test"])
    assert judged.scores["test"]["elbo"] == pytest.approx(scores["elbo"])
    assert judged.summary[-1].startswith("records are compared as net (0123456789ab) sees them")


def test_linear_is_fitted_to_training_rows_alone() -> None:
    data = dataset()
    found = saved(data)
    train, test = reconstruct(found.model, data.train.x), reconstruct(found.model, data.test.x)
    golden = PCA(4, random_state=3).fit(train.flat_features.astype(np.float64))
    back = golden.inverse_transform(golden.transform(test.flat_features))
    np.testing.assert_allclose(
        PCABaseline.fit(train, 3).errors(test), ((test.flat_features - back) ** 2).mean(1), rtol=1e-4
    )


@pytest.mark.parametrize("mode", ["reconstruction", "reduction", "anomaly"])
def test_without_a_target_no_score_asks_for_one(purpose: str) -> None:
    labelled = dataset()
    schema = labelled.schema.model_copy(update={"task": "unsupervised", "target": "", "classes": ()})
    nothing = (Split(each.x, np.empty((len(each), 0)), each.rows) for each in labelled.splits().values())
    data = Dataset(schema, *nothing)
    found = report(saved(data, mode={"name": purpose}), data)
    asks = {"knn_accuracy", "pca_knn_accuracy", "auroc", "pca_auroc", "average_precision", "precision_at_k"}
    assert not asks & set(found.scores["test"])
    assert ("flagged" in found.scores["test"]) == (purpose == "anomaly")
    assert found.scores["test"]["mse"] == report(saved(labelled), labelled).scores["test"]["mse"]
    assert "target" not in found.predictions
    assert set(found.tables["codes"]["class"]) == {"rows"}
    for draw in found.plots.values():
        draw()


def rows_of_words() -> tuple[Dataset, Pipeline]:
    """Numbers a and n, with a gap, and a word between them."""
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


def test_a_table_s_features_have_their_columns_names_and_no_decibels() -> None:
    data, chain = rows_of_words()
    params = Autoencoder.model_validate_json(
        json.dumps({"family": "autoencoder", "latent": 2, "variant": {"name": "denoising", "amount": 0.1}})
    )
    loss = AutoLoss(name="auto")
    built = build_network(params, build_input_spec(data.schema, chain, loss))
    model = build_inference_model(
        params, data.schema, chain, built, build_head(params, data.schema, chain, loss)
    ).eval()
    found = TrainedModel(model, data.schema, params, loss, {"name": "m", "params": {"seed": 3}})
    assert (
        feature_names(found, len(chain.feature_names))
        == list(chain.feature_names)
        == ["a", "n", "n missing", "word=x", "word=y"]
    )
    told = report(found, data)
    assert not {"psnr", "gain", "pca_gain", "psnr_noisy"} & set(told.scores["test"])
    bars, *rows = told.plots["records"]().axes
    assert {label.get_text() for label in bars.get_yticklabels()} == set(chain.feature_names)
    assert [panel.get_xlabel() for panel in rows] == ["record", "told"]
