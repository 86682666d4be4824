"""The column to predict is asked for by names that help, and rows without it are seen before anything else."""

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


def test_the_first_and_the_last_columns_are_listed_and_the_last_is_proposed() -> None:
    said = r"the columns are 0, 1, 2, 3, 4, 5, 6, 7, \.\.\. 782, 783, 784 \(for the last one: --target 784\)"
    with pytest.raises(DataError, match=said):
        find_target(frame(*map(str, range(785))), None, SOURCE)


def test_the_split_is_no_target_and_a_name_with_spaces_is_quoted() -> None:
    with pytest.raises(DataError, match=r"\(for the last one: --target 'heart rate'\)"):
        find_target(frame("a", "heart rate", "y"), "y", SOURCE)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("Species", r"'Species' is none; the columns are island, species; is 'species' meant\?$"),
        ("specis", r"is 'species' meant\?$"),
        ("price", r"'price' is none; the columns are island, species$"),
    ],
)
def test_a_target_that_is_no_column_is_refused_with_the_one_that_is_meant(target: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_columns(frame("island", "species"), [("--target", target)], SOURCE)


def refused(values: pd.Series, task: str) -> str:
    with pytest.raises(DataError) as caught:
        raise_missing_targets(values, missing_targets(values, task), SOURCE)
    return str(caught.value)


def test_rows_without_a_target_are_counted_and_named() -> None:
    values = pd.Series(["a", None, "b", "a", None, "b"], name="y")
    assert refused(values, "classification").endswith(
        "column 'y' is empty in 2 of 6 rows (rows 2, 5): fill them in, or delete these rows and add the file again, or"
        " say --accept to leave them out"
    )


def test_a_word_for_nothing_is_a_gap_among_numbers_but_a_class_among_classes() -> None:
    assert missing_targets(pd.Series(["1.5", "unknown"], name="y"), "regression").tolist() == [False, True]
    values = pd.Series(["1.5", "NA", "2.5"], name="y")
    assert not missing_targets(values, "classification").any()
    assert "column 'y' is empty in 1 of 3 rows (row 2)" in refused(values, "regression")


def test_a_column_that_is_mostly_empty_is_hardly_the_target() -> None:
    values = pd.Series([1.5, np.nan, np.nan], name="y")
    said = refused(values, "regression")
    assert "empty in 2 of 3 rows (rows 2, 3): is another column meant by --target?" in said


def test_few_are_listed_whole() -> None:
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
        (np.exp(np.random.default_rng(0).normal(9, 1.5, 500)) - 1000, False),  # there is no logarithm
    ],
    ids=["incomes", "as text", "even", "exponential", "outlier", "negative"],
)
def test_a_target_with_a_long_tail_is_learnt_by_its_logarithms(values: object, skewed: bool) -> None:
    assert is_skewed(pd.Series(values)) is skewed
