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

from ...config.datasets import Format
from ...errors import DataError, one_line
from ..columns.numbers import iso_dates, plain_numbers
from .encoding import bounded, encoding_of

BUNDLED = {
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
    if name not in BUNDLED:
        raise DataError(f"{path} must name one of {', '.join(BUNDLED)}, but names {name!r}; mend that line")
    loader, target = BUNDLED[name]
    # unscaled where scikit-learn offers it: scaling is the pipeline's business
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    return bunch, target


CELLS = 2**22
"""Cells of a piece."""


def read_pieces(source: Path, names: Sequence[str], words: Sequence[str], how: dict[str, Any]) -> pd.DataFrame:
    """Return the table at `source`; a file of one piece as pandas reads it.

    names: of all columns. words: those that are read as they are spelt. how: further arguments of `read_csv`.
    """
    pieces = _pieces(source, names, {name: str for name in names if name in words}, how)
    first, second = next(pieces), next(pieces, None)
    if second is None:
        return first
    read = [_small(piece) for piece in chain((first, second), pieces)]
    del first, second
    mixed = [name for name in names if not _of_one_type([piece[name] for piece in read])]
    if mixed:
        spelt = _pieces(source, names, dict.fromkeys(mixed, str), {**how, "usecols": mixed})
        for piece, again in zip(read, spelt, strict=True):
            piece[mixed] = again[mixed]
    return pd.DataFrame({name: _joined([piece[name] for piece in read]) for name in names}, copy=False)


def _pieces(source: Path, names: Sequence[str], dtype: dict[str, type], how: dict[str, Any]) -> Iterator[pd.DataFrame]:
    rows = max(CELLS // len(names), 1)
    with pd.read_csv(source, names=names, dtype=dtype, chunksize=rows, low_memory=False, **how) as reader:
        yield from reader


def _small(piece: pd.DataFrame) -> pd.DataFrame:
    """Return a piece with the least bytes for its whole numbers."""
    whole = piece.select_dtypes("integer")
    small = {name: pd.to_numeric(whole[name], downcast="integer").dtype for name in whole}
    return piece.astype(small).copy()  # side by side: many small arrays would leave holes in memory


def _of_one_type(parts: Sequence[pd.Series]) -> bool:
    """Say whether pieces are all numbers, all flags or all words; one without any value is of each of these."""
    return len({_kind(part) for part in parts if not part.isna().all()}) <= 1


def _kind(part: pd.Series) -> str:
    if pd.api.types.is_bool_dtype(part.dtype):
        return "flags"
    return "numbers" if pd.api.types.is_numeric_dtype(part.dtype) else "words"


def _joined(parts: Sequence[pd.Series]) -> Any:
    """Return the values of all pieces of a column."""
    words = next((part.dtype for part in parts if _kind(part) == "words"), None)
    same = parts if words is None else [part.astype(words) for part in parts]
    return pd.concat(same, ignore_index=True).array


UNREADABLE = (
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    pd.errors.EmptyDataError,
    UnicodeDecodeError,
    EOFError,
    OSError,
    zlib.error,
    pa.ArrowException,
)

INDEX = "index"
"""Name of a first column that has none."""

LEADING_ZERO = r"\s*[-+]?0\d"
"""What begins like a code, not like a number."""

ZIP = b"PK\x03\x04"
"""How a zip archive begins."""

SEPARATOR_LINE = re.compile(r"\ufeff?sep=.?$", re.IGNORECASE)
"""A first line that tells Excel what stands between cells."""

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".sklearn")


def read_frame(
    source: Path,
    form: Format = Format(),  # noqa: B008 (frozen)
    words: Sequence[str] = (),
    classes: Sequence[str] = (),
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
        return _bundled(source)
    if not source.name.lower().endswith(SUFFIXES):
        raise DataError(f"a table must be one of {', '.join(SUFFIXES)}, but source is {source}; convert it to CSV")
    bounded(source, form)
    if source.is_file() and _is_zip(source):
        raise DataError(
            f"{source} must be a table, but is a zip archive, as an .xlsx is too; unpack it, or save it as CSV"
        )
    parquet = source.suffix.lower() == ".parquet"
    what = "Parquet" if parquet else f"CSV in {encoding_of(source, form).upper()} with one header"
    try:
        frame = pd.read_parquet(source) if parquet else _csv(source, form, words, classes)
    except UNREADABLE as error:
        raise DataError(f"{source} must be {what}, but is not: {_reason(error, source)}") from None
    if not len(frame) or not len(frame.columns):
        raise DataError(f"{source} must have rows and columns, but has {len(frame)} rows; bring more")
    labelled = any(name is not None for name in frame.index.names)  # pandas hides a column of Parquet there
    return iso_dates(frame.reset_index(drop=not labelled).rename(columns=str), form, [*words, *classes])


def _reason(error: BaseException, source: Path) -> str:
    """Return what is wrong and what to do, in our words where pandas' are known."""
    said = one_line(error)
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
    if isinstance(error, UnicodeDecodeError) and b"\0" in _beginning(source):
        return "it holds zero bytes, as no text does; bring text"
    if isinstance(error, UnicodeDecodeError):
        return (
            f"byte {error.start} is none of a text in it; set `format: {{encoding: ...}}` to latin-1, utf-8 or utf-16"
        )
    return f"{said}; mend the file"


def _is_zip(source: Path) -> bool:
    with source.open("rb") as file:
        return file.read(len(ZIP)) == ZIP


def _beginning(source: Path) -> bytes:
    with gzip.open(source) if source.suffix.lower() == ".gz" else source.open("rb") as file:
        return bytes(file.read(2**20))


def separator_of(source: Path, form: Format) -> str:
    """Return what stands between cells."""
    return "\t" if source.name.lower().endswith((".tsv", ".tsv.gz")) else form.separator


def _csv(source: Path, form: Format, words: Sequence[str], classes: Sequence[str]) -> pd.DataFrame:
    spelt = [*words, *classes]
    how: dict[str, Any] = {
        "sep": separator_of(source, form),
        "encoding": encoding_of(source, form),
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
        if form.header:
            if not first[0].strip() and not (first == INDEX).any():
                first[0] = INDEX
            odd = [name for name in first if not name.strip() or (first == name).sum() > 1]
            if odd:
                count = int((first == odd[0]).sum())
                told = f"stands {count} times" if count > 1 else "is none"
                raise DataError(
                    f"{source}: every column must have a name of its own, but {odd[0]!r} {told}; rename it, or set"
                    " `format: {header: false}`"
                )
        names = first.tolist() if form.header else [str(i) for i in range(len(first))]
        # one type a column, however long the file; only an empty cell is missing, not a class named None or NA
        how |= {"header": 0 if form.header else None, "index_col": False, "na_values": [""], "decimal": form.decimal}
        frame = read_pieces(source, names, spelt, how)
    for name in (name for name in classes if name in frame and name not in words):
        found = pd.to_numeric(frame[name], errors="coerce")
        if (found.notna() | frame[name].isna()).all() and not frame[name].str.match(LEADING_ZERO).any():
            frame[name] = found
    return frame if (form.decimal, form.thousands) == (".", "") else plain_numbers(frame, form, spelt, source)


def _bundled(source: Path) -> pd.DataFrame:
    bunch, target = load_bundled(source)
    frame = pd.DataFrame(bunch.data, columns=[name.replace(" ", "_") for name in bunch.feature_names])
    names = getattr(bunch, "target_names", None)
    frame[target] = bunch.target if names is None else np.asarray(names)[bunch.target]
    return frame


def need(frame: pd.DataFrame, names: dict[str, str], source: Path) -> None:
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
