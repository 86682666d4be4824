"""Encoded rows with their targets are decoded as in the source."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import ColumnOptions
from fivefold.data.dataset import Dataset
from fivefold.data.decoding import join_targets, match_schema, round_to_schema, to_frame

from ..conftest import encode_as_training, table_block

ROWS = 24


def frame() -> pd.DataFrame:
    """Return a column of each kind: text with missing values, numeric categories, integers, decimals and floats."""
    random = np.random.default_rng(0)
    i = np.arange(ROWS)
    return pd.DataFrame(
        {
            "color": pd.array(np.where(i % 5 == 4, None, np.array(["red", "green"])[i % 2]), dtype="string"),
            "shop": pd.array([[7, 12, 30][k % 3] for k in i], dtype="Int64"),
            "size": pd.array(np.array(["small", "medium", "large"])[i % 3], dtype="string"),
            "sold": i % 4 == 0,
            "count": random.integers(0, 1000, ROWS),
            "price": random.integers(100, 999, ROWS) / 100,
            "weight": random.normal(size=ROWS),
            "day": (np.datetime64("2020-01-01") + 40 * i).astype("datetime64[ms]"),
            "moment": (np.datetime64("2020-01-01T00:00:00") + 4321 * i).astype("datetime64[ms]"),
            "grade": pd.array(np.array(["01", "02", "10"])[i % 3], dtype="string"),
            "y": random.integers(10, 99, ROWS) / 10,
        }
    )


def source(folder: Path, target: str, task: str) -> Dataset:
    frame().to_parquet(folder / "a.parquet")
    options = {"shop": ColumnOptions(type="categorical")}
    also = {"y": "regression"} if target != "y" else {"grade": "classification"}
    return encode_as_training(
        table_block(folder / "a.parquet", task=task, target=target, columns=options, extra_targets=also)
    )


@pytest.mark.parametrize(("target", "task", "last"), [("y", "regression", "grade"), ("grade", "classification", "y")])
def test_encoded_rows_are_decoded_as_in_the_source(tmp_path: Path, target: str, task: str, last: str) -> None:
    rows = join_targets(source(tmp_path, target, task), exclude_primary=False)
    assert rows.schema.features[-2:] == (target, last)
    x = np.where(
        np.isnan(rows.train.x), 3, rows.train.x
    )  # generative models encode a missing category as one past `other`
    found = to_frame(round_to_schema(x, rows.schema), np.arange(0), rows.schema)
    pd.testing.assert_frame_equal(found, frame()[[*frame().columns[:-2], target, last]])


def test_given_classes_become_the_target_column(tmp_path: Path) -> None:
    rows = join_targets(source(tmp_path, "grade", "classification"), exclude_primary=True)
    assert "grade" not in rows.schema.features
    x = np.nan_to_num(rows.train.x, nan=3)
    found = to_frame(round_to_schema(x, rows.schema), rows.train.y, rows.schema)
    assert list(found) == [*frame().columns[:-2], "y", "grade"]
    assert found["grade"].tolist() == frame()["grade"].tolist()


def test_generated_rows_are_rounded_and_date_parts_are_consistent(tmp_path: Path) -> None:
    rows = join_targets(source(tmp_path, "y", "regression"), exclude_primary=False)
    names = rows.schema.features
    x = rows.train.x + 0.004
    x[:, names.index("sold")] = 0.6
    x[:, names.index("size")] = 5.2
    x[:, names.index("day.month")] = 99
    x[0, names.index("price")] = -1e-9
    found = dict(zip(names, round_to_schema(x, rows.schema).T, strict=True))
    true = dict(zip(names, rows.train.x.T, strict=True))
    for name in ("count", "price", "day.days", "day.month"):
        np.testing.assert_allclose(found[name][1:], true[name][1:], atol=1e-9)
    assert (found["sold"] == 1).all()
    assert not np.signbit(found["price"][0])
    assert (found["size"] == 2).all()
    np.testing.assert_allclose(found["weight"], true["weight"] + 0.004)


def test_rows_are_matched_to_the_schema_of_a_model(tmp_path: Path) -> None:
    rows = source(tmp_path, "grade", "classification")
    for exclude_primary in (True, False):
        joined = join_targets(rows, exclude_primary=exclude_primary)
        matched = match_schema(rows, joined.schema)
        assert matched.schema == joined.schema
        np.testing.assert_array_equal(matched.train.x, joined.train.x)
    assert match_schema(rows, rows.schema) is rows


def test_other_categories_are_decoded_as_other(tmp_path: Path) -> None:
    rows = join_targets(source(tmp_path, "y", "regression"), exclude_primary=False)
    x = np.nan_to_num(rows.train.x[:3], nan=0)
    x[:, 0] = [0, 2, 3]
    found = to_frame(round_to_schema(x, rows.schema), np.arange(0), rows.schema)["color"]
    assert found.fillna("").tolist() == ["green", "other", ""]
