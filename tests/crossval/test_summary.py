"""Conclusions and tables of cross-validations."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fivefold.crossval.crossval import CrossValidation, FoldResult, Plan
from fivefold.crossval.summary import choose_decimals, format_fixed, format_number, summarize
from fivefold.crossval.tables import print_summary
from fivefold.crossval.workers import _worker_error
from fivefold.errors import InputError, StudyError

from ..tuning.projects import model_block, write_project

LINEAR = model_block("mixes", {"family": "mlp", "hidden": []})


@pytest.fixture
def crossval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CrossValidation:
    write_project(tmp_path, {"a": LINEAR, "b": LINEAR, "c": LINEAR})
    monkeypatch.chdir(tmp_path)
    return CrossValidation.read(Plan(model_names=("a", "b", "c"), folds=3))


def results(**scores: list[float]) -> list[FoldResult]:
    n_rows = {"train": 4, "validation": 1, "test": 5}
    return [
        FoldResult(model=name, repeat=1, fold=fold, n_rows=n_rows, scores={"r2": score, "rmse": 1 - score})
        for name, r2 in scores.items()
        for fold, score in enumerate(r2, 1)
    ]


BEST, SIMILAR_1, SIMILAR_2 = [0.9, 0.91, 0.92], [0.4, 0.42, 0.41], [0.395, 0.423, 0.409]


def test_only_significant_differences_are_stated(crossval: CrossValidation) -> None:
    lines = summarize(crossval, results(c=SIMILAR_2, a=BEST, b=SIMILAR_1)).conclusions()  # folds in any order
    assert [line.partition(":")[0] for line in lines[:3]] == ["a", "b", "c"]
    assert lines[3].startswith("a is better than b by 0.5000 r2 (95% CI [0.4")
    assert lines[4].startswith("a is better than c by 0.5010 r2 (95% CI [0.4")
    assert lines[5].startswith("no significant difference between b and c: b - c = 0.0010 r2, 95% CI [-0.0")
    assert all("adjusted for 3 comparisons" in line for line in lines[3:])


def test_model_with_a_failed_fold_has_no_estimate(crossval: CrossValidation) -> None:
    fold_results = results(a=BEST, b=SIMILAR_1, c=SIMILAR_2)
    fold_results[1] = fold_results[1].model_copy(update={"scores": {}, "error": "its loss is not finite"})
    summary = summarize(crossval, fold_results)
    assert list(summary.estimates) == ["b", "c"]
    assert [(pair.model_a, pair.model_b) for pair in summary.comparisons] == [("b", "c")]
    assert summary.failed_results == [fold_results[1]]
    assert summary.conclusions()[0] == (
        "no result for a: 1 of 3 folds have no score (fold 2), and the mean of the others would be optimistic"
    )
    assert summary.to_dict()["results"][1]["error"] == "its loss is not finite"


def test_table_rows_are_complete_and_have_equal_decimals(crossval: CrossValidation) -> None:
    screen = io.StringIO()
    print_summary(
        summarize(crossval, results(a=[-2.1628, -26.66, -15.4], b=SIMILAR_1, c=SIMILAR_2)),
        Console(file=screen, width=50),
    )
    rows = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert "…" not in screen.getvalue()
    # t with 2 degrees of freedom, 4.3027, times 12.2619 sqrt(1/3 + 1/2) is 48.16; no error is below 0
    assert "rmse 15.74 12.26 0.00 to 63.90 27.66 3.16" in rows
    assert "rmse 15.74 0.59 15.15 -33.05 to 63.35 0.31 0.93" in rows
    assert "r2 0.4100 0.4090 0.0010 -0.0147 to 0.0167 0.81 0.93" in rows
    assert "a: r2 -14.74 (95% CI [-62.90, 1.00]), 3 folds" in rows


@pytest.mark.parametrize(
    ("means", "spread", "value", "expected"),
    [([15.7], 12.0, 77.9312, "77.93"), ([15.7], 0.0123, 0.0123, "0.012"), ([0.5], 12.0, 0.5, "0.5000"),
     ([0.5], 0.0, 1e-5, "1.0e-05"), ([12345.6], 45.0, 12345.6, "12346"), ([20.0, -1500.0], 0.0, -0.01, "0")],
)  # fmt: skip
def test_decimals_follow_the_mean_and_the_spread(
    means: list[float], spread: float, value: float, expected: str
) -> None:
    assert format_fixed(value, choose_decimals(means, spread)) == expected


def test_equal_models_do_not_differ(crossval: CrossValidation) -> None:
    tree = summarize(crossval, results(a=BEST, b=BEST, c=SIMILAR_1)).to_dict()
    assert tree["comparisons"][0]["differences"]["r2"] == {
        "mean": 0.0, "low": 0.0, "high": 0.0, "t_statistic": 0.0, "p_value": 1.0, "p_adjusted": 1.0,
    }  # fmt: skip


def test_worker_error_becomes_the_error_of_the_command(tmp_path: Path) -> None:
    log = tmp_path / "worker-0.log"
    log.write_text("line  epoch 1/2\nerror: rows are too few\n\n")
    assert (type(_worker_error(2, log)), str(_worker_error(2, log))) == (InputError, "rows are too few")
    assert (type(_worker_error(1, log)), str(_worker_error(1, log))) == (StudyError, "rows are too few")
    assert str(_worker_error(-9, log)) == "a worker was killed by signal 9; free memory or start fewer with --workers"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.0000"), (0.98765, "0.9877"), (-0.00006, "-0.0001"), (1.0, "1.0000"), (0.000012, "1.2e-05"),
     (-123.456, "-123.5"), (12345.6, "1.235e+04")],
)  # fmt: skip
def test_format_number(value: float, expected: str) -> None:
    assert format_number(value) == expected
