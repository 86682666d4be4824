from typing import Any

import numpy as np
import pytest

from fivefold.config.splits import GroupSplit, PredefinedSplit, RandomSplit, SplitConfig, TimeSplit
from fivefold.data.dataset import Array, SplitIndices, SplitKeys
from fivefold.data.splitting import split_folds, split_rows
from fivefold.errors import DataError

STRATIFIED = RandomSplit(validation=0.2, test=0.1, by="stratified")
RANDOM = RandomSplit(validation=0.2, test=0.1, by="random")
GROUP = GroupSplit(validation=0.2, test=0.1, by="group", column="site")
TIME = TimeSplit(validation=0.2, test=0.1, by="time", column="day")
PREDEFINED = PredefinedSplit(by="predefined", validation=0.2)


def make_keys(*counts: int, **more: Any) -> SplitKeys:
    """Return keys with `counts` rows per class, shuffled: 20 groups, unordered days, the last tenth is test."""
    y = np.random.default_rng(5).permutation(np.repeat(np.arange(len(counts)), counts))
    n = len(y)
    given = np.where(np.arange(n) < 0.9 * n, "train", "test")
    days = np.random.default_rng(6).permutation(n)
    names = tuple(f"class{i}" for i in range(len(counts)))
    return SplitKeys(y, names, **{"groups": np.arange(n) * 7 % 20, "time": days, "predefined": given, **more})


def make_regression_keys(n: int) -> SplitKeys:
    return SplitKeys(np.linspace(0, 1, n))


def sizes(parts: SplitIndices) -> dict[str, int]:
    return {name: len(rows) for name, rows in parts.items()}


def test_rows_with_equal_times_stay_together_in_the_later_split() -> None:
    days = np.repeat(np.arange(12), 10)
    parts = split_rows(
        SplitKeys(np.zeros(120), time=days), TimeSplit(by="time", column="day", validation=25, test=25), 0
    )
    found = {name: sorted(set(days[index].tolist())) for name, index in parts.items()}
    # by hand: the last 25 rows start within day 9, the 25 before them within day 7
    assert found == {"train": [*range(7)], "validation": [7, 8], "test": [9, 10, 11]}


@pytest.mark.parametrize("params", [STRATIFIED, RANDOM, GROUP, TIME, PREDEFINED], ids=lambda params: params.by)
class TestEverySplit:
    def test_splits_are_disjoint_and_cover_all_rows(self, params: SplitConfig) -> None:
        parts = split_rows(make_keys(60, 30, 10), params, 0)
        assert list(parts) == ["train", "validation", "test"]
        assert sorted(np.concatenate(list(parts.values()))) == list(range(100))

    def test_the_same_seed_gives_the_same_rows(self, params: SplitConfig) -> None:
        first, again = (split_rows(make_keys(60, 30, 10), params, 3) for _ in range(2))
        assert all((first[name] == again[name]).all() for name in first)

    def test_fractions_refer_to_all_rows(self, params: SplitConfig) -> None:
        # predefined: a fraction of training rows, 18 of 90; groups: 4 and 2 of 20, with 5 rows each
        expected = {"train": 72, "validation": 18, "test": 10} if params.by == "predefined" else None
        found = sizes(split_rows(make_keys(60, 30, 10), params, 0))
        assert found == (expected or {"train": 70, "validation": 20, "test": 10})


@pytest.mark.parametrize("params", [STRATIFIED, RANDOM, GROUP, PREDEFINED], ids=lambda params: params.by)
class TestEveryRandomSplit:
    def test_each_split_keeps_the_order_of_the_source(self, params: SplitConfig) -> None:
        for rows in split_rows(make_keys(60, 30, 10), params, 0).values():
            assert rows.tolist() == sorted(rows)

    def test_another_seed_gives_other_rows(self, params: SplitConfig) -> None:
        drawn = {tuple(split_rows(make_keys(60, 30, 10), params, seed)["validation"]) for seed in (0, 1, 2)}
        assert len(drawn) == 3


