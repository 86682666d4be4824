"""The evaluation of image translators, with generators whose translations are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from fivefold.config.networks.cnn import PlainCnn
from fivefold.data.dataset import Dataset
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.plots import save_plots
from fivefold.evaluation.report import EvaluationReport
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.models.serialization import TrainedModel

from ..conftest import dataset_of
from ..models.helpers import CASES, DIGIT, Case, saved_of, schema_for

CASE = CASES["cyclegan"]

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "train/generator": [1.3, 1.2],
        "train/discriminator_a": [0.7, 0.8],
        "train/discriminator_b": [0.6, 0.9],
        "val/translation_score": [np.nan, 0.2],
        "val/kid": [np.nan, 0.1],
        "val/cycle_l1": [np.nan, 0.1],
        "val/diversity": [np.nan, 0.9],
        "lr": [0.1, 0.1],
    }
)


class Inverse(nn.Module):
    """Inverts images: as features are pixels / 64 - 2, a pixel x becomes 256 - x."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


class Brighter(nn.Module):
    """Brightens images: a pixel x becomes x + 32."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5


def dataset() -> Dataset:
    """Return images with pixels from 1 to 100; those of the second class are inverted."""
    random = np.random.default_rng(0)
    x, y = random.integers(1, 101, (60, *DIGIT)), np.arange(60) % 3 % 2
    x[y == 1] = 256 - x[y == 1]
    splits = [(x[rows].astype(np.uint8), y[rows]) for rows in (slice(0, 30), slice(30, 45), slice(45, 60))]
    return dataset_of(schema_for(CASE), *splits)


class BrightnessClassifier(nn.Module):
    """Predicts the second class if the mean feature is above 0, that is the mean pixel above 128."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(x.flatten(1).mean(1, keepdim=True))
        return logits


def translator(generator: type[nn.Module]) -> TrainedModel:
    trained_model = saved_of(CASE)
    trained_model.metadata["params"] = {"seed": 0}
    generators = trained_model.model.network.get_submodule("generator.by_target")
    assert isinstance(generators, nn.ModuleList)
    generators[0], generators[1] = generator(), generator()
    return trained_model


def brightness_reference() -> ReferenceClassifier:
    classifier = saved_of(
        Case(PlainCnn(family="cnn", architecture="plain", channels=(4,), dense=(6,)), DIGIT, classes=2)
    )
    classifier.model.network = BrightnessClassifier()
    return ReferenceClassifier("net", "0123456789abcdef", classifier)


def report_of(generator: type[nn.Module], reference: ReferenceClassifier | None) -> EvaluationReport:
    return evaluate("m", translator(generator), dataset(), HISTORY, {"gradient_norm": {}}, reference)


FEATURE_METRICS = ["cycle_l1", "kid", "kid_real", "kid_source", "identity_l1"]


def test_scores_and_plots_of_a_perfect_translation(tmp_path: Path) -> None:
    report = report_of(Inverse, brightness_reference())
    assert list(report.scores) == ["test", "val", "train"]
    names = ["target_rate", *FEATURE_METRICS, "target_rate_real"]
    assert list(report.scores["test"]) == [*names, *(f"{name}_{to}" for to in ("to_a", "to_b") for name in names)]
    for scores in report.scores.values():
        assert scores["target_rate"] == scores["target_rate_real"] == scores["target_rate_to_a"] == 1
        assert scores["cycle_l1"] == pytest.approx(0, abs=1e-6)
        assert scores["kid"] < 0.01 * scores["kid_source"]
    test = dataset().test
    expected = [np.abs(256 - 2.0 * test.x[test.y == i]).mean() / 255 for i in (0, 1)]
    assert report.scores["test"]["identity_l1_to_a"] == pytest.approx(expected[0])
    assert report.scores["test"]["identity_l1"] == pytest.approx(np.mean(expected))
    save_plots(report.plots, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {*report.tables, "to_a", "to_b"}
    assert list(report.tables["learning_curve"]) == [
        *("epoch", "generator", "discriminator_a", "discriminator_b", "kid", "cycle_l1", "diversity")
    ]


def test_unchanged_images_have_target_rate_zero_and_the_kid_of_the_source() -> None:
    scores = report_of(nn.Identity, brightness_reference()).scores["test"]
    assert scores["target_rate"] == 0
    assert scores["cycle_l1"] == scores["identity_l1"] == 0
    assert scores["kid"] == pytest.approx(scores["kid_source"])


def test_l1_metrics_are_relative_to_the_range_of_pixels() -> None:
    scores = report_of(Brighter, None).scores["test"]
    test = dataset().test
    images = {i: test.x[test.y == i].astype(float) for i in (0, 1)}
    assert scores["cycle_l1_to_b"] == pytest.approx(64 / 255)  # images of the first class are dark: nothing is clipped
    assert scores["cycle_l1_to_a"] == pytest.approx(np.abs(np.minimum(images[1] + 64, 255) - images[1]).mean() / 255)
    assert scores["identity_l1_to_a"] == pytest.approx(32 / 255)


def test_predictions_have_one_row_per_image() -> None:
    predictions, test = report_of(Inverse, brightness_reference()).predictions, dataset().test
    assert list(predictions) == ["row", "source_class", "target_class", "predicted_class", "cycle_l1"]
    assert predictions["row"].tolist() == test.rows.tolist()
    assert predictions["source_class"].tolist() == [f"class{i}" for i in test.y]
    assert (predictions["predicted_class"] == predictions["target_class"]).all()
    assert (predictions["source_class"] != predictions["target_class"]).all()


def test_without_a_reference_classifier_pixels_are_compared_and_there_are_no_predicted_classes() -> None:
    report = report_of(Inverse, None)
    assert list(report.scores["test"])[: len(FEATURE_METRICS)] == FEATURE_METRICS
    assert "predicted_class" not in report.predictions
    assert report.summary[-1] == "images are compared on pixels, because there is no reference classifier"
    assert report_of(Inverse, brightness_reference()).summary[0] == (
        "target_rate 1.0000, to class0 1.0000, to class1 1.0000; real images 1.0000 (fraction that the reference"
        " classifier assigns to the target class; higher is better)"
    )
