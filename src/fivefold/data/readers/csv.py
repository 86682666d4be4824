"""Tables from files, as they stand there: CSV, Parquet, and what scikit-learn bundles.

Data bundled with scikit-learn, named by a .sklearn file.

DVC tracks files: a small text file that names the data gives bundled data a place in the pipeline like any other's.
Its first line that is neither empty nor a comment is one of `BUNDLED`.

A CSV read piece by piece: read at once, its cells take several times what is made of them.

A column has one type, however long the file: as words where a piece of it holds words. Whole numbers take the least
bytes that hold them.
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
"""Name -> loader, and the name that the target column gets."""


def load_bundled(path: Path) -> tuple[Any, str]:
    """Return scikit-learn's `Bunch` that `path` names, and the name of its target column."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    name = next((line for line in lines if line and not line.startswith("#")), "")
    if name not in BUNDLED_DATASETS:
        raise DataError(f"{path} must name one of {', '.join(BUNDLED_DATASETS)}, but names {name!r}; mend that line")
    loader, target = BUNDLED_DATASETS[name]
    # unscaled where scikit-learn offers it: scaling is the pipeline's business
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    return bunch, target


CHUNK_CELLS = 2**22
"""Cells of a piece."""


def read_in_chunks(
    source: Path, names: Sequence[str], text_columns: Sequence[str], read_kwargs: dict[str, Any]
) -> pd.DataFrame:
    """Return the table at `source`; a file of one piece as pandas reads it.

    names: of all columns. words: those that are read as they are spelt. how: further arguments of `read_csv`.
    """
    pieces = _iter_chunks(source, names, {name: str for name in names if name in text_columns}, read_kwargs)
    first, second = next(pieces), next(pieces, None)
    if second is None:
        return first
    read = [_downcast(piece) for piece in chain((first, second), pieces)]
    del first, second
    mixed = [name for name in names if not _is_one_type([piece[name] for piece in read])]
    if mixed:
        spelt = _iter_chunks(source, names, dict.fromkeys(mixed, str), {**read_kwargs, "usecols": mixed})
        for piece, again in zip(read, spelt, strict=True):
            piece[mixed] = again[mixed]
    return pd.DataFrame({name: _concat_chunks([piece[name] for piece in read]) for name in names}, copy=False)