class TestSizes:
    @pytest.mark.parametrize("by", ["stratified", "random"])
    def test_integers_are_numbers_of_rows(self, by: str) -> None:
        params = RandomSplit.model_validate({"by": by, "validation": 7, "test": 13})
        assert sizes(split_rows(make_keys(60, 30, 10), params, 0)) == {"train": 80, "validation": 7, "test": 13}

    def test_a_fraction_and_a_number_can_be_combined(self) -> None:
        params = TimeSplit(by="time", column="day", validation=3, test=0.25)
        assert sizes(split_rows(make_keys(60, 30, 10), params, 0)) == {"train": 72, "validation": 3, "test": 25}

    def test_for_group_splits_integers_are_numbers_of_groups(self) -> None:
        params = GroupSplit(by="group", column="site", validation=3, test=1)
        keys = make_keys(60, 30, 10)
        parts = split_rows(keys, params, 0)
        assert keys.groups is not None
        assert [len(np.unique(keys.groups[rows])) for rows in parts.values()] == [16, 3, 1]

    @pytest.mark.parametrize("params", [RANDOM, TIME], ids=lambda params: params.by)
    def test_sizes_beyond_the_number_of_rows_are_refused(self, params: SplitConfig) -> None:
        changed = params.model_copy(update={"test": 200})
        with pytest.raises(
            DataError, match=r"\Aeach split needs at least [^\n]*; add rows or change the sizes under `split`\Z"
        ):
            split_rows(make_keys(60, 40), changed, 0)

    def test_splits_without_rows_left_for_training_are_refused(self) -> None:
        params = RandomSplit(validation=200, test=200, by="random")
        message = "each split needs at least 1 row, but of 344 rows 200 go to validation and 200 go to test; add rows"
        with pytest.raises(DataError, match=message):
            split_rows(make_keys(200, 144), params, 0)
        with pytest.raises(DataError, match=r"but of 60 rows 60 go to validation; add rows or change the"):
            split_rows(
                make_keys(60, 40, predefined=np.array(["train"] * 60 + ["test"] * 40)),
                PredefinedSplit(by="predefined", validation=60),
                0,
            )


class TestStratified:
    def test_class_proportions_are_preserved(self) -> None:
        keys = make_keys(60, 30, 10)
        counts = {name: np.bincount(keys.y[rows]).tolist() for name, rows in split_rows(keys, STRATIFIED, 0).items()}
        assert counts == {"train": [42, 21, 7], "validation": [12, 6, 2], "test": [6, 3, 1]}

    def test_a_class_with_two_rows_cannot_be_stratified(self) -> None:
        message = (
            r"a stratified split needs at least 3 rows of each class, but class 'class1' has 2;"
            r" remove the class, add rows, or set `split.by: random`"
        )
        with pytest.raises(DataError, match=message):
            split_rows(make_keys(60, 2), STRATIFIED, 0)

    def test_too_few_rows_for_every_class_are_refused(self) -> None:
        message = r"each split needs at least 4 rows, one per class, but of 20 rows 4 go to validation and 2 go to test"
        with pytest.raises(DataError, match=message):
            split_rows(make_keys(5, 5, 5, 5), STRATIFIED, 0)


class TestRandom:
    def test_classes_are_ignored(self) -> None:
        # of 20 random test splits of 10 rows, some have none of the 10 rows of the last class, unlike stratified ones
        keys = make_keys(60, 30, 10)
        assert any(2 not in keys.y[split_rows(keys, RANDOM, seed)["test"]] for seed in range(20))

    def test_values_are_split_at_random(self) -> None:
        assert sizes(split_rows(make_regression_keys(50), RANDOM, 3)) == {"train": 35, "validation": 10, "test": 5}

    def test_a_class_with_two_rows_is_accepted(self) -> None:
        assert len(split_rows(make_keys(60, 2), RANDOM, 0)["test"]) == 7

    def test_too_few_rows_for_a_split_are_refused(self) -> None:
        message = r"each split needs at least 2 rows, but test has 1 of 9; add rows or change the sizes"
        with pytest.raises(DataError, match=message):
            split_rows(make_regression_keys(9), RANDOM, 0)


class TestGroups:
    @pytest.mark.parametrize("seed", range(5))
    def test_splits_share_no_group(self, seed: int) -> None:
        groups = np.random.default_rng(seed).integers(0, 25, 300)
        parts = split_rows(make_keys(200, 100, groups=groups), GROUP, seed)
        held = [set(groups[rows]) for rows in parts.values()]
        assert not held[0] & held[1] | held[0] & held[2] | held[1] & held[2]
        assert [len(part) for part in held] == [17, 5, 3]

    def test_too_few_groups_are_refused_in_one_line(self) -> None:
        message = (
            r"\Aeach of three splits needs a group, but column 'site' has 2 groups, of which validation gets 1 and"
            r" test 1;"
            r" add groups, or change `split`\Z"
        )
        with pytest.raises(DataError, match=message):
            split_rows(make_keys(50, 50, groups=np.arange(100) % 2), GROUP, 0)


