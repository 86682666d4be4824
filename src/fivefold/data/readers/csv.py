"""Read tables from CSV and Parquet files, and datasets bundled with scikit-learn.

A .sklearn file names a bundled dataset: DVC tracks files, so a small text file makes bundled data a pipeline
dependency like any other source. Its first line that is neither empty nor a comment is one of `BUNDLED_DATASETS`.

A large CSV is read in chunks, since parsing it at once needs several times the memory of the result. A column has one
type in the whole file: text if any chunk contains text. Integers use the smallest type that fits.
"""

import gzip
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn import datasets

from ...config.datasets import FileFormat
from ...errors import DataError, one_line_message
from ..columns.numbers import normalize_dates, normalize_numbers
from .encoding import require_bounded_gzip, resolve_encoding

BUNDLED_DATASETS = {
    "breast_cancer": (datasets.load_breast_cancer, "diagnosis"),
    "wine": (datasets.load_wine, "cultivar"),
    "iris": (datasets.load_iris, "species"),
    "diabetes": (datasets.load_diabetes, "progression"),
    "digits": (datasets.load_digits, "digit"),
}
"""Name -> loader, and the name of the target column."""


def load_bundled(path: Path) -> tuple[Any, str]:
    """Return the scikit-learn `Bunch` that the file at `path` names, and the name of its target column."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    name = next((line for line in lines if line and not line.startswith("#")), "")
    if name not in BUNDLED_DATASETS:
        raise DataError(f"{path} must name one of {', '.join(BUNDLED_DATASETS)}, but names {name!r}; fix that line")
    loader, target = BUNDLED_DATASETS[name]
    # unscaled where scikit-learn has the option, since the pipeline scales
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    return bunch, target


CHUNK_CELLS = 2**22
"""Number of cells per chunk."""


def read_in_chunks(
    source: Path, names: Sequence[str], text_columns: Sequence[str], read_kwargs: dict[str, Any]
) -> pd.DataFrame:
    """Return the table at `source`; a file of one chunk as pandas reads it.

    Args:
        names: names of all columns.
        text_columns: columns that are read as text.
        read_kwargs: further arguments of `pandas.read_csv`.
    """
    chunks = _iter_chunks(source, names, {name: str for name in names if name in text_columns}, read_kwargs)
    first, second = next(chunks), next(chunks, None)
    if second is None:
        return first
    downcast = [_downcast(chunk) for chunk in chain((first, second), chunks)]
    del first, second
    mixed = [name for name in names if not _is_one_type([chunk[name] for chunk in downcast])]
    if mixed:
        text_chunks = _iter_chunks(source, names, dict.fromkeys(mixed, str), {**read_kwargs, "usecols": mixed})
        for chunk, text_chunk in zip(downcast, text_chunks, strict=True):
            chunk[mixed] = text_chunk[mixed]
    return pd.DataFrame({name: _concat_chunks([chunk[name] for chunk in downcast]) for name in names}, copy=False)


def _iter_chunks(
    source: Path, names: Sequence[str], dtype: dict[str, type], read_kwargs: dict[str, Any]
) -> Iterator[pd.DataFrame]:
    rows = max(CHUNK_CELLS // len(names), 1)
    with pd.read_csv(source, names=names, dtype=dtype, chunksize=rows, low_memory=False, **read_kwargs) as reader:
        yield from reader


def _downcast(chunk: pd.DataFrame) -> pd.DataFrame:
    """Return a chunk whose integer columns have the smallest type that fits."""
    integers = chunk.select_dtypes("integer")
    small = {name: pd.to_numeric(integers[name], downcast="integer").dtype for name in integers}
    return chunk.astype(small).copy()  # contiguous: many small arrays would fragment memory


def _is_one_type(chunks: Sequence[pd.Series]) -> bool:
    """Return whether all chunks are numbers, booleans or text; a chunk without values matches any of them."""
    return len({_value_kind(chunk) for chunk in chunks if not chunk.isna().all()}) <= 1


def _value_kind(chunk: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(chunk.dtype):
        return "booleans"
    return "numbers" if pd.api.types.is_numeric_dtype(chunk.dtype) else "text"


def _concat_chunks(chunks: Sequence[pd.Series]) -> Any:
    """Return the values of all chunks of a column."""
    text_dtype = next((chunk.dtype for chunk in chunks if _value_kind(chunk) == "text"), None)
    same_type = chunks if text_dtype is None else [chunk.astype(text_dtype) for chunk in chunks]
    return pd.concat(same_type, ignore_index=True).array


READ_ERRORS = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
    EOFError,
    OSError,
    zlib.error,
    pa.ArrowException,
)

INDEX_NAME = "index"
"""Name of a first column without a name."""

LEADING_ZERO = r"\s*[-+]?0\d"
"""The beginning of a code such as 007, which is not a number."""

ZIP_MAGIC = b"PK\x03\x04"
"""The first bytes of a zip archive."""

SEPARATOR_LINE = re.compile(r"\ufeff?sep=.?$", re.IGNORECASE)
"""A first line that sets the separator for Excel."""

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".sklearn")


def read_frame(
    source: Path,
    file_format: FileFormat = FileFormat(),  # noqa: B008 (frozen)
    text_columns: Sequence[str] = (),
    label_columns: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the table at `source`, with text as column names.

    A cell is missing if it is empty. Without a header, columns are named 0, 1, 2, ...; a first column without a name,
    as written by `DataFrame.to_csv`, is named index.

    Args:
        text_columns: columns of a CSV that are read as text, unchanged.
        label_columns: columns of a CSV that are read as text unless all cells are numbers without leading zeros.

    Raises:
        DataError: the file is not a table, or two columns have the same name.
    """
    if source.suffix == ".sklearn":
        return _read_bundled(source)
    if not source.name.lower().endswith(TABLE_SUFFIXES):
        raise DataError(
            f"a table must be one of {', '.join(TABLE_SUFFIXES)}, but source is {source}; convert it to CSV"
        )
    require_bounded_gzip(source, file_format)
    if source.is_file() and _is_zip(source):
        raise DataError(
            f"{source} must be a table, but is a zip archive, as .xlsx files are too; unpack it, or save it as CSV"
        )
    parquet = source.suffix.lower() == ".parquet"
    file_type = "Parquet" if parquet else f"CSV in {resolve_encoding(source, file_format).upper()} with one header"
    try:
        frame = pd.read_parquet(source) if parquet else _read_csv(source, file_format, text_columns, label_columns)
    except READ_ERRORS as error:
        raise DataError(f"{source} must be {file_type}, but is not: {_explain_error(error, source)}") from None
    if not len(frame) or not len(frame.columns):
        raise DataError(f"{source} must have rows and columns, but has {len(frame)} rows; add more")
    has_named_index = any(name is not None for name in frame.index.names)  # Parquet columns that pandas uses as index
    return normalize_dates(
        frame.reset_index(drop=not has_named_index).rename(columns=str), file_format, [*text_columns, *label_columns]
    )


