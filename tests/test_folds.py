"""Folds of a study: test rows are in none, and nothing is learnt from what is held out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fivefold.config.loading import load_params
from fivefold.config.models import Model
from fivefold.errors import DataError, ParamsError
from fivefold.folds import SplitDataset, build_folds, check_leakage

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def rows(name: str) -> SplitDataset:
    params = load_params()
    return SplitDataset.read(params.dataset(params.model(name).dataset), params.seed)


@pytest.mark.parametrize("name", ["mlp", "mlp_regression", "cnn", "lstm"])
def test_folds_cover_all_rows_but_test_rows(name: str) -> None:
    of = rows(name)
    known = set(np.concatenate([of.indices["train"], of.indices["validation"]]))
    folds = build_folds(of, 5, 42)
    held = [set(fold.indices["validation"]) for fold in folds]
    assert len(folds) == 5
    for fold, out in zip(folds, held, strict=True):
        assert not out & set(fold.indices["train"])
        assert set(fold.indices["train"]) | out <= known
        assert len(fold.dataset.test) == 0
        assert len(fold.dataset.validation) == len(out)
    assert sum(map(len, held)) == len(set().union(*held))
    if name != "lstm":  # of a series the first rows are never held out
        assert set().union(*held) == known


def test_a_series_learns_from_what_came_before() -> None:
    for fold in build_folds(rows("lstm"), 4, 42):
        assert fold.indices["train"].max() < fold.indices["validation"].min()


def test_one_fold_is_the_pipelines_own_division() -> None:
    of = rows("mlp")
    (fold,) = build_folds(of, 1, 42)
    assert (fold.indices["validation"] == of.indices["validation"]).all()


def test_rows_held_out_change_nothing_that_is_learnt_before_training() -> None:
    params = load_params()
    model = params.model("mlp")
    of = rows("mlp")
    before = build_folds(of, 5, 42)[2].prepare(model, 42)[1]

    def spoilt(index: np.ndarray) -> SplitDataset:  # type: ignore[type-arg]
        raw = of.raw
        frame = raw.frame.copy()  # type: ignore[attr-defined]
        columns = [name for name in frame.columns if name != params.dataset("breast_cancer").target_activation]
        frame.loc[frame.index[index], columns] = frame.loc[frame.index[index], columns] * 100 + 5
        return replace(of, raw=replace(raw, frame=frame))  # type: ignore[type-var]

    held = build_folds(of, 5, 42)[2].indices["validation"]
    for altered in (held, of.indices["test"]):
        after = build_folds(spoilt(altered), 5, 42)[2].prepare(model, 42)[1]
        assert before.feature_names == after.feature_names
        for one, other in zip(before.steps, after.steps, strict=True):
            assert one.kind == other.kind
            assert all((one.arrays[key] == other.arrays[key]).all() for key in one.arrays)
    train = build_folds(of, 5, 42)[2].indices["train"]
    other = build_folds(spoilt(train), 5, 42)[2].prepare(model, 42)[1]
    assert any((one.arrays[key] != two.arrays[key]).any()
               for one, two in zip(before.steps, other.steps, strict=True) for key in one.arrays)  # fmt: skip


def test_too_many_folds_are_refused() -> None:
    with pytest.raises(DataError, match="each of 500 folds needs rows"):
        build_folds(rows("mlp"), 500, 42)


def test_a_model_that_begins_with_what_has_seen_the_rows_needs_one_fold() -> None:
    params = load_params()
    tree = params.model("mlp").model_dump(mode="json") | {
        "select": {"method": "autoencoder"},
        "depends_on": "autoencoder",
    }
    model = Model.model_validate_json(json.dumps(tree))
    check_leakage("mlp", model, 1)
    with pytest.raises(
        ParamsError, match=r"models\.mlp\.select: the autoencoder 'autoencoder' has learnt rows that folds"
    ):
        check_leakage("mlp", model, 5)
