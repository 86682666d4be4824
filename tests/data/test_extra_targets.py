"""Extra targets of a table: not features, may be missing, fitted on training rows only."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import ColumnOptions, MissingValues
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare, read_raw_dataset
from fivefold.data.schema import ExtraTarget
from fivefold.data.splitting import split_rows
from fivefold.data.storage import load_dataset, save_dataset, write_manifest
from fivefold.data.targets import output_metadata, target_specs
from fivefold.errors import DataError
from fivefold.training.objectives import TargetScaler

from ..conftest import schema_and_rows, table_block

N = 60
RANDOM = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RANDOM.normal(size=N),
        "b": RANDOM.normal(size=N),
        "mass": np.where(np.arange(N) % 7 == 3, np.nan, RANDOM.normal(1000, 50, N)),
        "sex": [None if i % 5 == 1 else ("male", "female")[i % 2] for i in range(N)],
        "y": RANDOM.choice(["u", "v", "w"], N),
    }
)
EXTRA_TARGETS = {"mass": "regression", "sex": "classification"}


def block(tmp_path: Path, frame: pd.DataFrame = FRAME, **changes: Any) -> Any:
    frame.to_csv(tmp_path / "a.csv", index=False)
    return table_block(tmp_path / "a.csv", **{"extra_targets": EXTRA_TARGETS, **changes})


def test_extra_targets_are_not_features(tmp_path: Path) -> None:
    schema, samples = schema_and_rows(block(tmp_path))
    assert schema.features == ("a", "b")
    assert schema.extra_targets == (ExtraTarget(name="mass"), ExtraTarget(name="sex", classes=("female", "male")))
    assert samples.extra_targets is not None
    np.testing.assert_array_equal(samples.extra_targets[:, 0], FRAME["mass"])
    expected = FRAME["sex"].map({"female": 0.0, "male": 1.0}).to_numpy(float)
    np.testing.assert_array_equal(samples.extra_targets[:, 1], expected)
    assert (schema.n_outputs, schema.output_kind, schema.output_dtype) == (3 + 1 + 2, "predictions", "float64")


def test_output_kind_depends_on_all_targets(tmp_path: Path) -> None:
    schema, _ = schema_and_rows(block(tmp_path, extra_targets={"sex": "classification"}))
    assert (schema.n_outputs, schema.output_kind, schema.output_dtype) == (5, "probabilities", "float32")
    schema, _ = schema_and_rows(block(tmp_path, target="a", task="regression", extra_targets={"mass": "regression"}))
    assert (schema.n_outputs, schema.output_kind, schema.output_dtype) == (2, "values", "float64")


def test_numeric_classes_with_missing_values_keep_their_names(tmp_path: Path) -> None:
    frame = FRAME.assign(sex=FRAME["sex"].map({"male": 1, "female": 2}))
    assert schema_and_rows(block(tmp_path, frame))[0].extra_targets[1].classes == ("1", "2")


def test_each_target_can_be_selected(tmp_path: Path) -> None:
    schema, samples = schema_and_rows(block(tmp_path))
    primary, mass, sex = target_specs(schema)
    assert [spec.columns for spec in (primary, mass, sex)] == [slice(0, 3), slice(3, 4), slice(4, 6)]
    assert [spec.prefix for spec in (primary, mass, sex)] == ["", "mass.", "sex."]
    assert [spec.schema.task for spec in (primary, mass, sex)] == ["classification", "regression", "classification"]
    known = FRAME["sex"].notna().to_numpy()
    rows = sex.select(samples)
    np.testing.assert_array_equal(rows.rows, np.flatnonzero(known))
    assert rows.y.dtype == np.int64
    assert np.array(sex.schema.classes)[rows.y].tolist() == FRAME["sex"][known].tolist()
    p = np.arange(N * 6.0).reshape(N, 6)
    np.testing.assert_array_equal(sex.select_predictions(samples, p), p[known, 4:])
    assert output_metadata(schema)["extra_targets"] == [
        {"target": "mass", "classes": (), "columns": [3, 4]},
        {"target": "sex", "classes": ("female", "male"), "columns": [4, 6]},
    ]


def test_extra_targets_are_stored(tmp_path: Path) -> None:
    dataset, _ = prepare(block(tmp_path), seed=0)
    (tmp_path / "prepared").mkdir()
    save_dataset(dataset, tmp_path / "prepared")
    write_manifest(tmp_path / "prepared")
    loaded = load_dataset(tmp_path / "prepared")
    for name, samples in dataset.splits().items():
        np.testing.assert_array_equal(getattr(loaded, name).extra_targets, samples.extra_targets)
        assert getattr(loaded, name).groups is None
    assert loaded.schema == dataset.schema


def test_dropped_rows_lose_their_extra_targets(tmp_path: Path) -> None:
    frame = FRAME.assign(a=FRAME["a"].where(np.arange(N) % 9 != 0))
    dataset, _ = prepare(block(tmp_path, frame, missing=MissingValues(numeric="drop")), seed=0)
    for samples in dataset.splits().values():
        assert samples.extra_targets is not None
        np.testing.assert_array_equal(samples.extra_targets[:, 0], frame["mass"].to_numpy()[samples.rows])


def test_rows_that_differ_in_an_extra_target_are_not_duplicates(tmp_path: Path) -> None:
    twice = pd.concat([FRAME, FRAME[:2].assign(mass=5.0), FRAME[2:4]])
    assert len(schema_and_rows(block(tmp_path, twice, duplicates="drop"))[1]) == N + 2


def test_test_rows_do_not_affect_what_is_fitted(tmp_path: Path) -> None:
    params = block(tmp_path)
    test = split_rows(read_raw_dataset(params).keys, params.split, 0)["test"]
    changed = FRAME.copy()
    changed.loc[test, "mass"] = 1e6 + np.arange(len(test))
    changed.loc[test, "sex"] = "male"
    (tmp_path / "other").mkdir()
    before, after = prepare(params, 0)[0], prepare(block(tmp_path / "other", changed), 0)[0]
    assert before.schema == after.schema
    for name in ("train", "validation"):
        np.testing.assert_array_equal(getattr(before, name).extra_targets, getattr(after, name).extra_targets)
    one, other = (TargetScaler.fit(dataset.schema, dataset.train) for dataset in (before, after))
    np.testing.assert_array_equal(one.shift, other.shift)
    np.testing.assert_array_equal(one.scale, other.scale)
    assert before.test.extra_targets is not None
    assert not np.array_equal(before.test.extra_targets, after.test.extra_targets, equal_nan=True)


def test_numeric_targets_are_standardized_and_classes_are_indices(tmp_path: Path) -> None:
    dataset, _ = prepare(block(tmp_path), seed=0)
    y = TargetScaler.fit(dataset.schema, dataset.train)(dataset.train).numpy()
    assert dataset.train.extra_targets is not None
    np.testing.assert_array_equal(y[:, 0], dataset.train.y)
    np.testing.assert_array_equal(y[:, 2], dataset.train.extra_targets[:, 1].astype(np.float32))
    assert np.nanmean(y[:, 1]) == pytest.approx(0, abs=1e-6)
    assert np.nanstd(y[:, 1]) == pytest.approx(1, abs=1e-6)


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        {},
        {"extra_targets": {"size": "regression"}},
        "extra_targets must name a column, but 'size' does not exist; the columns are a, b, mass",
    ),
    (
        {},
        {"extra_targets": {"sex": "regression"}},
        "column 'sex' must contain finite numbers up to 1e+37, but contains 'male' in rows 1,",
    ),
    (
        {"sex": "male"},
        {},
        "must have at least 2 distinct values, but column 'sex' contains only 'male'; set `extra_targets` to another",
    ),
    (
        {"sex": None},
        {},
        "must have at least 2 distinct values, but column 'sex' contains only missing values; set `extra_targets`",
    ),
    ({}, {"extra_targets": {"mass": "classification"}}, "classes must be text or integers, but column 'mass' contains"),
    ({}, {"columns": {"mass": ColumnOptions(max=900)}}, "column 'mass' must be at most 900, but row"),
]


@pytest.mark.parametrize(("cells", "changes", "text"), BAD)
def test_invalid_extra_targets_are_refused(
    tmp_path: Path, cells: dict[str, Any], changes: dict[str, Any], text: str
) -> None:
    with pytest.raises(DataError, match=re.escape(text)):
        prepare(block(tmp_path, FRAME.assign(**cells), **changes), seed=0)


@pytest.mark.parametrize(
    ("name", "target", "needed"),
    [("train", "mass", 2), ("train", "sex", 2), ("validation", "sex", 1), ("test", "mass", 2)],
)
def test_a_split_without_an_extra_target_is_refused(tmp_path: Path, name: str, target: str, needed: int) -> None:
    params = block(tmp_path)
    index = split_rows(read_raw_dataset(params).keys, params.split, 0)[name]
    frame = FRAME.copy()
    frame.loc[index, target] = np.nan
    text = f"each target must have at least {needed} distinct values in the {name} split, but '{target}' has 0; add"
    with pytest.raises(DataError, match=text):
        prepare(block(tmp_path, frame), seed=0)


def test_without_extra_targets_there_is_one_target(tmp_path: Path) -> None:
    dataset: Dataset = prepare(block(tmp_path, FRAME.drop(columns=["mass", "sex"]), extra_targets={}), seed=0)[0]
    assert dataset.train.extra_targets is None
    assert [spec.columns for spec in target_specs(dataset.schema)] == [slice(None)]