def _explain_error(error: BaseException, source: Path) -> str:
    """Return the problem and its remedy, in our words for known errors of pandas."""
    message = one_line_message(error)
    if match := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", message):
        expected, line, cells = match.groups()
        return f"line {line} has {cells} cells, previous lines have {expected}; fix it, or quote cells with separators"
    if match := re.search(r"EOF inside string starting at row (\d+)", message):
        return f"a quote that opens in line {int(match[1]) + 1} is never closed; close or remove it"
    if isinstance(error, EOFError):
        return "it is truncated; copy or download it again"
    if "No columns to parse" in message:
        return "it is empty; add rows"
    if isinstance(error, pd.errors.ParserWarning):
        return "lines have more cells than the header has names; name every column, or set `format: {header: false}`"
    if isinstance(error, UnicodeDecodeError) and b"\0" in _read_head(source):
        return "it contains zero bytes, so it is not a text file; convert it to text"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is invalid in it; set `format: {{encoding: ...}}` to latin-1, utf-8 or utf-16"
    return f"{message}; fix the file"


def _is_zip(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _read_head(source: Path) -> bytes:
    with gzip.open(source) if source.suffix.lower() == ".gz" else source.open("rb") as file:
        return bytes(file.read(2**20))


def resolve_separator(source: Path, file_format: FileFormat) -> str:
    """Return the separator of cells: a tab for .tsv, else `format.separator`."""
    return "\t" if source.name.lower().endswith((".tsv", ".tsv.gz")) else file_format.separator


def _read_csv(
    source: Path, file_format: FileFormat, text_columns: Sequence[str], label_columns: Sequence[str]
) -> pd.DataFrame:
    as_text = [*text_columns, *label_columns]
    read_kwargs: dict[str, Any] = {
        "sep": resolve_separator(source, file_format),
        "encoding": resolve_encoding(source, file_format),
        "keep_default_na": False,
        "compression": "gzip" if source.name.lower().endswith(".gz") else None,
    }
    with warnings.catch_warnings():
        # cells beyond the header are an error: pandas would use columns as row labels, or drop them
        warnings.simplefilter("error", pd.errors.ParserWarning)
        first = pd.read_csv(source, header=None, nrows=1, dtype=str, **read_kwargs).iloc[0]
        if first.str.contains("\0", regex=False).any():
            raise DataError(
                f"{source} must be text, but contains zero bytes; set `format: {{encoding: utf-16}}` if it is UTF-16"
            )
        if SEPARATOR_LINE.match(first[0]):
            raise DataError(
                f"{source} must begin with its header, but line 1 sets the separator for Excel (sep=); remove that line"
            )
        if file_format.header:
            if not first[0].strip() and not (first == INDEX_NAME).any():
                first[0] = INDEX_NAME
            invalid = [name for name in first if not name.strip() or (first == name).sum() > 1]
            if invalid:
                count = int((first == invalid[0]).sum())
                problem = f"occurs {count} times" if count > 1 else "is empty"
                raise DataError(
                    f"{source}: every column must have a unique name, but {invalid[0]!r} {problem}; rename it, or set"
                    " `format: {header: false}`"
                )
        names = first.tolist() if file_format.header else [str(i) for i in range(len(first))]
        # only an empty cell is missing, not a class named None or NA
        read_kwargs |= {
            "header": 0 if file_format.header else None,
            "index_col": False,
            "na_values": [""],
            "decimal": file_format.decimal,
        }
        frame = read_in_chunks(source, names, as_text, read_kwargs)
    for name in (name for name in label_columns if name in frame and name not in text_columns):
        numbers = pd.to_numeric(frame[name], errors="coerce")
        if (numbers.notna() | frame[name].isna()).all() and not frame[name].str.match(LEADING_ZERO).any():
            frame[name] = numbers
    return (
        frame
        if (file_format.decimal, file_format.thousands) == (".", "")
        else normalize_numbers(frame, file_format, as_text, source)
    )


def _read_bundled(source: Path) -> pd.DataFrame:
    bunch, target = load_bundled(source)
    frame = pd.DataFrame(bunch.data, columns=[name.replace(" ", "_") for name in bunch.feature_names])
    names = getattr(bunch, "target_names", None)
    frame[target] = bunch.target if names is None else np.asarray(names)[bunch.target]
    return frame


def require_columns(frame: pd.DataFrame, names: dict[str, str], source: Path) -> None:
    """Check that columns exist.

    Args:
        names: column name -> key of params.yaml that names it.

    Raises:
        DataError: a column does not exist; lists the existing ones, or the first of them.
    """
    for name, key in names.items():
        if name not in frame.columns:
            known = [*map(str, frame.columns[:20]), *(["..."] if len(frame.columns) > 20 else [])]
            raise DataError(
                f"{source}: {key} must name a column, but {name!r} does not exist; the columns are {', '.join(known)}"
            )
