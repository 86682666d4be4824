"""What `benchmarks.bench_accuracy` measures is measured on the right rows, and what it says is what it kept."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bench_accuracy as accuracy
from benchmarks import measure, readme
from benchmarks.measure import ROOT, Result
from fivefold.config.loading import load_params


def test_every_row_of_a_dataset_in_folds_is_a_test_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    block = load_params().dataset("breast_cancer")
    datasets = list(accuracy.divided("breast_cancer", block, 0))
    tested = np.concatenate([dataset.test.rows for dataset in datasets])
    assert np.array_equal(np.sort(tested), np.arange(569))
    assert len(datasets) == 5
    for dataset in datasets:
        every = np.concatenate([part.rows for part in dataset.splits().values()])
        assert np.array_equal(np.sort(every), np.arange(569))
        assert len(dataset.validation) == pytest.approx(len(dataset.train) / 6, abs=1)


def test_a_seed_divides_rows_unless_time_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    params = load_params()
    for name, same in (("concrete", False), ("sunspots", True)):
        first, second = (next(accuracy.divided(name, params.dataset(name), seed)).test.rows for seed in (0, 1))
        assert np.array_equal(first, second) == same


def test_bars_are_of_models_that_exist() -> None:
    models = {
        f"{example}/{name}"
        for example, folder in accuracy.folders().items()
        for name in load_params(folder / "params.yaml").models
    }
    assert set(accuracy.BARS) <= models
    assert len(models) >= 12


def test_a_report_stands_for_what_was_never_measured_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {"dataset": "italy", "metric": "accuracy", "mean": 0.99, "deviation": None, "folds": None, "runs": [{}]}
    (tmp_path / "accuracy.json").write_text(json.dumps({"measured": {"ucr/italy_lstm": own}}))
    for module in (accuracy, measure, readme):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["bench_accuracy", "--reported", "ucr", "fashion_mnist_gpu"])
    assert accuracy.main() == 0
    kept = json.loads((tmp_path / "accuracy.json").read_text())["measured"]
    assert list(kept) == ["ucr/italy_lstm", "ucr/leaf_resnet", "ucr/pickup_resnet"]
    assert kept["ucr/italy_lstm"] == own
    report = "examples/ucr/reports/leaf_resnet/metrics.json"
    scores = json.loads((ROOT / report).read_text())["test"]
    leaf = kept["ucr/leaf_resnet"]
    assert (leaf["reported"], leaf["mean"], leaf["metric"]) == (report, scores["accuracy"], "accuracy")
    assert leaf["runs"] == [{"seed": 42, "scores": scores}]
    assert readme.means("ucr") == {"italy_lstm": "accuracy 0.9900, 1 seed"}
    told = capsys.readouterr().out
    assert "fashion_mnist_gpu/fashion_resnet is skipped: examples/fashion_mnist_gpu/reports/" in told
    assert "1, reported" in told
    assert "RESULT ucr/leaf_resnet" in told


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (Result("a", 0.9, 0.8, "higher"), "RESULT a 0.9 hold 0.8 PASS"),
        (Result("a", 0.7, 0.8, "higher"), "RESULT a 0.7 hold 0.8 FAIL"),
        (Result("a", 0.9, 0.8), "RESULT a 0.9 hold 0.8 FAIL"),
        (Result("a", 0.8, 0.8), "RESULT a 0.8 hold 0.8 PASS"),
    ],
)
def test_a_bar_may_be_a_floor_or_a_ceiling(result: Result, told: str) -> None:
    assert str(result) == told
