import numpy as np
import pytest

from fivefold.data.checks import Finding, check
from fivefold.data.records import Array, Dataset

from ..conftest import dataset_of, schema_of


def table(train: Array, *others: Array, y: Array | None = None) -> Dataset:
    """A table for regression, or for classes where `y` gives them to the training rows, and others have all of them."""
    classes = 0 if y is None else int(y.max()) + 1
    return dataset_of(
        schema_of(train.shape[1:], classes),
        (train, np.zeros(len(train)) if y is None else y),
        *((x, np.arange(len(x)) % max(classes, 1)) for x in others),
    )


def grid(n: int, start: float = 0, columns: int = 2) -> Array:
    """Rows without repetition or constant column."""
    return start + np.arange(n * columns, dtype=float).reshape(n, columns)


def only(findings: list[Finding], rule: str) -> list[tuple[str, str]]:
    return [(finding.level, finding.text) for finding in findings if finding.rule == rule]


def test_data_without_fault_gives_no_finding() -> None:
    assert check(table(grid(8), grid(4, 100), grid(4, 200))) == []


class TestMissing:
    def test_a_column_with_gaps_is_noted_with_its_share(self) -> None:
        train = grid(8)
        train[2:4, 1] = np.nan
        findings = check(table(train, grid(4, 100), grid(4, 200)))
        assert only(findings, "missing") == [("note", "25.0% of b is missing; the median stands in")]

    def test_a_column_that_is_mostly_missing_is_a_warning(self) -> None:
        train = grid(8)
        train[:5, 0] = np.nan
        findings = check(table(train, grid(4, 100), grid(4, 200)))
        assert only(findings, "missing") == [("warning", "62.5% of a is missing; the median stands in")]

    def test_gaps_outside_the_training_rows_are_not_looked_at(self) -> None:
        test = grid(4, 200)
        test[:, 0] = np.nan
        assert only(check(table(grid(8), grid(4, 100), test)), "missing") == []


class TestConstant:
    def test_a_column_that_never_changes_is_named(self) -> None:
        train = grid(8)
        train[:, 1] = 3
        findings = check(table(train, grid(4, 100), grid(4, 200)))
        assert only(findings, "constant") == [("warning", "b never changes; name it under `drop`")]

    def test_pixels_that_never_change_are_counted(self) -> None:
        x = np.random.default_rng(0).integers(0, 256, (9, 1, 2, 3), dtype=np.uint8)
        x[:, 0, 0, :2] = 7
        y = np.array([0, 1] * 2)
        dataset = dataset_of(schema_of((1, 2, 3), 2), (x[:4], y), (x[4:6], y[:2]), (x[6:], y[:3]))
        assert only(check(dataset), "constant") == [("note", "2 of 6 pixels never change")]


class TestRepeatedRows:
    def test_repeated_rows_are_counted(self) -> None:
        train = grid(8)
        train[5] = train[6] = train[0]
        findings = check(table(train, grid(4, 100), grid(4, 200)))
        assert only(findings, "duplicates") == [("note", "2 rows repeat an earlier row's features")]
        assert only(findings, "split_overlap") == []

    def test_rows_shared_with_the_training_rows_are_a_warning_for_each_set(self) -> None:
        validation, test = grid(4, 100), grid(5, 200)
        validation[0] = grid(8)[3]
        test[1] = test[4] = grid(8)[7]
        assert only(check(table(grid(8), validation, test)), "split_overlap") == [
            ("warning", "1 of 4 validation rows have the features of a training row: scores flatter"),
            ("warning", "2 of 5 test rows have the features of a training row: scores flatter"),
        ]

    def test_rows_shared_by_validation_and_test_are_no_overlap_with_training(self) -> None:
        findings = check(table(grid(8), grid(4, 100), grid(4, 100)))
        assert only(findings, "split_overlap") == []
        assert only(findings, "duplicates") == [("note", "4 rows repeat an earlier row's features")]

    def test_rows_with_the_same_gap_are_the_same(self) -> None:
        train = grid(8)
        train[1] = train[4] = [np.nan, 5]
        assert only(check(table(train, grid(4, 100), grid(4, 200))), "duplicates") == [
            ("note", "1 rows repeat an earlier row's features")
        ]


class TestBalance:
    @pytest.mark.parametrize(
        ("counts", "level", "text"),
        [
            ((9, 10), "note", "10 rows of class1 to 9 of class0"),
            ((3, 30), "note", "30 rows of class1 to 3 of class0"),
            ((3, 31), "warning", "31 rows of class1 to 3 of class0"),
            ((5, 0, 9), "warning", "class class1 has no training row"),
        ],
    )
    def test_the_commonest_class_is_set_against_the_rarest(
        self, counts: tuple[int, ...], level: str, text: str
    ) -> None:
        y = np.repeat(np.arange(len(counts)), counts)
        findings = check(table(grid(len(y)), grid(4, 1000), grid(4, 2000), y=y))
        assert only(findings, "class_balance") == [(level, text)]

    def test_classes_that_a_set_lacks_are_named(self) -> None:
        x, y = grid(8), np.arange(8)
        dataset = dataset_of(schema_of((2,), 8), (x, y), (grid(7, 100), y[1:]), (grid(1, 200), y[:1]))
        assert only(check(dataset), "class_balance") == [
            ("warning", "validation rows have none of class0: scores say nothing of it; split `by: stratified`"),
            (
                "warning",
                "test rows have none of class1, class2, class3, class4, class5, ...: scores say nothing of it;"
                " split `by: stratified`",
            ),
            ("note", "1 rows of each class"),
        ]

    def test_values_have_no_balance(self) -> None:
        assert only(check(table(grid(8), grid(4, 100), grid(4, 200))), "class_balance") == []