def _iter_chunks(
    source: Path, names: Sequence[str], dtype: dict[str, type], read_kwargs: dict[str, Any]
) -> Iterator[pd.DataFrame]:
    rows = max(CHUNK_CELLS // len(names), 1)
    with pd.read_csv(source, names=names, dtype=dtype, chunksize=rows, low_memory=False, **read_kwargs) as reader:
        yield from reader


def _downcast(chunk: pd.DataFrame) -> pd.DataFrame:
    """Return a piece with the least bytes for its whole numbers."""
    whole = chunk.select_dtypes("integer")
    small = {name: pd.to_numeric(whole[name], downcast="integer").dtype for name in whole}
    return chunk.astype(small).copy()  # side by side: many small arrays would leave holes in memory


def _is_one_type(chunks: Sequence[pd.Series]) -> bool:
    """Say whether pieces are all numbers, all flags or all words; one without any value is of each of these."""
    return len({_value_kind(part) for part in chunks if not part.isna().all()}) <= 1


def _value_kind(chunk: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(chunk.dtype):
        return "flags"
    return "numbers" if pd.api.types.is_numeric_dtype(chunk.dtype) else "words"


def _concat_chunks(chunks: Sequence[pd.Series]) -> Any:
    """Return the values of all pieces of a column."""
    words = next((part.dtype for part in chunks if _value_kind(part) == "words"), None)
    same = chunks if words is None else [part.astype(words) for part in chunks]
    return pd.concat(same, ignore_index=True).array


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
"""Name of a first column that has none."""

LEADING_ZERO = r"\s*[-+]?0\d"
"""What begins like a code, not like a number."""

ZIP_MAGIC = b"PK\x03\x04"
"""How a zip archive begins."""

SEPARATOR_LINE = re.compile(r"\ufeff?sep=.?$", re.IGNORECASE)
"""A first line that tells Excel what stands between cells."""

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".sklearn")


def read_frame(
    source: Path,
    file_format: FileFormat = FileFormat(),  # noqa: B008 (frozen)
    text_columns: Sequence[str] = (),
    label_columns: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the table that lies at `source`, its columns named by text.

    words: columns of a CSV that are read as they are spelt, whatever stands in them.
    classes: columns of a CSV that are read so unless all of their cells are numbers, none like 007.

    A cell is missing if it is empty. Without a header, columns are named 0, 1, 2 ...; a first column without a name,
    as `DataFrame.to_csv` writes it, is called index.

    Raises:
        DataError: the file is no table, or two columns have one name.
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
            f"{source} must be a table, but is a zip archive, as an .xlsx is too; unpack it, or save it as CSV"
        )
    parquet = source.suffix.lower() == ".parquet"
    what = "Parquet" if parquet else f"CSV in {resolve_encoding(source, file_format).upper()} with one header"
    try:
        frame = pd.read_parquet(source) if parquet else _read_csv(source, file_format, text_columns, label_columns)
    except READ_ERRORS as error:
        raise DataError(f"{source} must be {what}, but is not: {_explain_error(error, source)}") from None
    if not len(frame) or not len(frame.columns):
        raise DataError(f"{source} must have rows and columns, but has {len(frame)} rows; bring more")
    labelled = any(name is not None for name in frame.index.names)  # pandas hides a column of Parquet there
    return normalize_dates(
        frame.reset_index(drop=not labelled).rename(columns=str), file_format, [*text_columns, *label_columns]
    )


def _explain_error(error: BaseException, source: Path) -> str:
    """Return what is wrong and what to do, in our words where pandas' are known."""
    said = one_line_message(error)
    if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", said):
        wanted, line, cells = found.groups()
        return f"line {line} has {cells} cells, those before it {wanted}; mend it, or quote a cell that holds the mark"
    if found := re.search(r"EOF inside string starting at row (\d+)", said):
        return f"a quote that opens in line {int(found[1]) + 1} is never closed; close or remove it"
    if isinstance(error, EOFError):
        return "it is cut off; copy or download it again"
    if "No columns to parse" in said:
        return "it is empty; bring rows"
    if isinstance(error, pd.errors.ParserWarning):
        return "lines have more cells than the header has names; name every column, or set `format: {header: false}`"
    if isinstance(error, UnicodeDecodeError) and b"\0" in _read_head(source):
        return "it holds zero bytes, as no text does; bring text"
    if isinstance(error, UnicodeDecodeError):
        return (
            f"byte {error.start} is none of a text in it; set `format: {{encoding: ...}}` to latin-1, utf-8 or utf-16"
        )
    return f"{said}; mend the file"


def _is_zip(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _read_head(source: Path) -> bytes:
    with gzip.open(source) if source.suffix.lower() == ".gz" else source.open("rb") as file:
        return bytes(file.read(2**20))


def resolve_separator(source: Path, file_format: FileFormat) -> str:
    """Return what stands between cells."""
    return "\t" if source.name.lower().endswith((".tsv", ".tsv.gz")) else file_format.separator


def _read_csv(
    source: Path, file_format: FileFormat, text_columns: Sequence[str], label_columns: Sequence[str]
) -> pd.DataFrame:
    spelt = [*text_columns, *label_columns]
    how: dict[str, Any] = {
        "sep": resolve_separator(source, file_format),
        "encoding": resolve_encoding(source, file_format),
        "keep_default_na": False,
        "compression": "gzip" if source.name.lower().endswith(".gz") else None,
    }
    with warnings.catch_warnings():
        # cells beyond the header are an error: pandas would take columns for row labels, or drop them
        warnings.simplefilter("error", pd.errors.ParserWarning)
        first = pd.read_csv(source, header=None, nrows=1, dtype=str, **how).iloc[0]
        if first.str.contains("\0", regex=False).any():
            raise DataError(
                f"{source} must be text, but holds zero bytes; set `format: {{encoding: utf-16}}` if it is one"
            )
        if SEPARATOR_LINE.match(first[0]):
            what = "line 1 tells Excel what stands between cells (sep=)"
            raise DataError(f"{source} must begin with its header, but {what}; remove that line")
        if file_format.header:
            if not first[0].strip() and not (first == INDEX_NAME).any():
                first[0] = INDEX_NAME
            odd = [name for name in first if not name.strip() or (first == name).sum() > 1]
            if odd:
                count = int((first == odd[0]).sum())
                told = f"stands {count} times" if count > 1 else "is none"
                raise DataError(
                    f"{source}: every column must have a name of its own, but {odd[0]!r} {told}; rename it, or set"
                    " `format: {header: false}`"
                )
        names = first.tolist() if file_format.header else [str(i) for i in range(len(first))]
        # one type a column, however long the file; only an empty cell is missing, not a class named None or NA
        how |= {
            "header": 0 if file_format.header else None,
            "index_col": False,
            "na_values": [""],
            "decimal": file_format.decimal,
        }
        frame = read_in_chunks(source, names, spelt, how)
    for name in (name for name in label_columns if name in frame and name not in text_columns):
        found = pd.to_numeric(frame[name], errors="coerce")
        if (found.notna() | frame[name].isna()).all() and not frame[name].str.match(LEADING_ZERO).any():
            frame[name] = found
    return (
        frame
        if (file_format.decimal, file_format.thousands) == (".", "")
        else normalize_numbers(frame, file_format, spelt, source)
    )


def _read_bundled(source: Path) -> pd.DataFrame:
    bunch, target = load_bundled(source)
    frame = pd.DataFrame(bunch.data, columns=[name.replace(" ", "_") for name in bunch.feature_names])
    names = getattr(bunch, "target_names", None)
    frame[target] = bunch.target if names is None else np.asarray(names)[bunch.target]
    return frame


def require_columns(frame: pd.DataFrame, names: dict[str, str], source: Path) -> None:
    """Check that columns are there; `names` maps each to the key of params.yaml that names it.

    Raises:
        DataError: one is not; lists those that are, or the first of them.
    """
    for name, key in names.items():
        if name not in frame.columns:
            known = [*map(str, frame.columns[:20]), *(["..."] if len(frame.columns) > 20 else [])]
            raise DataError(
                f"{source}: {key} must name a column, but {name!r} is none; the columns are {', '.join(known)}"
            )
