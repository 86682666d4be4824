"""The report of a generator: what its records are compared with, and what is told of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Column
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.generation.metrics import entropy
from fivefold.evaluation.generation.plots import build_sample_plots, plot_learning_curve
from fivefold.evaluation.generation.report import GenerationComparison, reference_warnings
from fivefold.evaluation.generation.samples import ExtractedFeatures, generate, sample_noise
from fivefold.evaluation.plots import save_plots
from fivefold.evaluation.report import EvaluationReport
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.models.serialization import TrainedModel

from ..models.helpers import CASES, Case, records, saved_of, schema_for

HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2],
        "train/discriminator": [1.3, 1.2],
        "train/generator": [0.7, 0.8],
        "val/energy_distance": [np.nan, 0.2],
        "val/kid": [np.nan, 0.1],
        "val/diversity": [np.nan, 0.9],
    }
)


def dataset(case: Case) -> Dataset:
    from ..conftest import dataset_of

    random = np.random.default_rng(0)
    x = np.concatenate([np.nan_to_num(records(case), nan=50.0).astype(records(case).dtype)] * 3)
    y = random.integers(0, case.classes, len(x)) if case.classes else np.empty((len(x), 0))
    parts = [(x[part], y[part]) for part in (slice(0, 30), slice(30, 45), slice(45, 60))]
    return dataset_of(schema_for(case), *parts)


def with_seed(saved: TrainedModel) -> TrainedModel:
    saved.metadata["params"] = {"seed": 0}
    return saved


def report_of(case: Case, expert: ReferenceClassifier | None) -> EvaluationReport:
    return evaluate(
        "m",
        with_seed(saved_of(case)),
        dataset(case),
        HISTORY,
        {"gradient": {"generator.0": [1.0, 2.0], "discriminator.0": [0.5, None]}},
        expert,
    )


EXPERT = ReferenceClassifier("net", "0123456789abcdef", saved_of(CASES["stack gelu"]))
OWN = ["energy_distance", "fid", "kid", "precision", "recall", "density", "coverage", "two_sample"]
OF_ROWS = ["two_sample_trees", "wasserstein", "correlation", "nearest", "copies"]


@pytest.mark.parametrize(
    ("case", "expert", "scores"),
    [
        ("gan", None, [*OWN, *OF_ROWS]),
        ("gan of labelled rows", None, [*OWN, "taught", *OF_ROWS]),
        ("gan dcgan", None, OWN),
        ("gan stylegan", EXPERT, [*OWN, "entropy"]),
        ("gan resnet", EXPERT, [*OWN, "entropy", "agreement", "taught"]),
    ],
)
def test_every_score_stands_beside_that_of_real_rows(
    case: str, expert: ReferenceClassifier | None, scores: list[str], tmp_path: Path
) -> None:
    found = report_of(CASES[case], expert)
    assert list(found.scores) == ["test", "val", "train"]
    expected = [name for score in scores for name in (score, f"{score}_floor")]
    assert all(list(each) == expected for each in found.scores.values())
    assert all(np.isfinite(list(each.values())).all() for each in found.scores.values())
    save_plots(found.plots, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {*found.tables, "samples"} | ({"real"} if "columns" not in found.tables else set())
    assert ("columns" in found.tables) == (case in ("gan", "gan of labelled rows"))
    assert drawn >= ({"classes"} if expert else set())


def test_rows_are_told_as_many_as_there_are_training_rows_and_images_with_the_class_asked_for_and_the_one_seen() -> (
    None
):
    case = CASES["gan of labelled rows"]
    frame = report_of(case, None).predictions
    assert list(frame) == [*"abcdefghijkl", "y"]
    assert frame["y"].isin([f"class{i}" for i in range(10)]).all()
    assert len(frame) == 30
    assert list(report_of(CASES["gan resnet"], EXPERT).predictions) == ["row", "asked", "seen"]


def test_the_judge_is_named_where_there_is_one() -> None:
    assert report_of(CASES["gan resnet"], EXPERT).summary[-1] == (
        "records are compared as net (0123456789ab) sees them; other judges see other numbers"
    )
    assert report_of(CASES["gan"], None).summary[-1].startswith("records are compared by their own features")


def test_the_same_rows_are_as_like_as_can_be() -> None:
    scores = report_of(CASES["gan dcgan"], None).scores["test"]
    assert scores["kid_floor"] < scores["kid"]
    assert scores["fid_floor"] < scores["fid"]


def test_noise_asks_for_classes_and_is_the_same_for_the_same_seed() -> None:
    saved = saved_of(CASES["gan resnet"])
    z = sample_noise(saved, 4, 7, np.array([3, 0, 9, 3]))
    assert z.shape == (4, 22)
    assert z[:, 12:].argmax(1).tolist() == [3, 0, 9, 3]
    assert z[:, 12:].sum() == 4
    assert np.array_equal(generate(saved, z), generate(saved, sample_noise(saved, 4, 7, np.array([3, 0, 9, 3]))))
    assert not np.array_equal(z[:, :12], sample_noise(saved, 4, 8, np.array([3, 0, 9, 3]))[:, :12])


def test_distances_at_zero_and_below_stay_in_the_learning_curve_beside_the_floor() -> None:
    table = pd.DataFrame(
        {
            "epoch": [1, 2],
            **dict.fromkeys(("discriminator", "generator", "diversity"), 1.0),
            "energy_distance": [0.5, -0.002],
            "kid": [0.1, 0.0],
            "energy_distance_floor": -0.001,
            "kid_floor": 0.002,
        }
    )
    distances = plot_learning_curve(table, "m").axes[1]
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in distances.lines}
    assert drawn["energy distance"] == [0.5, -0.002]
    assert drawn["KID"] == [0.1, 0.0]
    assert drawn["energy distance, real rows"] == [-0.001, -0.001]
    assert distances.get_ylim()[0] < -0.002


def test_the_floor_of_a_learning_curve_is_there_where_a_training_compares_as_a_report_does() -> None:
    assert "kid_floor" in report_of(CASES["gan dcgan"], None).tables["learning_curve"]
    assert "kid_floor" not in report_of(CASES["gan"], None).tables["learning_curve"]


@pytest.mark.parametrize(("right", "said"), [(10, False), (5, True)])
def test_a_judge_that_only_guesses_is_named(right: int, said: bool) -> None:
    truth = np.repeat([0, 1], 5)
    seen = np.where(np.arange(10) < right, truth, 1 - truth)
    rows = {"test": Split(np.zeros((10, 1)), truth, np.arange(10))}
    found = reference_warnings(
        GenerationComparison(
            rows, {"test": ExtractedFeatures(np.zeros((10, 1)), seen)}, {}, schema_for(CASES["gan"]), print
        ),
        EXPERT,
    )
    text = (
        "the judge net is no better than guessing: it tells 0.5000 of real test rows, and their largest class is 0.5000"
    )
    assert [line.partition(" of them;")[0] for line in found] == ([text] if said else [])


def test_the_entropy_of_one_class_has_no_sign() -> None:
    assert f"{entropy(np.array([1.0])):.4f}" == "0.0000"


def test_rows_are_drawn_by_numeric_columns_alone() -> None:
    columns = [
        Column(name=name, type=kind) for name, kind in (("w", "categorical"), ("a", "numeric"), ("b", "numeric"))
    ]
    schema = schema_for(CASES["gan"]).model_copy(update={"features": ("w", "a", "b"), "columns": tuple(columns)})
    saved, rows = replace(saved_of(CASES["gan"]), schema=schema), np.zeros((4, 3))
    (axes,) = build_sample_plots("m", saved, rows, rows, 0)["samples"]().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    fewer = replace(saved, schema=schema.model_copy(update={"features": ("w", "a"), "columns": tuple(columns[:2])}))
    assert build_sample_plots("m", fewer, rows[:, :2], rows[:, :2], 0) == {}