class TestTime:
    def test_no_row_precedes_one_of_an_earlier_split(self) -> None:
        keys = make_keys(60, 30, 10)
        assert keys.time is not None
        train, validation, test = (keys.time[rows] for rows in split_rows(keys, TIME, 0).values())
        assert train.max() < validation.min() <= validation.max() < test.min()

    def test_rows_of_a_split_are_in_order_of_time(self) -> None:
        keys = make_keys(60, 30, 10)
        assert keys.time is not None
        assert all((np.diff(keys.time[rows]) > 0).all() for rows in split_rows(keys, TIME, 0).values())

    def test_dates_are_sorted(self) -> None:
        days = np.array(["2024-03-01", "2023-01-01", "2025-01-01", "2022-05-05"] * 5, "datetime64[ms]")
        parts = split_rows(make_keys(10, 10, time=days), TimeSplit(by="time", column="day", validation=5, test=5), 0)
        assert set(days[parts["test"]].astype(str)) == {"2025-01-01T00:00:00.000"}

    def test_overlapping_rows_are_left_out_before_a_cut(self) -> None:
        parts = split_rows(make_keys(60, 30, 10, time=None, overlap=3), TIME, 0)
        assert [rows[[0, -1]].tolist() for rows in parts.values()] == [[0, 66], [70, 86], [90, 99]]


class TestPredefined:
    def test_the_splits_of_the_source_are_used(self) -> None:
        given = np.array(["train", "validation", "test", "train"] * 5)
        parts = split_rows(make_keys(10, 10, predefined=given), PREDEFINED, 0)
        assert {name: set(given[rows]) for name, rows in parts.items()} == {name: {name} for name in parts}

    def test_validation_rows_are_drawn_from_training_rows_by_class(self) -> None:
        keys = make_keys(60, 30, 10)
        parts = split_rows(keys, PREDEFINED, 0)
        assert parts["test"].tolist() == list(range(90, 100))
        shares = np.bincount(keys.y[parts["validation"]]) / 18
        np.testing.assert_allclose(shares, np.bincount(keys.y[:90]) / 90, atol=0.03)

    def test_a_class_with_one_training_row_does_not_prevent_the_split(self) -> None:
        y = np.array([0, 1] * 20 + [2, 2])
        given = np.array(["train"] * 41 + ["test"])
        parts = split_rows(SplitKeys(y, ("a", "b", "c"), predefined=given), PREDEFINED, 0)
        assert sizes(parts) == {"train": 32, "validation": 9, "test": 1}

    def test_regression_rows_can_be_drawn(self) -> None:
        given = np.array(["train"] * 8 + ["test"] * 2)
        assert sizes(split_rows(SplitKeys(np.arange(10.0), predefined=given), PREDEFINED, 0)) == {
            "train": 6,
            "validation": 2,
            "test": 2,
        }

    def test_a_source_without_splits_is_refused(self) -> None:
        with pytest.raises(DataError, match=r"needs a source that assigns rows to splits, but this one does not; use"):
            split_rows(make_keys(10, 10, predefined=None), PREDEFINED, 0)


def test_training_rows_of_one_class_are_refused() -> None:
    keys = SplitKeys(np.array([0] * 70 + [1] * 30), ("no", "yes"), time=np.arange(100))
    message = r"training rows must belong to at least 2 classes, but all belong to 'no'; add rows, or change `split`"
    with pytest.raises(DataError, match=message):
        split_rows(keys, TIME, 0)


@pytest.mark.parametrize(
    ("counts", "params"),
    [
        pytest.param((5, 5), RandomSplit(validation=0.45, test=0.45, by="random"), id="no training row is left"),
        pytest.param((3, 50), RandomSplit(validation=0.05, test=0.6, by="stratified"), id="test takes 2 rows of 3"),
        pytest.param(
            (3, 4, 5), RandomSplit(validation=0.45, test=0.3, by="stratified"), id="2 training rows, 3 classes"
        ),
        pytest.param((9, 9), TimeSplit(validation=0.5, test=0.45, by="time"), id="time leaves no training row"),
    ],
)
def test_sizes_that_leave_too_few_rows_are_refused_in_one_line(counts: tuple[int, ...], params: SplitConfig) -> None:
    with pytest.raises(DataError, match=r"\A[^\n]*rows[^\n]*\Z"):
        split_rows(make_keys(*counts), params, 0)


def make_folds(keys: SplitKeys, params: SplitConfig, k: int = 5) -> tuple[SplitIndices, list[tuple[Array, Array]]]:
    parts = split_rows(keys, params, 0)
    return parts, list(split_folds(keys, parts, params.by, k, seed=1))


