"""Properties of splits and folds of arbitrary rows."""

from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from fivefold.config.splits import GroupSplit, PredefinedSplit, RandomSplit, SplitConfig, TimeSplit
from fivefold.data.dataset import SplitKeys
from fivefold.data.splitting import split_folds, split_rows
from fivefold.errors import DataError

PART = st.one_of(st.floats(0.05, 0.45), st.integers(2, 12))


@st.composite
def keys(draw: st.DrawFn) -> SplitKeys:
    """Draw keys of 12 to 120 rows with two to four classes."""
    n, k = draw(st.integers(12, 120)), draw(st.integers(2, 4))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    return SplitKeys(
        random.integers(0, k, n),
        tuple("abcd"[:k]),
        groups=random.integers(0, draw(st.integers(3, 30)), n),
        time=random.integers(0, 40, n),
        predefined=random.choice(draw(st.sampled_from([["train", "test"], ["train", "validation", "test"]])), n),
    )


@st.composite
def splits(draw: st.DrawFn) -> SplitConfig:
    validation, test = draw(PART), draw(PART)
    match draw(st.sampled_from(["stratified", "random", "group", "time", "column"])):
        case "group":
            return GroupSplit(by="group", column="g", validation=validation, test=test)
        case "time":
            return TimeSplit(by="time", column="t", validation=validation, test=test)
        case "column":
            return PredefinedSplit(by="predefined", validation=validation)
        case by:
            return RandomSplit.model_validate({"by": by, "validation": validation, "test": test})


@given(keys(), splits(), st.integers(0, 5))
def test_splits_are_disjoint_and_complete_or_refused(rows: SplitKeys, params: SplitConfig, seed: int) -> None:
    try:
        parts = split_rows(rows, params, seed)
    except DataError:
        return
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(rows.y)))
    assert all(len(part) for part in parts.values())
    assert rows.groups is not None
    assert rows.time is not None
    if params.by == "group":
        held = [set(rows.groups[part]) for part in parts.values()]
        assert sum(map(len, held)) == len(set.union(*held))
    if params.by == "time":
        times = [rows.time[part] for part in parts.values()]
        assert all(one.max() <= other.min() for one, other in pairwise(times))


@given(keys(), splits(), st.integers(2, 6))
def test_folds_are_disjoint_and_contain_no_test_row(rows: SplitKeys, params: SplitConfig, k: int) -> None:
    try:
        parts = split_rows(rows, params, 0)
        pairs = list(split_folds(rows, parts, params.by, k, seed=0))
    except DataError:
        assume(False)
    used = {*parts["train"], *parts["validation"]}
    assert len(pairs) == k
    held = np.concatenate([held for _, held in pairs])
    assert len(set(held)) == len(held)
    assert set(held) == used if params.by != "time" else set(held) < used
    for train, out in pairs:
        assert not {*train} & {*out}
        assert {*train, *out} <= used


@given(st.integers(10, 400), st.floats(0.01, 0.5))
def test_fractions_are_rounded_as_in_scikit_learn(n: int, share: float) -> None:
    params = RandomSplit(by="random", validation=1, test=share)
    parts = split_rows(SplitKeys(np.arange(n) % 2, ("a", "b")), params, 0)
    assert len(parts["test"]) == len(train_test_split(np.arange(n), test_size=share)[1])
