"""Hold-out split of training rows, following the validation split of the dataset."""

import numpy as np
import pytest

from fivefold.data.dataset import SplitKeys
from fivefold.errors import DataError
from fivefold.folds import hold_out, validation_fraction

ROWS = np.arange(10, 90)


def test_fraction_is_that_of_the_dataset() -> None:
    indices = {"train": np.arange(60), "validation": np.arange(60, 80), "test": np.arange(80, 100)}
    assert validation_fraction(indices) == 0.25


@pytest.mark.parametrize("by", ["stratified", "predefined"])
def test_stratified_split_preserves_class_proportions(by: str) -> None:
    y = np.arange(100) % 4 // 3  # a quarter of class 1
    train, held_out = hold_out(SplitKeys(y, ("a", "b")), ROWS, by, 0.25, 0)
    assert (len(train), len(held_out)) == (60, 20)
    assert sorted([*train, *held_out]) == ROWS.tolist()
    assert y[held_out].mean() == y[train].mean() == 0.25


def test_random_rows_depend_on_the_seed_only() -> None:
    keys = SplitKeys(np.linspace(0, 1, 100))
    one, same, other = (hold_out(keys, ROWS, "random", 0.1, seed)[1].tolist() for seed in (0, 0, 1))
    assert one == same != other
    assert len(one) == 8


def test_groups_are_not_split() -> None:
    groups = np.arange(100) // 5
    train, held_out = hold_out(SplitKeys(np.zeros(100), groups=groups), ROWS, "group", 0.25, 0)
    assert len(np.unique(groups[held_out])) == 4
    assert not set(groups[train]) & set(groups[held_out])


def test_latest_rows_are_held_out_of_a_chronological_split() -> None:
    train, held_out = hold_out(SplitKeys(np.zeros(100), overlap=3), ROWS, "time", 0.25, 0)
    assert held_out.tolist() == list(range(70, 90))
    assert train.tolist() == list(range(10, 67))  # the three rows before share targets with the first held-out row


def test_rows_with_equal_time_are_not_split() -> None:
    time = np.arange(100) // 8
    train, held_out = hold_out(SplitKeys(np.zeros(100), time=time), ROWS, "time", 0.25, 0)
    assert time[train].max() < time[held_out].min()
    assert held_out[0] == 64


def test_class_with_one_row_disables_stratification() -> None:
    y = (np.arange(100) == 50).astype(int)
    assert len(hold_out(SplitKeys(y, ("a", "b")), ROWS, "stratified", 0.25, 0)[1]) == 20


@pytest.mark.parametrize(
    ("keys", "rows", "by"),
    [
        (SplitKeys(np.zeros(9)), np.arange(1), "random"),
        (SplitKeys(np.zeros(9), groups=np.zeros(9)), np.arange(9), "group"),
        (SplitKeys(np.zeros(9), time=np.zeros(9)), np.arange(9), "time"),
    ],
)
def test_too_few_rows_are_rejected(keys: SplitKeys, rows: np.ndarray, by: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(
        DataError, match=r"each fold must have rows or groups for .*, but \d training rows are too few; add rows"
    ):
        hold_out(keys, rows, by, 0.2, 0)
