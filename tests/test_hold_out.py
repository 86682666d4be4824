"""Rows that choose the epoch are set aside as the dataset sets its validation rows aside."""

import numpy as np
import pytest

from fivefold.data.dataset import SplitKeys
from fivefold.errors import DataError
from fivefold.folds import hold_out, validation_fraction

ROWS = np.arange(10, 90)


def test_the_share_is_that_of_the_dataset() -> None:
    parts = {"train": np.arange(60), "validation": np.arange(60, 80), "test": np.arange(80, 100)}
    assert validation_fraction(parts) == 0.25


@pytest.mark.parametrize("by", ["stratified", "column"])
def test_by_class_both_parts_have_the_same_share_of_each(by: str) -> None:
    y = np.arange(100) % 4 // 3  # a quarter of class 1
    train, aside = hold_out(SplitKeys(y, ("a", "b")), ROWS, by, 0.25, 0)
    assert (len(train), len(aside)) == (60, 20)
    assert sorted([*train, *aside]) == ROWS.tolist()
    assert y[aside].mean() == y[train].mean() == 0.25


def test_rows_that_are_drawn_follow_from_the_seed() -> None:
    keys = SplitKeys(np.linspace(0, 1, 100))
    one, same, other = (hold_out(keys, ROWS, "random", 0.1, seed)[1].tolist() for seed in (0, 0, 1))
    assert one == same != other
    assert len(one) == 8


def test_groups_stay_together() -> None:
    groups = np.arange(100) // 5
    train, aside = hold_out(SplitKeys(np.zeros(100), groups=groups), ROWS, "group", 0.25, 0)
    assert len(np.unique(groups[aside])) == 4
    assert not set(groups[train]) & set(groups[aside])


def test_the_latest_rows_choose_where_rows_follow_time() -> None:
    train, aside = hold_out(SplitKeys(np.zeros(100), overlap=3), ROWS, "time", 0.25, 0)
    assert aside.tolist() == list(range(70, 90))
    assert train.tolist() == list(range(10, 67))  # the three before share a target with the first one set aside


def test_rows_of_one_instant_are_not_torn_apart() -> None:
    time = np.arange(100) // 8
    train, aside = hold_out(SplitKeys(np.zeros(100), time=time), ROWS, "time", 0.25, 0)
    assert time[train].max() < time[aside].min()
    assert aside[0] == 64


def test_a_class_of_one_row_is_drawn_without_looking() -> None:
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
def test_too_few_rows_are_told(keys: SplitKeys, rows: np.ndarray, by: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(
        DataError, match=r"leave rows, or groups, to learn and others .*, but \d training rows do not suffice; bring"
    ):
        hold_out(keys, rows, by, 0.2, 0)
