from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.config.base import CheckLevel, CheckRule
from fivefold.config.splits import PredefinedSplit
from fivefold.data.checks import MAX_CATEGORIES, MAX_LEAK_CANDIDATES, run_checks
from fivefold.data.dataset import Array, Dataset
from fivefold.data.prepare import prepare
from fivefold.data.schema import CheckResult, Column, apply_levels
from fivefold.errors import DataError

from ..conftest import dataset_of, schema_of, table_block

RANDOM = np.random.default_rng(0)


def table(train: Array, *others: Array, y: Array | None = None) -> Dataset:
    """Return a table for regression, or for classification if `y` is given; held-out rows contain all classes."""
    classes = 0 if y is None else int(y.max()) + 1
    return dataset_of(
        schema_of(train.shape[1:], classes),
        (train, np.arange(len(train)) % 3 if y is None else y),
        *((x, np.arange(len(x)) % max(classes, 1)) for x in others),
    )


def grid(n: int, start: float = 0, columns: int = 2) -> Array:
    """Return rows without repetition or constant column."""
    return start + np.arange(n * columns, dtype=float).reshape(n, columns)


def run(train: Array, y: Array | None = None, **columns: Any) -> list[CheckResult]:
    """Return the check results of training rows; held-out rows are another grid."""
    width = train.shape[1]
    dataset = table(train, grid(40, 1e5, width), grid(40, 2e5, width), y=y)
    described = dataset.schema.columns
    if columns:
        described = tuple(Column(**{"name": c.name, "type": c.type, **columns.get(c.name, {})}) for c in described)
    schema = dataset.schema.model_copy(update={"columns": described})
    return list(run_checks(Dataset(schema, dataset.train, dataset.validation, dataset.test)))


def by_rule(results: list[CheckResult], rule: str) -> list[tuple[str, str]]:
    return [(result.level, result.message) for result in results if result.rule == rule]


def test_valid_data_gives_no_results() -> None:
    assert run(grid(8)) == []
    classes = np.arange(300) % 2
    assert {f.rule for f in run(RANDOM.normal(size=(300, 4)), y=classes)} == {"class_balance"}


@pytest.mark.parametrize(
    ("check", "rules"),
    [
        ("_check_duplicates", ("duplicates", "split_overlap")),
        ("_check_balance", ("class_balance", "small_class", "absent_class", "unseen_class")),
        ("_check_missing", ("missing",)),
        ("_check_identifiers", ("identifier",)),
        ("_check_outliers", ("outliers",)),
        ("_check_leakage", ("leakage",)),
        ("_check_constant", ("constant",)),
    ],
)
def test_checks_that_are_off_are_not_run(
    monkeypatch: pytest.MonkeyPatch, check: str, rules: tuple[CheckRule, ...]
) -> None:
    calls = []
    monkeypatch.setattr(f"fivefold.data.checks.{check}", lambda dataset: iter(calls.append(dataset) or []))
    dataset = table(grid(300), grid(40, 1e5), grid(40, 2e5), y=np.arange(300) % 2)
    off: dict[CheckRule, CheckLevel] = dict.fromkeys(rules, "off")
    list(run_checks(dataset, off))
    assert calls == []
    list(run_checks(dataset, {**off, rules[-1]: "note"}))
    assert calls == [dataset]


class TestMissing:
    def test_an_incomplete_column_is_a_note_with_its_share(self) -> None:
        train = grid(8)
        train[2:4, 1] = np.nan
        assert by_rule(run(train), "missing") == [("note", "25.0% of b is missing")]

    def test_many_incomplete_columns_are_one_note(self) -> None:
        train = RANDOM.normal(size=(20, 8))
        train[0], train[1, 3] = np.nan, np.nan
        listed = "10.0% of d, 5.0% of a, 5.0% of b, 5.0% of c, 5.0% of e, and some values of 3 more columns is missing"
        assert by_rule(run(train), "missing") == [("note", listed)]

    def test_a_column_that_is_mostly_missing_is_a_warning(self) -> None:
        train = grid(8)
        train[:5, 0] = np.nan
        assert by_rule(run(train), "missing") == [("warning", "62.5% of a is missing")]

    def test_a_column_without_values_is_a_warning(self) -> None:
        train = grid(40)
        train[:, 0] = np.nan
        assert by_rule(run(train), "missing") == [("warning", "100.0% of a is missing")]

    def test_missing_values_outside_the_training_rows_are_ignored(self) -> None:
        test = grid(4, 200)
        test[:, 0] = np.nan
        assert by_rule(list(run_checks(table(grid(8), grid(4, 100), test))), "missing") == []


