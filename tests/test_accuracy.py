"""`benchmarks.bench_accuracy` measures on the right rows, and writes what it measures."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_accuracy as accuracy
from benchmarks import measure, readme
from benchmarks.measure import ROOT, Result
from fivefold.config.loading import load_params


def test_every_row_of_a_cross_validated_dataset_is_a_test_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = load_params().dataset("breast_cancer")
    datasets = list(accuracy.splits("breast_cancer", block, 0))
    test_rows = np.concatenate([dataset.test.rows for dataset in datasets])
    assert np.array_equal(np.sort(test_rows), np.arange(569))
    assert len(datasets) == 5
    for dataset in datasets:
        all_rows = np.concatenate([split.rows for split in dataset.splits().values()])
        assert np.array_equal(np.sort(all_rows), np.arange(569))
        assert len(dataset.validation) == pytest.approx(len(dataset.train) / 6, abs=1)


def test_seed_changes_the_split_unless_time_determines_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    params = load_params()
    for name, is_same in (("concrete", False), ("sunspots", True)):
        first, second = (next(accuracy.splits(name, params.dataset(name), seed)).test.rows for seed in (0, 1))
        assert np.array_equal(first, second) == is_same


def test_limits_are_of_existing_models() -> None:
    models = {
        f"{example}/{name}"
        for example, folder in accuracy.folders().items()
        for name in load_params(folder / "params.yaml").models
    }
    assert set(accuracy.BARS) <= models
    assert len(models) >= 12


def test_reported_option_adds_reports_of_models_without_measurements(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {"dataset": "italy", "metric": "accuracy", "mean": 0.99, "deviation": None, "folds": None, "runs": [{}]}
    (tmp_path / "accuracy.json").write_text(json.dumps({"measured": {"ucr/italy_lstm": measured}}))
    for module in (accuracy, measure, readme):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["bench_accuracy", "--reported", "ucr", "fashion_mnist_gpu"])
    assert accuracy.main() == 0
    entries = json.loads((tmp_path / "accuracy.json").read_text())["measured"]
    assert list(entries) == ["ucr/italy_lstm", "ucr/leaf_resnet", "ucr/pickup_resnet"]
    assert entries["ucr/italy_lstm"] == measured
    report = "examples/ucr/reports/leaf_resnet/metrics.json"
    scores = json.loads((ROOT / report).read_text())["test"]
    leaf = entries["ucr/leaf_resnet"]
    assert (leaf["reported"], leaf["mean"], leaf["metric"]) == (report, scores["accuracy"], "accuracy")
    assert leaf["runs"] == [{"seed": 42, "scores": scores}]
    assert readme.means("ucr") == {"italy_lstm": "accuracy 0.9900, 1 seed"}
    output = capsys.readouterr().out
    assert "fashion_mnist_gpu/fashion_resnet is skipped: examples/fashion_mnist_gpu/reports/" in output
    assert "1, reported" in output
    assert "RESULT ucr/leaf_resnet" in output


@pytest.mark.parametrize(
    ("result", "line"),
    [
        (Result("a", 0.9, 0.8, "higher"), "RESULT a 0.9 hold 0.8 PASS"),
        (Result("a", 0.7, 0.8, "higher"), "RESULT a 0.7 hold 0.8 FAIL"),
        (Result("a", 0.9, 0.8), "RESULT a 0.9 hold 0.8 FAIL"),
        (Result("a", 0.8, 0.8), "RESULT a 0.8 hold 0.8 PASS"),
    ],
)
def test_limit_is_a_lower_or_an_upper_one(result: Result, line: str) -> None:
    assert str(result) == line
