"""Tables: CSV files, and tables bundled with scikit-learn."""

import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import DataError, one_line
from ..params.datasets import Table
from .bundled import load_bundled
from .records import Records
from .schema import Schema
from .target import encode_target, numbers

UNREADABLE = (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, EOFError, OSError, zlib.error)


def read_table(source: Path, params: Table) -> tuple[Schema, Records]:
    """Read a table: numeric columns as features, one column as the target.

    Returns x (n, features) float64 with NaN where a cell is empty, y (n,).

    Raises:
        DataError: the file is no table, lacks the target, or holds text in a numeric column.
    """
    frame = _frame(source)
    unknown = [name for name in (params.target, *params.drop) if name not in frame.columns]
    if unknown:
        raise DataError(
            f"{source}: target and drop must name columns, but {unknown[0]!r} is none;"
            f" the columns are {', '.join(frame.columns)}"
        )
    features = frame.drop(columns=[params.target, *params.drop])
    if features.empty:
        raise DataError(f"{source} must have rows and a feature beside {params.target!r}, but has {features.shape}")
    y, classes = encode_target(frame[params.target], params.task, source)
    x = np.column_stack([numbers(features[name], source) for name in features])
    schema = Schema(
        kind="table",
        task=params.task,
        target=params.target,
        features=tuple(features.columns),
        shape=(x.shape[1],),
        classes=classes,
    )
    return schema, Records(x, y, np.arange(len(x)))


def _frame(source: Path) -> pd.DataFrame:
    if source.suffix == ".sklearn":
        bunch, target = load_bundled(source)
        frame = pd.DataFrame(bunch.data, columns=[name.replace(" ", "_") for name in bunch.feature_names])
        names = getattr(bunch, "target_names", None)
        frame[target] = bunch.target if names is None else np.asarray(names)[bunch.target]
        return frame
    if not source.name.endswith((".csv", ".csv.gz")):
        raise DataError(f"a table must be .csv, .csv.gz or .sklearn, but source is {source}; convert it to CSV")
    try:
        with warnings.catch_warnings():
            # cells beyond the header are an error: pandas would take columns for row labels, or drop them
            warnings.simplefilter("error", pd.errors.ParserWarning)
            header = pd.read_csv(source, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0].tolist()
            # one type a column, however long the file; only an empty cell is missing, not a class named None or NA
            frame = pd.read_csv(source, index_col=False, low_memory=False, keep_default_na=False, na_values=[""])
    except (*UNREADABLE, pd.errors.ParserWarning) as error:
        raise DataError(
            f"{source} must be a CSV in UTF-8 with a header, but is not: {one_line(error)}; mend the file"
        ) from None
    odd = [name for name in header if not name.strip() or header.count(name) > 1]
    if odd:
        raise DataError(f"{source}: every column must have a name of its own, but {odd[0]!r} is none; rename it")
    return frame.rename(columns=str)
