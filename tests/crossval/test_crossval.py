"""No leakage: nothing that is trained or searched in a fold depends on its test rows or those of the dataset."""

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

from ..tuning.projects import FAMILIES, model_block, write_mixes, write_project

LR = {"type": "float", "low": 0.001, "high": 0.1, "log": True}
SEARCH = {"select": {"k": {"type": "int", "low": 1, "high": 3}}, "training": {"optimizer": {"lr": LR}}}
LINEAR = model_block(
    "mixes", {"family": "mlp", "hidden": []}, select={"method": "k_best", "score_func": "f", "k": 2}, search=SEARCH,
    study={"folds": 2, "pruner": "none"},
)  # fmt: skip


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CrossValidation]:
    """Return a function that writes a project, with altered rows of its table, and reads a cross-validation."""
    write_project(
        tmp_path, {"line": LINEAR, "bars": model_block(*FAMILIES["mlp"]), "gan": model_block(*FAMILIES["gan"])}
    )
    monkeypatch.chdir(tmp_path)

    def read_again(name: str = "line", altered: object = (), **plan: object) -> CrossValidation:
        write_mixes(tmp_path / "mixes.csv", altered=altered)
        return CrossValidation.read(Plan(model_names=(name,), folds=3, **plan))  # type: ignore[arg-type]

    return read_again


def train_fold(crossval: CrossValidation, number: int = 0) -> tuple[Pipeline, TrainingResult]:
    fold_split, model = crossval.fold_splits[number], crossval.params.models["line"]
    ((job, result),) = train_jobs("line", [crossval.build_job(fold_split, model, fold_split.seed)], Path("work"))
    return job.pipeline, result


def are_identical(first: tuple[Pipeline, TrainingResult], second: tuple[Pipeline, TrainingResult]) -> bool:
    """Return whether preprocessing, metrics of epochs and weights are bitwise equal."""
    steps = [
        [(step.kind, {k: v.tolist() for k, v in step.arrays.items()}) for step in pipeline.steps]
        for pipeline, _ in (first, second)
    ]
    assert first[1].trained_model is not None
    assert second[1].trained_model is not None
    weights = [result.trained_model.model.state_dict() for _, result in (first, second) if result.trained_model]
    return (
        steps[0] == steps[1]
        and first[1].metrics_by_epoch == second[1].metrics_by_epoch
        and all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    )


@pytest.mark.parametrize("name", ["line", "bars"])
def test_splits_are_disjoint_and_without_test_rows(name: str, read: Callable[..., CrossValidation]) -> None:
    crossval = read(name, repeats=2)
    indices = crossval.split_dataset.indices
    all_rows = sorted([*indices["train"], *indices["validation"]])
    assert len(crossval.fold_splits) == 6
    for each in crossval.fold_splits:
        assert sorted([*each.train, *each.validation, *each.test]) == all_rows
        assert sorted([*each.train, *each.validation]) == sorted(each.train_validation)
        # validation rows are 0.2 of all rows, and 0.25 of those that are no test rows
        assert len(each.validation) / len(each.train_validation) == pytest.approx(0.25, abs=0.03)
        dataset = crossval.build_job(each, crossval.params.models[name], 0).dataset
        assert dataset.test.rows.tolist() == each.test.tolist()
        assert dataset.validation.rows.tolist() == each.validation.tolist()
    first, second = (np.concatenate([each.test for each in crossval.fold_splits[i : i + 3]]) for i in (0, 3))
    assert sorted(first) == sorted(second) == all_rows
    assert first.tolist() != second.tolist()
    assert crossval.fold_splits[0].seed != crossval.fold_splits[3].seed
    assert crossval.test_train_ratio == pytest.approx(0.5, abs=0.01)


def test_test_rows_do_not_affect_the_training_of_a_fold(read: Callable[..., CrossValidation]) -> None:
    crossval = read()
    fold_split, before = crossval.fold_splits[0], train_fold(crossval)
    assert are_identical(before, train_fold(read()))
    altered = [*fold_split.test, *crossval.split_dataset.indices["test"]]
    assert are_identical(before, train_fold(read(altered=altered)))
    for rows in (fold_split.train[:3], fold_split.validation[:3]):  # the check detects other rows
        assert not are_identical(before, train_fold(read(altered=rows)))


def run_folds(crossval: CrossValidation) -> list[dict[str, object]]:
    results = train_folds(crossval, [("line", number) for number in range(3)], Path("work"))
    return [{**result.model_dump(), "seconds": 0} for result in results]


def test_test_rows_of_the_dataset_do_not_affect_scores(read: Callable[..., CrossValidation]) -> None:
    crossval = read()
    before = run_folds(crossval)
    assert before == run_folds(read(altered=crossval.split_dataset.indices["test"]))
    assert before != run_folds(read(altered=crossval.fold_splits[1].test[:1]))


def test_vectorized_folds_have_the_scores_of_sequential_ones(
    read: Callable[..., CrossValidation], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    crossval, results, outputs = read(), [], []
    for n_values in (jobs.MAX_GROUP_VALUES, 300, 0):  # groups of all folds, of two, of one
        monkeypatch.setattr(jobs, "MAX_GROUP_VALUES", n_values)
        results.append(run_folds(crossval))
        outputs.append(capsys.readouterr().out)
    for other_results in results[1:]:
        for result, other in zip(results[0], other_results, strict=True):
            assert result["scores"] == pytest.approx(other["scores"])
            assert result["best_epoch"] == other["best_epoch"]
    assert "3 vectorized" in outputs[0]
    assert "2 vectorized" in outputs[1]
    assert "vectorized" not in outputs[2]


def test_epoch_of_a_generator_is_selected_by_test_rows(read: Callable[..., CrossValidation]) -> None:
    crossval = read("gan")
    each, model = crossval.fold_splits[0], crossval.params.models["gan"]
    dataset = crossval.build_job(each, model, 0).dataset
    assert dataset.train.rows.tolist() == each.train_validation.tolist()
    assert dataset.validation.rows.tolist() == dataset.test.rows.tolist() == each.test.tolist()


def run_search(crossval: CrossValidation, fold_split: FoldSplit) -> FoldResult:
    return nested.run_nested_fold(crossval, "line", fold_split, Path("work"))


def test_nested_search_does_not_depend_on_test_rows(read: Callable[..., CrossValidation]) -> None:
    crossval = read(nested=True, trials=4)
    fold_split = crossval.fold_splits[0]
    before = run_search(crossval, fold_split)
    assert before.best_trial is not None
    assert (before.best_trial.n_trials, before.best_trial.n_complete, before.best_trial.metric) == (4, 4, "r2")
    assert set(before.best_trial.params) == {"select.k", "training.optimizer.lr"}
    assert before.scores["r2"] != before.best_trial.inner_score
    altered = read(altered=[*fold_split.test, *crossval.split_dataset.indices["test"]], nested=True, trials=4)
    after = run_search(altered, fold_split)
    assert after.best_trial == before.best_trial
    assert after.best_epoch == before.best_epoch
    assert after.scores != before.scores
    assert not list(Path(".fivefold").glob("studies/*"))
