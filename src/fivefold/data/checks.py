"""Look at a dataset before anything is trained on it; what is found goes into checks.json and onto the screen."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np

from ..params.base import Strict
from .records import Array, Dataset

IMBALANCE = 10.0
"""Rows of the most common class per row of the rarest above which a note becomes a warning."""


NAMED = 5
"""Classes that a text names at most."""


class Finding(Strict):
    """One thing that somebody should know about the data."""

    rule: Literal["missing", "constant", "duplicates", "split_overlap", "class_balance"]
    level: Literal["note", "warning"]
    text: str


def check(dataset: Dataset) -> list[Finding]:
    """Return what is worth knowing; training rows decide, but for rows shared between sets."""
    return [*_missing(dataset), *_constant(dataset), *_duplicates(dataset), *_balance(dataset)]


def _missing(dataset: Dataset) -> Iterator[Finding]:
    if dataset.schema.kind != "table":
        return
    shares = np.isnan(dataset.train.x.astype(np.float64)).mean(axis=0)
    for name, share in zip(dataset.schema.features, shares, strict=True):
        if share:
            stands_in = "0" if share == 1 else "the median"
            level: Literal["note", "warning"] = "warning" if share > 0.5 else "note"
            yield Finding(rule="missing", level=level, text=f"{share:.1%} of {name} is missing; {stands_in} stands in")


def _constant(dataset: Dataset) -> Iterator[Finding]:
    x = dataset.train.x
    same = (x == x[:1]).all(axis=0)
    if dataset.schema.kind == "table":
        for name in np.array(dataset.schema.features)[same]:
            yield Finding(rule="constant", level="warning", text=f"{name} never changes; name it under `drop`")
    elif same.any():
        yield Finding(rule="constant", level="note", text=f"{same.sum()} of {same.size} pixels never change")


def _duplicates(dataset: Dataset) -> Iterator[Finding]:
    keys = {name: _keys(records.x) for name, records in dataset.splits().items()}
    counts = Counter(key for part in keys.values() for key in part)
    repeated = sum(counts.values()) - len(counts)
    if repeated:
        yield Finding(rule="duplicates", level="note", text=f"{repeated} rows repeat an earlier row's features")
    known = set(keys["train"])
    for name in ("validation", "test"):
        shared = sum(key in known for key in keys[name])
        if shared:
            text = f"{shared} of {len(keys[name])} {name} rows have the features of a training row: scores flatter"
            yield Finding(rule="split_overlap", level="warning", text=text)


def _balance(dataset: Dataset) -> Iterator[Finding]:
    if dataset.schema.task != "classification":
        return
    counts = np.bincount(dataset.train.y.astype(np.int64), minlength=len(dataset.schema.classes))
    for name in ("validation", "test"):
        absent = np.setdiff1d(np.arange(len(counts)), getattr(dataset, name).y)
        if len(absent):
            missing = ", ".join(dataset.schema.classes[i] for i in absent[:NAMED]) + (
                ", ..." if len(absent) > NAMED else ""
            )
            text = f"{name} rows have none of {missing}: scores say nothing of it; split `by: stratified`"
            yield Finding(rule="class_balance", level="warning", text=text)
    common, rare = counts.argmax(), counts.argmin()
    if counts[rare] == 0:
        text = f"class {dataset.schema.classes[rare]} has no training row"
        yield Finding(rule="class_balance", level="warning", text=text)
        return
    ratio = counts[common] / counts[rare]
    if ratio == 1:
        yield Finding(rule="class_balance", level="note", text=f"{counts[common]} rows of each class")
        return
    text = (
        f"{counts[common]} rows of {dataset.schema.classes[common]} to {counts[rare]} of {dataset.schema.classes[rare]}"
    )
    yield Finding(rule="class_balance", level="warning" if ratio > IMBALANCE else "note", text=text)


def _keys(x: Array) -> list[bytes]:
    return [row.tobytes() for row in x]
