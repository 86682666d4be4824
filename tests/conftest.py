"""What the tests of several rooms build their cases from."""

import gc
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from fivefold.config.datasets import DatasetConfig as DatasetParams
from fivefold.config.datasets import Images, Table
from fivefold.config.splits import RandomSplit
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.prepare import read_raw_dataset
from fivefold.data.schema import Column, Schema

# the same cases each time, and few of them
settings.register_profile("quick", max_examples=30, derandomize=True, deadline=None, database=None)
settings.load_profile("quick")

# until all tests are collected: what is imported for them stays, and looking it through took half the time of it
gc.disable()

torch.set_num_threads(1)
"""Threads of neighbouring test processes would wait for each other's."""

DEFAULT_PROJECT = tuple(f"tests/end_to_end/test_{name}.py" for name in ("default_project", "readme", "what_reruns"))
"""Those who need the finished default project: one process has them all, and makes it once."""
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
"""What takes minutes comes first, so that no process is left alone with it at the end."""


class Turns(LoadFileScheduling):
    """Each process takes a file in its turn, in the order of collection."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return DEFAULT_PROJECT[0] if file in DEFAULT_PROJECT else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Turns | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # would start with the files of most tests, which are the short ones
    return Turns(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def turn(item: pytest.Item) -> int:
        return next((i for i, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))

    items.sort(key=turn)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(gc.unfreeze)  # some packages name what is left of them at the end


def table_block(source: object = "data.csv", **changes: Any) -> Table:
    """A `datasets` block of a table, its target in column `y`."""
    drawn = RandomSplit(validation=0.2, test=0.2, by="random")
    given = {"task": "classification", "target": "y", "split": drawn, "normalize": "standard", **changes}
    return Table(kind="table", source=str(source), **given)


def images_block(source: object = "data.npz", **changes: Any) -> Images:
    """A `datasets` block of images."""
    drawn = RandomSplit(validation=0.2, test=0.2, by="random")
    given = {"task": "classification", "split": drawn, "normalize": "minmax", **changes}
    return Images(kind="images", source=str(source), **given)


def encode_as_training(params: DatasetParams) -> Dataset:
    """Return the dataset of a source, with all of its rows as training rows."""
    raw = read_raw_dataset(params)
    nothing = np.arange(0)
    return raw.encode({"train": np.arange(len(raw.keys.y)), "validation": nothing, "test": nothing})


def schema_and_rows(params: DatasetParams) -> tuple[Schema, Split]:
    """Return the schema and all rows of a source."""
    dataset = encode_as_training(params)
    return dataset.schema, dataset.train


def schema_of(shape: tuple[int, ...], n_classes: int = 0) -> Schema:
    """A schema of records of `shape`: a table of columns a, b, c... or images; no classes are a regression."""
    table = len(shape) == 1
    features = tuple("abcdefghijklmnopqrstuvwxyz"[: shape[0]]) if table else ()
    return Schema(
        kind="table" if table else "images",
        task="classification" if n_classes else "regression",
        target="y",
        features=features,
        shape=shape,
        classes=tuple(f"class{i}" for i in range(n_classes)),
        values=() if n_classes else ("y",),
        columns=tuple(Column(name=name, type="numeric") for name in features),
    )


def dataset_of(schema: Schema, *parts: tuple[Array, Array]) -> Dataset:
    """A dataset of three (x, y), their rows counted through."""
    ends = np.cumsum([len(x) for x, _ in parts])
    return Dataset(
        schema, *(Split(x, y, np.arange(end - len(x), end)) for (x, y), end in zip(parts, ends, strict=True))
    )
