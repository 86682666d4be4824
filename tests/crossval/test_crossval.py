"""Rows held out and test rows: nothing that is learnt in a fold, or searched within it, follows from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fivefold.crossval import jobs, nested
from fivefold.crossval.crossval import CrossValidation, FoldResult, FoldSplit, Plan
from fivefold.crossval.jobs import TrainingResult, train_jobs
from fivefold.crossval.workers import train_folds
from fivefold.preprocessing.pipeline import Pipeline

from ..tuning.projects import FAMILIES, mixes, model_of, write_project

LR = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
SEARCH = {"select": {"k": {"type": "int", "low": 1, "high": 3}}, "training": {"optimizer": {"lr": LR}}}
LINE = model_of(
    "mixes", {"family": "mlp", "hidden": []}, select={"method": "k_best", "score": "f", "k": 2}, search=SEARCH,
    study={"folds": 2, "pruner": "none"},
)  # fmt: skip


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CrossValidation]:
    """Reads a project in which rows are as given."""
    write_project(tmp_path, {"line": LINE, "bars": model_of(*FAMILIES["mlp"]), "gan": model_of(*FAMILIES["gan"])})
    monkeypatch.chdir(tmp_path)

    def again(name: str = "line", altered: object = (), **plan: object) -> CrossValidation:
        mixes(tmp_path / "mixes.csv", altered=altered)
        return CrossValidation.read(Plan(model_names=(name,), folds=3, **plan))  # type: ignore[arg-type]

    return again


def learnt(crossval: CrossValidation, number: int = 0) -> tuple[Pipeline, TrainingResult]:
    division, model = crossval.fold_splits[number], crossval.params.models["line"]
    ((job, outcome),) = train_jobs("line", [crossval.build_job(division, model, division.seed)], Path("work"))
    return job.pipeline, outcome


def same(one: tuple[Pipeline, TrainingResult], other: tuple[Pipeline, TrainingResult]) -> bool:
    """Say whether preprocessing, epochs and weights are equal, to the bit."""
    chains = [
        [(step.kind, {k: v.tolist() for k, v in step.arrays.items()}) for step in c.steps] for c, _ in (one, other)
    ]
    assert one[1].trained_model is not None
    assert other[1].trained_model is not None
    weights = [outcome.trained_model.model.state_dict() for _, outcome in (one, other) if outcome.trained_model]
    return (
        chains[0] == chains[1]
        and one[1].metrics_by_epoch == other[1].metrics_by_epoch
        and all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    )


@pytest.mark.parametrize("name", ["line", "bars"])
def test_each_row_is_in_one_part_and_test_rows_are_in_none(name: str, read: Callable[..., CrossValidation]) -> None:
    crossval = read(name, repeats=2)
    parts = crossval.split_dataset.indices
    known = sorted([*parts["train"], *parts["validation"]])
    assert len(crossval.fold_splits) == 6
    for each in crossval.fold_splits:
        assert sorted([*each.train, *each.validation, *each.test]) == known
        assert sorted([*each.train, *each.validation]) == sorted(each.train_validation)
        assert len(each.validation) / len(each.train_validation) == pytest.approx(
            0.25, abs=0.03
        )  # as 0.2 of what test rows leave
        dataset = crossval.build_job(each, crossval.params.models[name], 0).dataset
        assert dataset.test.rows.tolist() == each.test.tolist()
        assert dataset.validation.rows.tolist() == each.validation.tolist()
    first, second = (np.concatenate([each.test for each in crossval.fold_splits[i : i + 3]]) for i in (0, 3))
    assert sorted(first) == sorted(second) == known
    assert first.tolist() != second.tolist()
    assert crossval.fold_splits[0].seed != crossval.fold_splits[3].seed
    assert crossval.test_train_ratio == pytest.approx(0.5, abs=0.01)


def test_rows_held_out_change_nothing_that_a_fold_learns(read: Callable[..., CrossValidation]) -> None:
    crossval = read()
    division, before = crossval.fold_splits[0], learnt(crossval)
    assert same(before, learnt(read()))
    assert same(before, learnt(read(altered=[*division.test, *crossval.split_dataset.indices["test"]])))
    for other in (division.train[:3], division.validation[:3]):  # which does show
        assert not same(before, learnt(read(altered=other)))


def results(crossval: CrossValidation) -> list[dict[str, object]]:
    found = train_folds(crossval, [("line", number) for number in range(3)], Path("work"))
    return [{**result.model_dump(), "seconds": 0} for result in found]


def test_test_rows_change_no_score(read: Callable[..., CrossValidation]) -> None:
    crossval = read()
    before = results(crossval)
    assert before == results(read(altered=crossval.split_dataset.indices["test"]))
    assert before != results(read(altered=crossval.fold_splits[1].test[:1]))


def test_folds_that_learn_at_once_get_what_they_get_alone(
    read: Callable[..., CrossValidation], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crossval, found, said = read(), [], []
    for numbers in (jobs.MAX_GROUP_VALUES, 300, 0):  # rows of all folds at once, of two, of one
        monkeypatch.setattr(jobs, "MAX_GROUP_VALUES", numbers)
        found.append(results(crossval))
        said.append(capsys.readouterr().out)
    for other in found[1:]:
        for result, same in zip(found[0], other, strict=True):
            assert result["scores"] == pytest.approx(same["scores"])
            assert result["kept_epoch"] == same["kept_epoch"]
    assert "3 at once" in said[0]
    assert "2 at once" in said[1]
    assert "at once" not in said[2]


def test_a_generator_is_scored_by_the_epochs_that_rows_held_out_choose(read: Callable[..., CrossValidation]) -> None:
    crossval = read("gan")
    each, model = crossval.fold_splits[0], crossval.params.models["gan"]
    dataset = crossval.build_job(each, model, 0).dataset
    assert dataset.train.rows.tolist() == each.train_validation.tolist()
    assert dataset.validation.rows.tolist() == dataset.test.rows.tolist() == each.test.tolist()


def searched(crossval: CrossValidation, division: FoldSplit) -> FoldResult:
    return nested.run_nested_fold(crossval, "line", division, Path("work"))


def test_a_search_within_a_fold_sees_nothing_of_what_it_holds_out(read: Callable[..., CrossValidation]) -> None:
    crossval = read(nested=True, trials=4)
    division = crossval.fold_splits[0]
    before = searched(crossval, division)
    assert before.best_trial is not None
    assert (before.best_trial.n_trials, before.best_trial.n_complete, before.best_trial.metric) == (4, 4, "r2")
    assert set(before.best_trial.params) == {"select.k", "training.optimizer.lr"}
    assert before.scores["r2"] != before.best_trial.inner_score
    again = read(altered=[*division.test, *crossval.split_dataset.indices["test"]], nested=True, trials=4)
    after = searched(again, division)
    assert after.best_trial == before.best_trial
    assert after.best_epoch == before.best_epoch
    assert after.scores != before.scores
    assert not list(Path(".fivefold").glob("studies/*"))
