"""Divide rows into training, validation and test rows."""

import numpy as np
from sklearn.model_selection import train_test_split

from ..errors import DataError, one_line
from ..params.datasets import Split
from .records import Dataset, Records
from .schema import Schema


def split(schema: Schema, records: Records, params: Split, seed: int) -> Dataset:
    """Divide `records`; the same seed gives the same rows, in the order of the source.

    Raises:
        DataError: there are too few rows, in all or of one class, for three sets.
    """
    _check(schema, records, params)
    labels = records.y if params.by == "stratified" else None
    try:
        rest, test = train_test_split(
            np.arange(len(records)), test_size=params.test, random_state=seed, stratify=labels
        )
        train, validation = train_test_split(
            rest,
            test_size=params.validation / (1 - params.test),
            random_state=seed,
            stratify=None if labels is None else labels[rest],
        )
    except ValueError as error:
        raise DataError(
            f"three sets must each get rows of each class, but {len(records)} rows do not suffice: {one_line(error)};"
            " bring more rows or change the shares under `split`"
        ) from None
    return Dataset(schema, *(records.take(np.sort(part)) for part in (train, validation, test)))


def _check(schema: Schema, records: Records, params: Split) -> None:
    smallest = int(len(records) * min(params.validation, params.test, 1 - params.validation - params.test))
    # of one value there is no variance to explain
    needed = max(len(schema.classes), 1) if params.by == "stratified" else 1 + (schema.task == "regression")
    if smallest < needed:
        raise DataError(
            f"each set must get {needed} rows or more, but the smallest would get {smallest} of {len(records)} rows;"
            " bring more rows or raise the shares under `split`"
        )
    if params.by != "stratified":
        return
    counts = np.bincount(records.y.astype(np.int64), minlength=len(schema.classes))
    rarest = int(counts.argmin())
    if counts[rarest] < 3:
        raise DataError(
            f"a stratified split needs 3 rows or more of each class, but class {schema.classes[rarest]!r} has"
            f" {counts[rarest]}; remove the class, bring more rows, or split `by: random`"
        )
