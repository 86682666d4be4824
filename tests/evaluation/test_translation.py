"""The report of a translator, against generators whose translations are known."""

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
    """Features are pixels / 64 - 2: what is x becomes 256 - x."""

    def forward(self, x: Tensor) -> Tensor:
        return -x


class Whiter(nn.Module):
    """What is x becomes x + 32."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.5


def dataset() -> Dataset:
    """Images of pixels from 1 to 100, those of the second class inverted."""
    random = np.random.default_rng(0)
    x, y = random.integers(1, 101, (60, *DIGIT)), np.arange(60) % 3 % 2
    x[y == 1] = 256 - x[y == 1]
    parts = [(x[part].astype(np.uint8), y[part]) for part in (slice(0, 30), slice(30, 45), slice(45, 60))]
    return dataset_of(schema_for(CASE), *parts)


class Bright(nn.Module):
    """A classifier by the mean of features: the second class if it is above 0, so if pixels are above 128."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
            self.head.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        told: Tensor = self.head(x.flatten(1).mean(1, keepdim=True))
        return told


def translator(generator: type[nn.Module]) -> TrainedModel:
    saved = saved_of(CASE)
    saved.metadata["params"] = {"seed": 0}
    into = saved.model.network.get_submodule("generator.into")
    assert isinstance(into, nn.ModuleList)
    into[0], into[1] = generator(), generator()
    return saved


def expert() -> ReferenceClassifier:
    classifier = saved_of(
        Case(PlainCnn(family="cnn", architecture="stack", channels=(4,), dense=(6,)), DIGIT, classes=2)
    )
    classifier.model.network = Bright()
    return ReferenceClassifier("net", "0123456789abcdef", classifier)


def report(generator: type[nn.Module], who: ReferenceClassifier | None) -> EvaluationReport:
    return evaluate("m", translator(generator), dataset(), HISTORY, {"gradient": {}}, who)


MEANS = ["cycle_l1", "kid", "kid_floor", "kid_before", "identity_l1"]


def test_a_perfect_translation_is_told_as_one(tmp_path: Path) -> None:
    found = report(Inverse, expert())
    assert list(found.scores) == ["test", "val", "train"]
    names = ["target_rate", *MEANS, "target_rate_floor"]
    assert list(found.scores["test"]) == [*names, *(f"{name}_{side}" for side in ("first", "second") for name in names)]
    for scores in found.scores.values():
        assert scores["target_rate"] == scores["target_rate_floor"] == scores["target_rate_first"] == 1
        assert scores["cycle_l1"] == pytest.approx(0, abs=1e-6)
        assert scores["kid"] < 0.01 * scores["kid_before"]
    test = dataset().test
    own = [np.abs(256 - 2.0 * test.x[test.y == i]).mean() / 255 for i in (0, 1)]
    assert found.scores["test"]["identity_l1_first"] == pytest.approx(own[0])
    assert found.scores["test"]["identity_l1"] == pytest.approx(np.mean(own))
    save_plots(found.plots, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {*found.tables, "into_first", "into_second"}
    assert list(found.tables["learning_curve"]) == [
        *("epoch", "generator", "discriminator_a", "discriminator_b", "kid", "cycle_l1", "diversity")
    ]


def test_one_that_leaves_images_as_they_are_is_found_out() -> None:
    scores = report(nn.Identity, expert()).scores["test"]
    assert scores["target_rate"] == 0
    assert scores["cycle_l1"] == scores["identity_l1"] == 0
    assert scores["kid"] == pytest.approx(scores["kid_before"])


def test_what_is_lost_on_the_way_there_and_back_is_a_share_of_the_range_of_pixels() -> None:
    scores = report(Whiter, None).scores["test"]
    test = dataset().test
    truth = {i: test.x[test.y == i].astype(float) for i in (0, 1)}
    assert scores["cycle_l1_second"] == pytest.approx(64 / 255)  # of the first class, which is dark
    assert scores["cycle_l1_first"] == pytest.approx(np.abs(np.minimum(truth[1] + 64, 255) - truth[1]).mean() / 255)
    assert scores["identity_l1_first"] == pytest.approx(32 / 255)


def test_images_are_told_row_by_row() -> None:
    found, test = report(Inverse, expert()).predictions, dataset().test
    assert list(found) == ["row", "from", "to", "judged", "cycle_l1"]
    assert found["row"].tolist() == test.rows.tolist()
    assert found["from"].tolist() == [f"class{i}" for i in test.y]
    assert (found["judged"] == found["to"]).all()
    assert (found["from"] != found["to"]).all()


def test_without_a_judge_pixels_are_compared_and_nobody_says_what_images_are_taken_for() -> None:
    found = report(Inverse, None)
    assert list(found.scores["test"])[: len(MEANS)] == MEANS
    assert "judged" not in found.predictions
    assert found.summary[-1] == "images are compared by their pixels, since there is no judge"
    assert (
        report(Inverse, expert())
        .summary[0]
        .startswith("target_rate 1.0000, into class0 1.0000, into class1 1.0000; of")
    )
