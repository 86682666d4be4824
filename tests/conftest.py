"""What the tests of several rooms build their cases from."""

from typing import Any

import numpy as np

from fivefold.data.records import Array, Dataset, Records
from fivefold.data.schema import Schema

from fivefold.params.datasets import Images, Table
from fivefold.params.splits import RowSplit


def table_block(source: object = "data.csv", **changes: Any) -> Table:
    """A `datasets` block of a table, its target in column `y`."""
    drawn = RowSplit(validation=0.2, test=0.2, by="random")
    given = {"task": "classification", "target": "y", "split": drawn, "normalize": "standard", **changes}
    return Table(kind="table", source=str(source), **given)


def images_block(source: object = "data.npz", **changes: Any) -> Images:
    """A `datasets` block of images."""
    drawn = RowSplit(validation=0.2, test=0.2, by="random")
    given = {"task": "classification", "split": drawn, "normalize": "minmax", **changes}
    return Images(kind="images", source=str(source), **given)


def schema_of(shape: tuple[int, ...], n_classes: int = 0) -> Schema:
    """A schema of records of `shape`: a table of columns a, b, c... or images; no classes are a regression."""
    table = len(shape) == 1
    return Schema(
        kind="table" if table else "images",
        task="classification" if n_classes else "regression",
        target="y",
        features=tuple("abcdefghijklmnopqrstuvwxyz"[: shape[0]]) if table else (),
        shape=shape,
        classes=tuple(f"class{i}" for i in range(n_classes)),
    )


def dataset_of(schema: Schema, *parts: tuple[Array, Array]) -> Dataset:
    """A dataset of three (x, y), their rows counted through."""
    ends = np.cumsum([len(x) for x, _ in parts])
    return Dataset(
        schema, *(Records(x, y, np.arange(end - len(x), end)) for (x, y), end in zip(parts, ends, strict=True))
    )
