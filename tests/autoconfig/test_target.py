"""The target column, its checks, and messages on missing targets."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.target import (
    check_columns,
    find_target,
    format_list,
    is_skewed,
    missing_targets,
    raise_missing_targets,
)
from fivefold.errors import DataError

SOURCE = Path("mine.csv")


def frame(*names: str) -> pd.DataFrame:
    return pd.DataFrame(0, index=range(3), columns=list(names))


def test_the_message_lists_the_first_and_last_columns() -> None:
    message = (
        r"\Amine\.csv: the target must be known, but no column is named target, label, class, y; set --target to one of"
        r" 0, 1, 2, 3, 4, 5, 6, 7, \.\.\. 782, 783, 784 \(for the last one: --target 784\), or, if there is no target,"
        r" --task unsupervised\Z"
    )
    with pytest.raises(DataError, match=message):
        find_target(frame(*map(str, range(785))), None, SOURCE)


def test_the_split_column_is_not_a_target_and_names_with_spaces_are_quoted() -> None:
    with pytest.raises(DataError, match=r"\(for the last one: --target 'heart rate'\)"):
        find_target(frame("a", "heart rate", "y"), "y", SOURCE)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "Species",
            r"--target must be a column, but is 'Species'; the columns are island, species; did you mean 'species'\?$",
        ),
        ("specis", r"did you mean 'species'\?$"),
        ("price", r"--target must be a column, but is 'price'; the columns are island, species$"),
    ],
)
def test_an_unknown_target_raises_with_a_similar_column(target: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_columns(frame("island", "species"), [("--target", target)], SOURCE)


def missing_targets_message(values: pd.Series, task: str) -> str:
    with pytest.raises(DataError) as caught:
        raise_missing_targets(values, missing_targets(values, task), SOURCE)
    return str(caught.value)


def test_rows_without_a_target_are_counted_and_listed() -> None:
    values = pd.Series(["a", None, "b", "a", None, "b"], name="y")
    assert missing_targets_message(values, "classification").endswith(
        "column 'y' is empty in 2 of 6 rows (rows 2, 5); fill them in, or delete these rows and add the file again, or"
        " use --skip-invalid to drop them"
    )


def test_na_strings_are_missing_in_a_regression_but_a_class_in_a_classification() -> None:
    assert missing_targets(pd.Series(["1.5", "unknown"], name="y"), "regression").tolist() == [False, True]
    values = pd.Series(["1.5", "NA", "2.5"], name="y")
    assert not missing_targets(values, "classification").any()
    assert "column 'y' is empty in 1 of 3 rows (row 2)" in missing_targets_message(values, "regression")


def test_a_mostly_empty_target_suggests_another_column() -> None:
    values = pd.Series([1.5, np.nan, np.nan], name="y")
    message = missing_targets_message(values, "regression")
    assert "empty in 2 of 3 rows (rows 2, 3); choose another --target, or delete these rows" in message


def test_short_lists_are_complete() -> None:
    assert format_list(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert format_list(range(13)) == "0, 1, 2, 3, 4, 5, 6, 7, ... 10, 11, 12"


@pytest.mark.parametrize(
    ("values", "skewed"),
    [
        (np.exp(np.random.default_rng(0).normal(9, 1.5, 500)), True),
        (np.exp(np.random.default_rng(0).normal(9, 1.5, 500)).round(2).astype(str), True),
        (np.random.default_rng(0).uniform(1, 100, 500), False),
        (np.random.default_rng(0).exponential(1, 500) + 1, False),
        (np.r_[np.ones(499), 1000], False),  # one outlier
        (np.exp(np.random.default_rng(0).normal(9, 1.5, 500)) - 1000, False),  # negative values have no logarithm
    ],
    ids=["incomes", "as text", "even", "exponential", "outlier", "negative"],
)
def test_skewed_targets(values: object, skewed: bool) -> None:
    assert is_skewed(pd.Series(values)) is skewed
