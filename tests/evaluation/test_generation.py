"""The evaluation of generators: metrics with their baselines, tables, plots and messages."""

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
    splits = [(x[rows], y[rows]) for rows in (slice(0, 30), slice(30, 45), slice(45, 60))]
    return dataset_of(schema_for(case), *splits)


def report_of(case: Case, reference: ReferenceClassifier | None) -> EvaluationReport:
    trained_model = saved_of(case)
    trained_model.metadata["params"] = {"seed": 0}
    measurements = {"gradient_norm": {"generator.0": [1.0, 2.0], "discriminator.0": [0.5, None]}}
    return evaluate("m", trained_model, dataset(case), HISTORY, measurements, reference)


REFERENCE = ReferenceClassifier("net", "0123456789abcdef", saved_of(CASES["plain gelu"]))
FEATURE_METRICS = ["energy_distance", "fid", "kid", "precision", "recall", "density", "coverage", "c2st"]
TABLE_METRICS = ["c2st_trees", "wasserstein", "correlation_difference", "dcr", "exact_copies"]


@pytest.mark.parametrize(
    ("case", "reference", "metrics"),
    [
        ("gan", None, [*FEATURE_METRICS, *TABLE_METRICS]),
        ("gan of labelled rows", None, [*FEATURE_METRICS, "tstr", *TABLE_METRICS]),
        ("gan dcgan", None, FEATURE_METRICS),
        ("gan stylegan", REFERENCE, [*FEATURE_METRICS, "class_entropy"]),
        ("gan resnet", REFERENCE, [*FEATURE_METRICS, "class_entropy", "class_accuracy", "tstr"]),
    ],
)
def test_every_metric_has_a_baseline_of_real_rows(
    case: str, reference: ReferenceClassifier | None, metrics: list[str], tmp_path: Path
) -> None:
    report = report_of(CASES[case], reference)
    assert list(report.scores) == ["test", "val", "train"]
    expected = [name for metric in metrics for name in (metric, f"{metric}_real")]
    assert all(list(scores) == expected for scores in report.scores.values())
    assert all(np.isfinite(list(scores.values())).all() for scores in report.scores.values())
    save_plots(report.plots, tmp_path / "plots")
    drawn = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert drawn == {*report.tables, "samples"} | ({"real"} if "column_histograms" not in report.tables else set())
    assert ("column_histograms" in report.tables) == (case in ("gan", "gan of labelled rows"))
    assert drawn >= ({"class_proportions"} if reference else set())


def test_predictions_are_generated_rows_of_a_table_or_labels_and_predicted_classes_of_images() -> None:
    case = CASES["gan of labelled rows"]
    frame = report_of(case, None).predictions
    assert list(frame) == [*"abcdefghijkl", "y"]
    assert frame["y"].isin([f"class{i}" for i in range(10)]).all()
    assert len(frame) == 30
    assert list(report_of(CASES["gan resnet"], REFERENCE).predictions) == ["row", "label", "predicted_class"]


def test_the_summary_names_the_feature_space() -> None:
    assert report_of(CASES["gan resnet"], REFERENCE).summary[-1] == (
        "samples are compared in the feature space of net (0123456789ab); results depend on the feature extractor"
    )
    assert report_of(CASES["gan"], None).summary[-1] == (
        "samples are compared on preprocessed features; results depend on the feature extractor"
    )


def test_real_rows_are_closer_to_real_rows_than_samples_of_an_untrained_generator() -> None:
    scores = report_of(CASES["gan dcgan"], None).scores["test"]
    assert scores["kid_real"] < scores["kid"]
    assert scores["fid_real"] < scores["fid"]


def test_noise_includes_the_labels_and_is_reproducible() -> None:
    saved = saved_of(CASES["gan resnet"])
    z = sample_noise(saved, 4, 7, np.array([3, 0, 9, 3]))
    assert z.shape == (4, 22)
    assert z[:, 12:].argmax(1).tolist() == [3, 0, 9, 3]
    assert z[:, 12:].sum() == 4
    assert np.array_equal(generate(saved, z), generate(saved, sample_noise(saved, 4, 7, np.array([3, 0, 9, 3]))))
    assert not np.array_equal(z[:, :12], sample_noise(saved, 4, 8, np.array([3, 0, 9, 3]))[:, :12])


def test_the_learning_curve_shows_distances_of_zero_and_below_and_their_baselines() -> None:
    table = pd.DataFrame(
        {
            "epoch": [1, 2],
            **dict.fromkeys(("discriminator", "generator", "diversity"), 1.0),
            "energy_distance": [0.5, -0.002],
            "kid": [0.1, 0.0],
            "energy_distance_real": -0.001,
            "kid_real": 0.002,
        }
    )
    distances = plot_learning_curve(table, "m").axes[1]
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in distances.lines}
    assert drawn["energy distance"] == [0.5, -0.002]
    assert drawn["KID"] == [0.1, 0.0]
    assert drawn["energy distance, real rows"] == [-0.001, -0.001]
    assert distances.get_ylim()[0] < -0.002


def test_the_learning_curve_has_baselines_if_training_and_evaluation_compare_the_same_features() -> None:
    assert "kid_real" in report_of(CASES["gan dcgan"], None).tables["learning_curve"]
    assert "kid_real" not in report_of(CASES["gan"], None).tables["learning_curve"]


@pytest.mark.parametrize(("n_correct", "is_warned"), [(10, False), (5, True)])
def test_a_reference_classifier_at_chance_level_causes_a_warning(n_correct: int, is_warned: bool) -> None:
    y = np.repeat([0, 1], 5)
    predicted = np.where(np.arange(10) < n_correct, y, 1 - y)
    rows = {"test": Split(np.zeros((10, 1)), y, np.arange(10))}
    features = {"test": ExtractedFeatures(np.zeros((10, 1)), predicted)}
    comparison = GenerationComparison(rows, features, {}, schema_for(CASES["gan"]), print)
    warning = (
        "the reference classifier net is no better than chance: its accuracy on real test rows is 0.5000, the largest"
        " class has a share of 0.5000; metrics computed with it are not meaningful"
    )
    assert reference_warnings(comparison, REFERENCE) == ([warning] if is_warned else [])


def test_the_entropy_of_a_single_class_is_not_negative_zero() -> None:
    assert f"{entropy(np.array([1.0])):.4f}" == "0.0000"


def test_the_scatter_plot_uses_numeric_columns_only() -> None:
    columns = [
        Column(name=name, type=kind) for name, kind in (("w", "categorical"), ("a", "numeric"), ("b", "numeric"))
    ]
    schema = schema_for(CASES["gan"]).model_copy(update={"features": ("w", "a", "b"), "columns": tuple(columns)})
    saved, rows = replace(saved_of(CASES["gan"]), schema=schema), np.zeros((4, 3))
    (axes,) = build_sample_plots("m", saved, rows, rows, 0)["samples"]().axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("a", "b")
    fewer = replace(saved, schema=schema.model_copy(update={"features": ("w", "a"), "columns": tuple(columns[:2])}))
    assert build_sample_plots("m", fewer, rows[:, :2], rows[:, :2], 0) == {}
