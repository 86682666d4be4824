"""Folds contain no test rows, and nothing is fitted to held-out rows."""

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


def split_dataset(name: str) -> SplitDataset:
    params = load_params()
    return SplitDataset.read(params.dataset(params.model(name).dataset), params.seed)


@pytest.mark.parametrize("name", ["mlp", "mlp_regression", "cnn", "lstm"])
def test_folds_cover_training_and_validation_rows(name: str) -> None:
    dataset = split_dataset(name)
    rows = set(np.concatenate([dataset.indices["train"], dataset.indices["validation"]]))
    folds = build_folds(dataset, 5, 42)
    held_out = [set(fold.indices["validation"]) for fold in folds]
    assert len(folds) == 5
    for fold, validation in zip(folds, held_out, strict=True):
        assert not validation & set(fold.indices["train"])
        assert set(fold.indices["train"]) | validation <= rows
        assert len(fold.dataset.test) == 0
        assert len(fold.dataset.validation) == len(validation)
    assert sum(map(len, held_out)) == len(set().union(*held_out))
    if name != "lstm":  # the first rows of a series are never held out
        assert set().union(*held_out) == rows


def test_training_rows_of_a_series_precede_held_out_rows() -> None:
    for fold in build_folds(split_dataset("lstm"), 4, 42):
        assert fold.indices["train"].max() < fold.indices["validation"].min()


def test_single_fold_is_the_split_of_the_pipeline() -> None:
    dataset = split_dataset("mlp")
    (fold,) = build_folds(dataset, 1, 42)
    assert (fold.indices["validation"] == dataset.indices["validation"]).all()


def test_held_out_rows_do_not_change_the_preprocessing() -> None:
    params = load_params()
    model = params.model("mlp")
    dataset = split_dataset("mlp")
    before = build_folds(dataset, 5, 42)[2].prepare(model, 42)[1]

    def corrupted(index: np.ndarray) -> SplitDataset:  # type: ignore[type-arg]
        raw = dataset.raw
        frame = raw.frame.copy()  # type: ignore[attr-defined]
        columns = [name for name in frame.columns if name != params.dataset("breast_cancer").target]
        frame.loc[frame.index[index], columns] = frame.loc[frame.index[index], columns] * 100 + 5
        return replace(dataset, raw=replace(raw, frame=frame))  # type: ignore[type-var]

    held_out = build_folds(dataset, 5, 42)[2].indices["validation"]
    for altered in (held_out, dataset.indices["test"]):
        after = build_folds(corrupted(altered), 5, 42)[2].prepare(model, 42)[1]
        assert before.feature_names == after.feature_names
        for one, other in zip(before.steps, after.steps, strict=True):
            assert one.kind == other.kind
            assert all((one.arrays[key] == other.arrays[key]).all() for key in one.arrays)
    train = build_folds(dataset, 5, 42)[2].indices["train"]
    other = build_folds(corrupted(train), 5, 42)[2].prepare(model, 42)[1]
    assert any((one.arrays[key] != two.arrays[key]).any()
               for one, two in zip(before.steps, other.steps, strict=True) for key in one.arrays)  # fmt: skip


def test_too_many_folds_are_rejected() -> None:
    with pytest.raises(DataError, match="each of 500 folds needs rows"):
        build_folds(split_dataset("mlp"), 500, 42)


def test_autoencoder_trained_on_held_out_rows_needs_a_single_fold() -> None:
    params = load_params()
    tree = params.model("mlp").model_dump(mode="json") | {
        "select": {"method": "autoencoder"},
        "depends_on": "autoencoder",
    }
    model = Model.model_validate_json(json.dumps(tree))
    check_leakage("mlp", model, 1)
    with pytest.raises(
        ParamsError,
        match=r"models\.mlp\.select: the autoencoder 'autoencoder' was trained on rows that the folds hold out",
    ):
        check_leakage("mlp", model, 5)