class TestConstant:
    def test_a_constant_column_is_named(self) -> None:
        train = grid(8)
        train[:, 1] = 3
        assert by_rule(run(train), "constant") == [("warning", "b is constant; add it to `drop`")]

    def test_constant_pixels_are_counted(self) -> None:
        x = np.random.default_rng(0).integers(0, 256, (9, 1, 2, 3), dtype=np.uint8)
        x[:, 0, 0, :2] = 7
        y = np.array([0, 1] * 2)
        dataset = dataset_of(schema_of((1, 2, 3), 2), (x[:4], y), (x[4:6], y[:2]), (x[6:], y[:3]))
        assert by_rule(list(run_checks(dataset)), "constant") == [("note", "2 of 6 pixels are constant")]


class TestRepeatedRows:
    def test_repeated_rows_are_counted(self) -> None:
        train = grid(8)
        train[5] = train[6] = train[0]
        results = run(train)
        assert by_rule(results, "duplicates") == [("note", "2 rows repeat the features of an earlier row")]
        assert by_rule(results, "split_overlap") == []

    def test_rows_shared_with_training_rows_are_a_warning_per_split(self) -> None:
        validation, test = grid(4, 100), grid(5, 200)
        validation[0] = grid(8)[3]
        test[1] = test[4] = grid(8)[7]
        assert by_rule(list(run_checks(table(grid(8), validation, test))), "split_overlap") == [
            ("warning", "1 of 4 validation rows have the features of a training row: scores are optimistically biased"),
            ("warning", "2 of 5 test rows have the features of a training row: scores are optimistically biased"),
        ]

    def test_rows_shared_by_validation_and_test_are_no_overlap_with_training(self) -> None:
        results = list(run_checks(table(grid(8), grid(4, 100), grid(4, 100))))
        assert by_rule(results, "split_overlap") == []
        assert by_rule(results, "duplicates") == [("note", "4 rows repeat the features of an earlier row")]

    def test_rows_with_the_same_missing_values_are_equal(self) -> None:
        train = grid(8)
        train[1] = train[4] = [np.nan, 5]
        assert by_rule(run(train), "duplicates") == [("note", "1 rows repeat the features of an earlier row")]


class TestBalance:
    @pytest.mark.parametrize(
        ("counts", "level", "text"),
        [
            ((9, 10), "note", "10 training rows of class1, 9 of class0"),
            ((6, 60), "note", "60 training rows of class1, 6 of class0"),
            (
                (6, 61),
                "warning",
                "61 training rows of class1, 6 of class0; class0 may never be predicted; evaluate macro_f1"
                " instead of accuracy; `training: {class_balance: weighted_loss}` increases",
            ),
            ((8, 8, 8), "note", "8 training rows per class"),
        ],
    )
    def test_the_most_frequent_class_is_compared_with_the_rarest(
        self, counts: tuple[int, ...], level: str, text: str
    ) -> None:
        y = np.repeat(np.arange(len(counts)), counts)
        ((found, message),) = by_rule(run(grid(len(y)), y=y), "class_balance")
        assert found == level
        assert message.startswith(text)

    def test_a_class_without_training_rows_is_named_and_not_compared(self) -> None:
        results = run(grid(14), y=np.repeat([0, 2], [5, 9]))
        text = "class1: no training rows; change `split`, or remove the class"
        assert by_rule(results, "unseen_class") == [("error", text)]
        assert by_rule(results, "class_balance") == [("note", "9 training rows of class2, 5 of class0")]

    def test_classes_missing_from_a_split_are_named(self) -> None:
        x, y = grid(8), np.arange(8)
        dataset = dataset_of(schema_of((2,), 8), (x, y), (grid(7, 100), y[1:]), (grid(1, 200), y[:1]))
        assert by_rule(list(run_checks(dataset)), "absent_class") == [
            ("warning", "validation rows have none of class0: scores do not describe them"),
            (
                "warning",
                "test rows have none of class1, class2, class3, class4, class5, ...: scores do not describe them",
            ),
        ]

    @pytest.mark.parametrize(("rows", "expected"), [(5, []), (4, ["class1"]), (1, ["class1"])])
    def test_a_class_that_cannot_be_in_five_folds_is_named(self, rows: int, expected: list[str]) -> None:
        results = by_rule(run(grid(20 + rows), y=np.repeat([0, 1], [20, rows])), "small_class")
        text = "{}: fewer than 5 training rows, not enough for 5 folds"
        assert results == [("warning", text.format(name)) for name in expected]

    def test_a_regression_has_no_class_balance(self) -> None:
        assert by_rule(run(grid(8)), "class_balance") == []

    def test_an_absent_class_is_not_the_rarest(self) -> None:
        results = run(grid(3), y=np.array([1, 2, 4]))
        assert by_rule(results, "class_balance") == [("note", "1 training rows per class")]


