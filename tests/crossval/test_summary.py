"""What is said of results, and what is not."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from fivefold.crossval.crossval import CrossValidation, FoldResult, Plan
from fivefold.crossval.summary import choose_decimals, format_fixed, format_number, summarize
from fivefold.crossval.tables import print_summary
from fivefold.crossval.workers import _worker_error
from fivefold.errors import InputError, StudyError

from ..tuning.projects import model_of, write_project

LINE = model_of("mixes", {"family": "mlp", "hidden": []})


@pytest.fixture
def crossval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CrossValidation:
    write_project(tmp_path, {"a": LINE, "b": LINE, "c": LINE})
    monkeypatch.chdir(tmp_path)
    return CrossValidation.read(Plan(model_names=("a", "b", "c"), folds=3))


def results(**scores: list[float]) -> list[FoldResult]:
    rows = {"learnt": 4, "aside": 1, "held_out": 5}
    return [
        FoldResult(model=name, repeat=1, fold=fold, n_rows=rows, scores={"r2": score, "rmse": 1 - score})
        for name, found in scores.items()
        for fold, score in enumerate(found, 1)
    ]


SURE, LIKE, UNLIKE = [0.9, 0.91, 0.92], [0.4, 0.42, 0.41], [0.395, 0.423, 0.409]


def test_only_a_difference_that_is_shown_is_said(crossval: CrossValidation) -> None:
    said = summarize(crossval, results(c=UNLIKE, a=SURE, b=LIKE)).conclusions()  # in whichever order folds came
    assert [line.partition(":")[0] for line in said[:3]] == ["a", "b", "c"]
    assert said[3].startswith("a is better than b by 0.5000 r2 (95 %: 0.4")
    assert said[4].startswith("a is better than c by 0.5010 r2 (95 %: 0.4")
    assert said[5].startswith("no difference between b and c is shown: b less c is 0.0010 r2, 95 %: -0.0")
    assert all("of all 3 comparisons" in line for line in said[3:])


def test_one_fold_without_scores_leaves_a_model_without_a_mean(crossval: CrossValidation) -> None:
    found = results(a=SURE, b=LIKE, c=UNLIKE)
    found[1] = found[1].model_copy(update={"scores": {}, "error": "its loss is not finite"})
    summary = summarize(crossval, found)
    assert list(summary.estimates) == ["b", "c"]
    assert [(pair.model_a, pair.model_b) for pair in summary.comparisons] == [("b", "c")]
    assert summary.failed_results == [found[1]]
    assert summary.conclusions()[0] == (
        "nothing is known of a: 1 of 3 folds have no score (fold 2), and a mean over the others would be too good"
    )
    assert summary.to_dict()["results"][1]["error"] == "its loss is not finite"


def test_no_number_of_a_table_is_cut_and_a_row_has_one_number_of_decimals(crossval: CrossValidation) -> None:
    screen = io.StringIO()
    print_summary(
        summarize(crossval, results(a=[-2.1628, -26.66, -15.4], b=LIKE, c=UNLIKE)), Console(file=screen, width=50)
    )
    rows = [" ".join(line.split()) for line in screen.getvalue().splitlines()]
    assert "…" not in screen.getvalue()
    # t of 2 degrees of freedom, 4.3027, by 12.2619 sqrt(1/3 + 1/2) is 48.16; no error is below 0
    assert "rmse 15.74 12.26 0.00 to 63.90 27.66 3.16" in rows
    assert "rmse 15.74 0.59 15.15 -33.05 to 63.35 0.31 0.93" in rows
    assert "r2 0.4100 0.4090 0.0010 -0.0147 to 0.0167 0.81 0.93" in rows
    assert "a: r2 -14.74 (95 %: -62.90 to 1.00), 3 folds" in rows


@pytest.mark.parametrize(
    ("means", "spread", "value", "said"),
    [([15.7], 12.0, 77.9312, "77.93"), ([15.7], 0.0123, 0.0123, "0.012"), ([0.5], 12.0, 0.5, "0.5000"),
     ([0.5], 0.0, 1e-5, "1.0e-05"), ([12345.6], 45.0, 12345.6, "12346"), ([20.0, -1500.0], 0.0, -0.01, "0")],
)  # fmt: skip
def test_decimals_are_those_of_the_mean_and_more_where_the_spread_needs_them(
    means: list[float], spread: float, value: float, said: str
) -> None:
    assert format_fixed(value, choose_decimals(means, spread)) == said


def test_models_that_give_the_same_do_not_differ(crossval: CrossValidation) -> None:
    tree = summarize(crossval, results(a=SURE, b=SURE, c=LIKE)).to_dict()
    assert tree["comparisons"][0]["differences"]["r2"] == {
        "mean": 0.0, "low": 0.0, "high": 0.0, "t": 0.0, "p": 1.0, "p_of_all": 1.0,
    }  # fmt: skip


def test_the_error_of_a_worker_is_the_commands(tmp_path: Path) -> None:
    log = tmp_path / "worker-0.log"
    log.write_text("line  epoch 1/2\nerror: rows are too few\n\n")
    assert (type(_worker_error(2, log)), str(_worker_error(2, log))) == (InputError, "rows are too few")
    assert (type(_worker_error(1, log)), str(_worker_error(1, log))) == (StudyError, "rows are too few")
    assert str(_worker_error(-9, log)) == "a worker was killed by signal 9; free memory, or start fewer with --workers"


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.0, "0.0000"), (0.98765, "0.9877"), (-0.00006, "-0.0001"), (1.0, "1.0000"), (0.000012, "1.2e-05"),
     (-123.456, "-123.5"), (12345.6, "1.235e+04")],
)  # fmt: skip
def test_numbers_are_short(value: float, said: str) -> None:
    assert format_number(value) == said