@pytest.mark.parametrize("params", [STRATIFIED, RANDOM, GROUP, PREDEFINED], ids=lambda params: params.by)
class TestRandomFolds:
    def test_each_row_outside_the_test_split_is_held_out_once(self, params: SplitConfig) -> None:
        parts, pairs = make_folds(make_keys(60, 30, 10), params)
        held = np.concatenate([held for _, held in pairs])
        assert len(pairs) == 5
        assert sorted(held) == sorted([*parts["train"], *parts["validation"]])

    def test_rows_are_either_training_or_validation_rows(self, params: SplitConfig) -> None:
        parts, pairs = make_folds(make_keys(60, 30, 10), params)
        for train, held in pairs:
            assert sorted([*train, *held]) == sorted([*parts["train"], *parts["validation"]])

    def test_the_seed_determines_the_folds(self, params: SplitConfig) -> None:
        keys = make_keys(60, 30, 10)
        parts = split_rows(keys, params, 0)
        first, again, other = (
            [held.tolist() for _, held in split_folds(keys, parts, params.by, 3, s)] for s in (1, 1, 2)
        )
        assert first == again != other


class TestFoldsByStrategy:
    def test_stratified_folds_preserve_class_proportions(self) -> None:
        keys = make_keys(60, 30, 10)
        _, pairs = make_folds(keys, STRATIFIED, k=3)
        assert [np.bincount(keys.y[held]).tolist() for _, held in pairs] == [[18, 9, 3]] * 3

    def test_folds_share_no_group(self) -> None:
        keys = make_keys(60, 30, 10)
        assert keys.groups is not None
        for train, held in make_folds(keys, GROUP)[1]:
            assert not set(keys.groups[train]) & set(keys.groups[held])

    def test_folds_in_time_train_on_all_earlier_rows(self) -> None:
        keys = make_keys(60, 30, 10)
        assert keys.time is not None
        parts, pairs = make_folds(keys, TIME)
        lengths = [len(train) for train, _ in pairs]
        assert lengths == sorted(lengths) == [15, 30, 45, 60, 75]
        for train, held in pairs:
            assert keys.time[train].max() < keys.time[held].min()
            assert not set(parts["test"]) & {*train, *held}

    def test_folds_in_time_leave_out_overlapping_rows(self) -> None:
        keys = make_keys(60, 30, 10, time=None, overlap=3)
        for train, held in make_folds(keys, TIME, k=3)[1]:
            assert held.min() - train.max() > 3

    def test_rows_with_equal_times_stay_together_in_the_later_fold(self) -> None:
        days = np.random.default_rng(0).permutation(np.repeat(np.arange(12), 10))
        cut = TimeSplit(by="time", column="day", validation=25, test=25)  # leaves days 0 to 8, 90 rows
        _, pairs = make_folds(SplitKeys(np.zeros(120), time=days), cut, k=3)
        # by hand: folds of 22 rows start at rows 24, 46 and 68, within days 2, 4 and 6
        assert [sorted({*days[held].tolist()}) for _, held in pairs] == [[2, 3], [4, 5], [6, 7, 8]]
        assert [sorted({*days[train].tolist()}) for train, _ in pairs] == [[*range(2)], [*range(4)], [*range(6)]]
        assert [len(train) + len(held) for train, held in pairs] == [40, 60, 90]

    def test_a_time_that_fills_a_fold_is_named(self) -> None:
        days = np.repeat([0, 1, 2, 3], [20, 60, 10, 10])
        cut = TimeSplit(by="time", column="day", validation=10, test=10)
        with pytest.raises(
            DataError, match=r"each of 3 folds .*rows with equal times stay together, but those of 1 fill a "
        ):
            make_folds(SplitKeys(np.zeros(100), time=days), cut, k=3)

    def test_regression_rows_are_drawn(self) -> None:
        assert [len(held) for _, held in make_folds(make_regression_keys(50), RANDOM)[1]] == [9] * 5

    def test_a_class_with_fewer_rows_than_folds_is_accepted(self) -> None:
        assert len(make_folds(make_keys(60, 4), STRATIFIED)[1]) == 5

    @pytest.mark.parametrize(
        ("params", "available"),
        [
            (RANDOM, "90 rows"),
            (GROUP, "18 groups"),
            (TIME, "90 rows"),
            (STRATIFIED, "54 rows of the most frequent class"),
        ],
    )
    def test_more_folds_than_rows_are_refused_in_one_line(self, params: SplitConfig, available: str) -> None:
        with pytest.raises(DataError) as refused:
            make_folds(make_keys(60, 30, 10), params, k=500)
        assert str(refused.value) == (
            f"each of 500 folds needs rows, but {available} are not enough; use fewer folds, or add rows"
        )