def categories(n: int) -> dict[str, Any]:
    return {"a": {"type": "categorical", "categories": tuple(f"{i:05}" for i in range(n))}}


class TestIdentifiers:
    @pytest.mark.parametrize("start", [0, 1, 700_000])
    def test_a_row_index_is_an_identifier(self, start: int) -> None:
        x = np.column_stack([RANDOM.permutation(130) + start, RANDOM.normal(size=130)])
        text = "a: equals a row index; if it is an identifier, add it to `drop`"
        assert by_rule(list(run_checks(table(x[:50], x[50:90], x[90:]))), "identifier") == [("warning", text)]

    def test_mostly_unique_categories_are_an_identifier(self) -> None:
        x = np.column_stack([np.arange(50.0) % 30, RANDOM.normal(size=50)])
        text = "a: 30 distinct values in 50 training rows; if it is an identifier, add it to `drop`"
        assert by_rule(run(x, **categories(30)), "identifier") == [("warning", text)]

    def test_too_many_categories_are_an_error(self) -> None:
        n = MAX_CATEGORIES + 1
        x = np.column_stack([np.arange(n), RANDOM.normal(size=n)])
        ((level, _),) = by_rule(run(x, **categories(n)), "identifier")
        assert level == "error"

    @pytest.mark.parametrize(
        "column",
        [
            pytest.param(RANDOM.normal(size=50), id="measures"),
            pytest.param(np.arange(50) * 2.0, id="even numbers, such as doses"),
            pytest.param(np.arange(50) * 1000.0, id="whole numbers far apart"),
            pytest.param(np.arange(50) // 2, id="numbers that come twice"),
            pytest.param(np.where(np.arange(50) == 3, np.nan, np.arange(50)), id="a missing value"),
        ],
    )
    def test_other_numbers_are_not_identifiers(self, column: Array) -> None:
        assert by_rule(run(np.column_stack([column, RANDOM.normal(size=50)])), "identifier") == []

    def test_repeated_categories_are_not_an_identifier(self) -> None:
        x = np.column_stack([np.arange(50.0) % 25, RANDOM.normal(size=50)])
        assert by_rule(run(x, **categories(25)), "identifier") == []

    def test_few_rows_are_not_checked(self) -> None:
        assert by_rule(run(np.column_stack([np.arange(8), RANDOM.normal(size=8)])), "identifier") == []


class TestOutliers:
    def test_values_far_from_the_quartiles_are_counted(self) -> None:
        x = np.column_stack([np.linspace(0, 1, 100), RANDOM.normal(size=100)])
        x[:2, 0] = 12, -9  # quartiles 0.25 and 0.75: beyond 5.75 and -4.75
        x[2, 0] = 5
        text = "2 of 100 values of a are outliers (> 10 IQR); `clip` limits them"
        assert by_rule(run(x), "outliers") == [("note", text)]

    def test_missing_values_are_ignored(self) -> None:
        x = np.column_stack([np.linspace(0, 1, 100), RANDOM.normal(size=100)])
        x[:2, 0], x[3:50, 0] = 100, np.nan
        assert len(by_rule(run(x), "outliers")) == 1

    @pytest.mark.parametrize("kind", ["boolean", "ordinal"])
    def test_booleans_and_ordinals_have_no_outliers(self, kind: str) -> None:
        x = np.column_stack([np.r_[np.linspace(0, 0.1, 99), 5], RANDOM.normal(size=100)])
        assert by_rule(run(x, a={"type": kind}), "outliers") == []

    def test_a_column_with_zero_iqr_has_no_outliers(self) -> None:
        x = np.column_stack([np.r_[np.zeros(99), 5], RANDOM.normal(size=100)])
        assert by_rule(run(x), "outliers") == []


class TestLeakage:
    def test_a_category_that_determines_the_class_is_reported(self) -> None:
        towns = RANDOM.integers(0, 60, 900)
        answer = RANDOM.integers(0, 2, 60)[towns]
        x = np.column_stack([towns, RANDOM.normal(size=900)])
        ((level, text),) = by_rule(run(x, y=answer, **categories(60)), "leakage")
        assert level == "warning"
        assert text.startswith("a alone predicts")

    Y = RANDOM.integers(0, 3, 300)

    @pytest.mark.parametrize(
        "leak",
        [
            pytest.param(Y * 1.0, id="the target itself"),
            pytest.param(np.array([7.0, -2, 30])[Y], id="another name of each class"),
            pytest.param(Y * 10 + RANDOM.normal(size=300), id="a measure that parts the classes"),
        ],
    )
    def test_a_feature_that_alone_predicts_the_class_is_named(self, leak: Array) -> None:
        ((level, text),) = by_rule(run(np.column_stack([RANDOM.normal(size=300), leak]), y=self.Y), "leakage")
        assert level == "warning"
        assert text.startswith(
            "b alone predicts y (balanced accuracy 1.000): is it known at prediction time? if not, add it to `drop`"
        )

    def test_a_strong_feature_is_not_a_leak(self) -> None:
        x = np.column_stack([RANDOM.normal(size=300), self.Y * 2 + RANDOM.normal(size=300)])
        assert by_rule(run(x, y=self.Y), "leakage") == []

    def test_the_target_in_another_unit_is_named(self) -> None:
        y = RANDOM.normal(size=300)
        x = np.column_stack([RANDOM.normal(size=300), 1.8 * y + 32])
        dataset = dataset_of(schema_of((2,)), (x, y), (grid(9, 1e5), np.arange(9.0)), (grid(9, 2e5), np.arange(9.0)))
        ((_, text),) = by_rule(list(run_checks(dataset)), "leakage")
        assert text.startswith("b alone predicts y (R2 0.99")

    def test_missing_values_can_leak_the_target(self) -> None:
        y = RANDOM.integers(0, 2, 300)
        x = np.column_stack([RANDOM.normal(size=300), np.where(y == 1, np.nan, 1 + RANDOM.random(300))])
        assert len(by_rule(run(x, y=y), "leakage")) == 1

    def test_a_leak_is_found_among_many_features(self) -> None:
        width = 4 * MAX_LEAK_CANDIDATES
        x = RANDOM.normal(size=(300, width))
        x[:, -1] = self.Y
        schema = schema_of((26,), 3).model_copy(
            update={
                "features": tuple(f"f{i}" for i in range(width)),
                "shape": (width,),
                "columns": tuple(Column(name=f"f{i}", type="numeric") for i in range(width)),
            }
        )
        dataset = dataset_of(schema, (x, self.Y), *((x[:9] + i, self.Y[:9]) for i in (1, 2)))
        ((_, text),) = by_rule(list(run_checks(dataset)), "leakage")
        assert text.startswith(f"f{width - 1} alone predicts")

    def test_a_class_with_two_rows_is_ignored(self) -> None:
        y = self.Y.copy()
        y[:2] = 3
        x = np.column_stack([RANDOM.normal(size=300), y])
        assert len(by_rule(run(x, y=y), "leakage")) == 1

    def test_thirty_rows_are_needed(self) -> None:
        assert by_rule(run(np.column_stack([RANDOM.normal(size=29), self.Y[:29]]), y=self.Y[:29]), "leakage") == []


NOTE = CheckResult(rule="duplicates", level="note", message="2 rows repeat")
WARNING = CheckResult(rule="constant", level="warning", message="a never changes")
ERROR = CheckResult(rule="mixed_types", level="error", message="'hot' in row 2")


class TestLevels:
    def test_results_are_sorted_by_severity(self) -> None:
        assert apply_levels([NOTE, WARNING, NOTE], {}) == [WARNING, NOTE, NOTE]

    def test_levels_can_be_changed(self) -> None:
        found = apply_levels([NOTE, WARNING, ERROR], {"mixed_types": "note", "duplicates": "warning"})
        assert [(f.rule, f.level) for f in found] == [
            ("duplicates", "warning"),
            ("constant", "warning"),
            ("mixed_types", "note"),
        ]

    def test_a_rule_that_is_off_has_no_results(self) -> None:
        assert apply_levels([NOTE, ERROR], {"mixed_types": "off", "duplicates": "off"}) == []

    def test_an_error_is_raised_with_a_remedy(self) -> None:
        with pytest.raises(
            DataError,
            match=r"\Amixed_types: 'hot' in row 2; to continue anyway, set `checks: {mixed_types: war",
        ):
            apply_levels([NOTE, ERROR], {})

    def test_any_rule_can_be_an_error_and_all_errors_are_listed(self) -> None:
        message = (
            r"\Aconstant: a never changes; duplicates: 2 rows repeat; to continue anyway, set `checks: {constant:"
            r" warning, duplicates: warning}`\Z"
        )
        with pytest.raises(DataError, match=message):
            apply_levels([WARNING, NOTE], {"constant": "error", "duplicates": "error"})

    def test_at_most_ten_errors_are_listed(self) -> None:
        with pytest.raises(
            DataError,
            match=r"\A(mixed_types: 'hot' in row 2; ?){9}mixed_types: 'hot' .* row 2 \(and 3 more\); to continue",
        ):
            apply_levels([ERROR] * 13, {})

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        columns = {"a": RANDOM.normal(size=60), "same": 1, "y": ["u", "v"] * 30}
        pd.DataFrame(columns).to_csv(tmp_path / "a.csv", index=False)
        return tmp_path / "a.csv"

    def test_params_set_the_levels(self, source: Path) -> None:
        _, results = prepare(table_block(source), 0)
        assert ("constant", "warning") in {(f.rule, f.level) for f in results}
        _, results = prepare(table_block(source, checks={"constant": "off"}), 0)
        assert "constant" not in {f.rule for f in results}
        message = r"a.csv: constant: same is constant; add it to `drop`; to continue anyway, set `checks: {const"
        with pytest.raises(DataError, match=message):
            prepare(table_block(source, checks={"constant": "error"}), 0)

    def test_a_class_without_training_rows_is_an_error_by_default(self, tmp_path: Path) -> None:
        part = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
        y = ["u", "v"] * 25 + ["u", "w"] * 5
        pd.DataFrame({"a": RANDOM.normal(size=60), "part": part, "y": y}).to_csv(tmp_path / "b.csv", index=False)
        split = PredefinedSplit(by="predefined", column="part")
        message = r"b\.csv: unseen_class: w: no training rows; .*, set `checks: {unseen_class: warning}`\Z"
        with pytest.raises(DataError, match=message):
            prepare(table_block(tmp_path / "b.csv", split=split), 0)
        _, results = prepare(table_block(tmp_path / "b.csv", split=split, checks={"unseen_class": "warning"}), 0)
        assert by_rule(results, "unseen_class")
        assert [text for _, text in by_rule(results, "absent_class")] == [
            "validation rows have none of w: scores do not describe them",
            "test rows have none of v: scores do not describe them",
        ]
