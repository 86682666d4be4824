"""Test order, garbage collection and data helpers shared by the tests of several packages."""

import gc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from fivefold.config.datasets import DatasetConfig, Images, Table
from fivefold.config.splits import RandomSplit
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.prepare import read_raw_dataset
from fivefold.data.schema import Column, Schema

# few and reproducible cases
settings.register_profile("quick", max_examples=30, derandomize=True, deadline=None, database=None)
settings.load_profile("quick")

# until all tests are collected: collecting garbage during imports doubles their time
gc.disable()

torch.set_num_threads(1)
"""Parallel test processes would compete for cores."""

DEFAULT_PROJECT = tuple(f"tests/end_to_end/test_{name}.py" for name in ("default_project", "readme", "what_reruns"))
"""Tests of the default project, which one process runs so that it is built once."""
LONGEST = (
    *DEFAULT_PROJECT,
    "tests/end_to_end/test_add.py",
    "tests/models/test_contract.py",
    "tests/end_to_end/test_crash.py",
    "tests/end_to_end/test_transfer.py",
    "tests/tuning/",
    "tests/crossval/",
    "tests/end_to_end/",
    "tests/training/",
    "tests/tracking/",
)
"""Tests that take minutes run first, so that no process is left with them at the end."""


class CollectionOrderScheduling(LoadFileScheduling):
    """Distribute files to processes in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return DEFAULT_PROJECT[0] if file in DEFAULT_PROJECT else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> CollectionOrderScheduling | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # would start with the files with most tests, which are fast
    return CollectionOrderScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def priority(item: pytest.Item) -> int:
        return next((i for i, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))

    items.sort(key=priority)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(gc.unfreeze)  # some packages report leaked objects at exit


def table_block(source: object = "data.csv", **changes: Any) -> Table:
    """Return a `datasets` block of a table with target column `y`."""
    split = RandomSplit(validation=0.2, test=0.2, by="random")
    options = {"task": "classification", "target": "y", "split": split, "normalize": "standard", **changes}
    return Table(kind="table", source=str(source), **options)


def images_block(source: object = "data.npz", **changes: Any) -> Images:
    """Return a `datasets` block of images."""
    split = RandomSplit(validation=0.2, test=0.2, by="random")
    options = {"task": "classification", "split": split, "normalize": "minmax", **changes}
    return Images(kind="images", source=str(source), **options)


def encode_as_training(params: DatasetConfig) -> Dataset:
    """Return the dataset of a source, with all rows in the training split."""
    raw = read_raw_dataset(params)
    empty = np.arange(0)
    return raw.encode({"train": np.arange(len(raw.keys.y)), "validation": empty, "test": empty})


def schema_and_rows(params: DatasetConfig) -> tuple[Schema, Split]:
    """Return schema and rows of a source."""
    dataset = encode_as_training(params)
    return dataset.schema, dataset.train


def schema_of(shape: tuple[int, ...], n_classes: int = 0) -> Schema:
    """Return the schema of a table with columns a, b, c, ... or of images; no classes: regression."""
    is_table = len(shape) == 1
    features = tuple("abcdefghijklmnopqrstuvwxyz"[: shape[0]]) if is_table else ()
    return Schema(
        kind="table" if is_table else "images",
        task="classification" if n_classes else "regression",
        target="y",
        features=features,
        shape=shape,
        classes=tuple(f"class{i}" for i in range(n_classes)),
        values=() if n_classes else ("y",),
        columns=tuple(Column(name=name, type="numeric") for name in features),
    )


def dataset_of(schema: Schema, *parts: tuple[Array, Array]) -> Dataset:
    """Return a dataset of three splits (x, y) with consecutive row numbers."""
    ends = np.cumsum([len(x) for x, _ in parts])
    return Dataset(
        schema, *(Split(x, y, np.arange(end - len(x), end)) for (x, y), end in zip(parts, ends, strict=True))
    )
