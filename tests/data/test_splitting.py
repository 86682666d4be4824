import numpy as np
import pytest

from fivefold.data.records import Dataset, Records
from fivefold.data.schema import Schema
from fivefold.data.splitting import split
from fivefold.errors import DataError
from fivefold.params.datasets import Split

from ..conftest import schema_of

STRATIFIED = Split(validation=0.2, test=0.1, by="stratified")
RANDOM = Split(validation=0.2, test=0.1, by="random")


def classes_of(*counts: int) -> tuple[Schema, Records]:
    """Records of so many rows a class, shuffled; x holds the row number, rows count from 1000."""
    y = np.random.default_rng(5).permutation(np.repeat(np.arange(len(counts)), counts))
    return schema_of((1,), len(counts)), Records(np.arange(len(y), dtype=float)[:, None], y, np.arange(len(y)) + 1000)


def values_of(n: int) -> tuple[Schema, Records]:
    return schema_of((1,)), Records(np.arange(n, dtype=float)[:, None], np.linspace(0, 1, n), np.arange(n))


def rows_of(dataset: Dataset) -> dict[str, list[int]]:
    return {name: records.rows.tolist() for name, records in dataset.splits().items()}


@pytest.mark.parametrize("params", [STRATIFIED, RANDOM], ids=lambda params: params.by)
class TestEverySplit:
    def test_sets_are_disjoint_and_cover_all_rows(self, params: Split) -> None:
        rows = rows_of(split(*classes_of(60, 30, 10), params, 0))
        assert sorted(row for part in rows.values() for row in part) == list(range(1000, 1100))

    def test_a_row_keeps_its_features_and_its_target(self, params: Split) -> None:
        schema, records = classes_of(60, 30, 10)
        for part in split(schema, records, params, 0).splits().values():
            np.testing.assert_array_equal(part.x[:, 0] + 1000, part.rows)
            np.testing.assert_array_equal(part.y, records.y[part.rows - 1000])

    def test_shares_are_shares_of_all_rows(self, params: Split) -> None:
        sizes = {name: len(part) for name, part in split(*classes_of(60, 30, 10), params, 0).splits().items()}
        assert sizes == {"train": 70, "validation": 20, "test": 10}

    def test_each_set_keeps_the_order_of_the_source(self, params: Split) -> None:
        for rows in rows_of(split(*classes_of(60, 30, 10), params, 0)).values():
            assert rows == sorted(rows)

    def test_the_same_seed_gives_the_same_rows(self, params: Split) -> None:
        assert rows_of(split(*classes_of(60, 30, 10), params, 0)) == rows_of(split(*classes_of(60, 30, 10), params, 0))

    def test_another_seed_gives_other_rows(self, params: Split) -> None:
        seeds = [rows_of(split(*classes_of(60, 30, 10), params, seed))["test"] for seed in (0, 1, 2)]
        assert len({tuple(rows) for rows in seeds}) == 3


def test_a_stratified_split_keeps_the_share_of_each_class() -> None:
    dataset = split(*classes_of(60, 30, 10), STRATIFIED, 0)
    counts = {name: np.bincount(part.y).tolist() for name, part in dataset.splits().items()}
    assert counts == {"train": [42, 21, 7], "validation": [12, 6, 2], "test": [6, 3, 1]}


def test_a_random_split_does_not_look_at_classes() -> None:
    # of 20 random test sets of 10 rows, some have none of the 10 rows of the last class, which a stratified one has
    tests = [split(*classes_of(60, 30, 10), RANDOM, seed).test.y for seed in range(20)]
    assert any(2 not in y for y in tests)


def test_values_are_split_at_random() -> None:
    dataset = split(*values_of(50), RANDOM, 3)
    assert [len(part) for part in dataset.splits().values()] == [35, 10, 5]


def test_a_class_with_two_rows_cannot_be_in_three_sets() -> None:
    message = (
        r"a stratified split needs 3 rows or more of each class, but class 'class1' has 2;"
        r" remove the class, bring more rows, or split `by: random`"
    )
    with pytest.raises(DataError, match=message):
        split(*classes_of(60, 2), STRATIFIED, 0)


def test_a_random_split_takes_a_class_with_two_rows() -> None:
    assert len(split(*classes_of(60, 2), RANDOM, 0).test) == 7


def test_too_few_rows_for_a_set_are_refused() -> None:
    message = r"each set must get 2 rows or more, but the smallest would get 0 of 9 rows; bring more rows or raise the"
    with pytest.raises(DataError, match=message):
        split(*values_of(9), RANDOM, 0)


def test_too_few_rows_for_every_class_are_refused() -> None:
    message = r"each set must get 4 rows or more, but the smallest would get 2 of 20 rows; bring more rows or raise the"
    with pytest.raises(DataError, match=message):
        split(*classes_of(5, 5, 5, 5), STRATIFIED, 0)


@pytest.mark.parametrize(
    ("counts", "params"),
    [
        pytest.param((5, 5), Split(validation=0.45, test=0.45, by="random"), id="no training row is left"),
        pytest.param((3, 50), Split(validation=0.05, test=0.6, by="stratified"), id="test takes 2 rows of 3"),
        pytest.param((3, 4, 5), Split(validation=0.45, test=0.3, by="stratified"), id="2 training rows, 3 classes"),
    ],
)
def test_rows_that_rounding_takes_away_are_missed_in_one_line(counts: tuple[int, ...], params: Split) -> None:
    with pytest.raises(DataError, match="rows"):
        split(*classes_of(*counts), params, 0)
