"""Infer the type of each column of a table, and encode its cells as numbers.

Types not set in params.yaml are inferred: booleans, numbers, ISO dates, known ordinal scales, and categories for other
text. `infer_type` and `fit_column` depend on the data and are given training rows only; `parse_cells` reads each cell
independently.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...config.datasets import ColumnOptions
from ...errors import DataError, format_value
from ..dataset import Array
from ..schema import DATE_PARTS, CheckResult, Column, ColumnType
from .dates import DATE, LOCALIZED_DATE, VALID_DATE, to_iso
from .numbers import FORMATTED_NUMBER, NUMBER_PREFIX, NUMBER_SUFFIX, parse_formatted_numbers

NA_VALUES = frozenset(("na", "n/a", "#n/a", "nan", "null", "none", "?", "-", ""))
"""Words for a missing cell, in any case; in a categorical column only an empty cell is missing."""

NUMERIC_NA_VALUES = frozenset(("missing", "unknown", "n.a.", "#na", "<na>", "not available", ".", "..", "--"))
"""Further words for a missing number or date; in a boolean column they may be a third category."""

MAX_MAGNITUDE = 1e37
"""Networks compute in float32, whose range ends slightly above."""

MAX_EXACT_INTEGER = 2.0**53
"""Integers up to here are exact in float64."""

TRUE_WORDS, FALSE_WORDS = ("true", "yes", "t", "y", "on"), ("false", "no", "f", "n", "off")
ORDINAL_SCALES = (
    ("low", "medium", "high"),
    ("very low", "low", "medium", "high", "very high"),
    ("small", "medium", "large"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("bad", "ok", "good"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
)
NUMBER_START = re.compile(r"[-+]?(\.?\d|inf)", re.IGNORECASE)
LOCALIZED_NUMBER = re.compile(rf"{NUMBER_PREFIX}(?:\d+(\.\d{{3}})*,\d+|\d{{1,3}}(,\d{{3}})+(\.\d+)?){NUMBER_SUFFIX}")
GROUPED_NUMBER = re.compile(rf"{NUMBER_PREFIX}[1-9]\d{{0,2}}([,. '])\d{{3}}(\1\d{{3}})*([.,]\d+)?{NUMBER_SUFFIX}")
"""Numbers with a decimal comma or thousands separators."""

MAX_LISTED = 5
"""Largest number of rows named in a message."""

MAX_SPELLINGS = 100
"""Largest number of distinct spellings of a boolean column or a known scale."""

HEAD_CELLS = 10_000
"""Number of leading cells that are checked for many distinct spellings."""

MIN_TYPE_SHARE = 0.5
"""Share of numbers or dates in a text column from which the other cells count as errors."""


def infer_type(values: pd.Series, config: ColumnOptions) -> tuple[ColumnType, tuple[str, ...]]:
    """Return the type of a column, and its ordered categories if it is ordinal."""
    if config.categories:
        return "ordinal", config.categories
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        return config.type or "ordinal", tuple(map(str, dtype.categories))
    if config.type == "ordinal":
        inferred = _infer_text_type(_to_text(values).dropna())
        if inferred[0] != "ordinal":
            raise DataError(
                f"column {values.name!r} is ordinal, so `categories` must list its values, lowest first; add them"
            )
        return inferred
    if config.type:
        return config.type, ()
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean", ()
    if pd.api.types.is_numeric_dtype(dtype):
        return "numeric", ()
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date", ()
    known = values.dropna()
    return _infer_text_type(known if isinstance(dtype, pd.StringDtype) else known.astype(str))


def _infer_text_type(cells: pd.Series) -> tuple[ColumnType, tuple[str, ...]]:
    """Return the type of text cells; results for few distinct spellings are cached, as callers ask repeatedly."""
    if len(cells) > HEAD_CELLS and cells.iloc[:HEAD_CELLS].nunique() > MAX_SPELLINGS:
        return _infer_from_counts(cells, np.ones(len(cells), np.int64))
    counts = cells.value_counts(sort=False)
    if len(counts) > MAX_SPELLINGS:
        return _infer_from_counts(pd.Series(counts.index.to_numpy(dtype=object), dtype=object), counts.to_numpy())
    return _infer_cached(tuple(counts.index), tuple(counts.tolist()))


@lru_cache(maxsize=4096)
def _infer_cached(spellings: tuple[str, ...], counts: tuple[int, ...]) -> tuple[ColumnType, tuple[str, ...]]:
    return _infer_from_counts(pd.Series(spellings, dtype=object), np.array(counts, np.int64))


def _infer_from_counts(cells: pd.Series, counts: Array) -> tuple[ColumnType, tuple[str, ...]]:
    """Return the type of distinct cells that occur in `counts` rows each; missing values are ignored."""
    stripped = cells.str.strip()
    is_known = ~stripped.str.lower().isin(NA_VALUES)
    known, counts = stripped[is_known], counts[is_known.to_numpy()]
    words = {word.lower() for word in known} if len(known) <= MAX_SPELLINGS else set()

    def share(mask: pd.Series) -> float:
        return float(counts[mask.to_numpy(dtype=bool)].sum() / counts.sum())

    if words and any(words <= {a, b} for a, b in zip(TRUE_WORDS, FALSE_WORDS, strict=True)):
        return "boolean", ()
    if not len(known):
        return "numeric", ()
    starts_like_number = known.str.match(NUMBER_START)  # only these are converted: to_numeric is slow on text
    formatted = known.str.fullmatch(FORMATTED_NUMBER)
    if share(starts_like_number | formatted) >= MIN_TYPE_SHARE:
        number = starts_like_number & pd.to_numeric(known.where(starts_like_number), errors="coerce").notna()
        if share(number | formatted) >= MIN_TYPE_SHARE:
            return "numeric", ()
    dates = known.str.fullmatch(DATE) | known.str.fullmatch(LOCALIZED_DATE)
    if (dates | known.str.lower().isin(NUMERIC_NA_VALUES)).all() and share(
        known.str.fullmatch(VALID_DATE)
    ) >= MIN_TYPE_SHARE:
        return "date", ()
    # other formats: parsing reports them with their rows, categories would hide them
    if share(known.str.fullmatch(LOCALIZED_NUMBER)) >= MIN_TYPE_SHARE:
        return "numeric", ()
    if share(known.str.fullmatch(LOCALIZED_DATE)) >= MIN_TYPE_SHARE:
        return "date", ()
    for scale in ORDINAL_SCALES:
        if len(words) > 1 and words <= set(scale):
            return "ordinal", scale
    return "categorical", ()


def parse_cells(values: pd.Series, kind: ColumnType, categories: Sequence[str] = ()) -> tuple[Any, NDArray[np.int64]]:
    """Return the parsed cells of a column, and the positions of invalid cells.

    Numeric, boolean (1 and 0) and ordinal (rank) cells become float64, NaN if missing or invalid; dates datetime64;
    categories text. Case and surrounding spaces are ignored, except in categories.
    """
    if kind == "categorical":
        return _to_text(values), np.array([], np.int64)
    if not isinstance(values.dtype, pd.StringDtype):
        return _parse_values(values, kind, categories)
    codes, spellings = pd.factorize(values)  # each spelling is parsed once
    cells, bad = _parse_values(pd.Series(spellings, dtype=values.dtype), kind, categories)
    missing = np.datetime64("NaT") if kind == "date" else np.nan
    return np.append(cells, missing)[codes], np.flatnonzero(np.isin(codes, bad)) if len(bad) else bad


def _parse_values(values: pd.Series, kind: ColumnType, categories: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    if kind == "numeric" and pd.api.types.is_numeric_dtype(values.dtype):
        out: Array = values.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = np.isnan(out)
    else:
        words = _to_text(values).str.strip().str.lower()
        na_values = NA_VALUES | NUMERIC_NA_VALUES if kind in ("numeric", "date") else NA_VALUES
        missing = (words.isna() | words.isin(na_values)).to_numpy()
        match kind:
            case "date":
                times = _parse_dates(values, words, missing)
                return times, np.flatnonzero(np.isnat(times) & ~missing)
            case "numeric":
                cells = pd.to_numeric(words, errors="coerce")
                unparsed = cells.isna() & ~missing
                if unparsed.any():
                    cells = cells.astype("float64").where(~unparsed, parse_formatted_numbers(words[unparsed]))
            case "boolean":
                truth = dict.fromkeys((*TRUE_WORDS, "1"), 1.0) | dict.fromkeys((*FALSE_WORDS, "0"), 0.0)
                cells = words.map(truth)
            case "ordinal":
                exact = _to_text(values)
                ranks = {word.strip().lower(): float(i) for i, word in enumerate(categories)}
                ranks |= {word: float(i) for i, word in enumerate(categories)}
                cells = exact.where(exact.isin(categories), words).map(ranks)
        out = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    too_large = np.abs(out) > MAX_MAGNITUDE
    return np.where(too_large, np.nan, out), np.flatnonzero(too_large | (np.isnan(out) & ~missing))


def _to_text(values: pd.Series) -> pd.Series:
    """Return cells as text, missing values as they are; integers as 3, not 3.0, with missing cells too."""
    if not pd.api.types.is_float_dtype(values.dtype):
        return values.astype(str).where(~values.isna())
    text = values.astype(str).astype(object)
    cells = values.to_numpy(dtype=np.float64, na_value=np.nan)
    is_integer = (cells == np.round(cells)) & (np.abs(cells) <= MAX_EXACT_INTEGER)
    text[is_integer] = cells[is_integer].astype(np.int64).astype(str)
    return text.astype(str).where(~values.isna())


def _parse_dates(values: pd.Series, words: pd.Series, is_missing: NDArray[np.bool_]) -> Array:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        times = pd.to_datetime(values, utc=True)
    else:
        times = _parse_iso(words)
        unparsed = times.isna() & ~is_missing
        if unparsed.any():
            times[unparsed] = _parse_iso(to_iso(words[unparsed]))
    return np.asarray(times.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]"))


def _parse_iso(words: pd.Series) -> pd.Series:
    return pd.to_datetime(words.str.upper().str.replace("/", "-"), errors="coerce", utc=True, format="ISO8601")


def parse_and_fit(
    values: pd.Series, kind: ColumnType, categories: Sequence[str] = (), min_frequency: float = 0.0
) -> Column:
    """Return the encoding of a column of a given type, fitted on its cells in training rows."""
    cells = parse_cells(values, kind)[0] if kind in ("categorical", "date") else None  # other types need no fit
    return fit_column(str(values.name), kind, cells, categories, min_frequency)


def fit_column(
    name: str, kind: ColumnType, cells: Any, categories: Sequence[str] = (), min_frequency: float = 0.0
) -> Column:
    """Return the encoding of a column, fitted on the parsed cells of training rows.

    Args:
        min_frequency: categories with a smaller share of the rows are not encoded separately.
    """
    match kind:
        case "categorical":
            counts = cells.value_counts()
            frequent = counts[counts >= max(min_frequency * len(cells), 1)].index
            return Column(name=name, type=kind, categories=tuple(sorted(map(str, frequent))))
        case "ordinal":
            return Column(name=name, type=kind, categories=tuple(categories))
        case "date":
            known = cells[~np.isnat(cells)]
            changing = [part for part in DATE_PARTS if np.unique(_date_part(known, part)).size > 1]
            return Column(name=name, type=kind, date_parts=tuple(changing or DATE_PARTS[:1]))
    return Column(name=name, type=kind)


def encode_column(cells: Any, column: Column) -> Array:
    """Return the features (n, len(column.features)) of parsed cells."""
    match column.type:
        case "categorical":
            index = {name: float(i) for i, name in enumerate(column.categories)}
            indices, words = pd.factorize(cells)  # -1 for a missing value
            codes = np.array([*(index.get(word, len(index)) for word in words), np.nan])
            return np.asarray(codes[indices])[:, None]
        case "date":
            return np.column_stack([_date_part(cells, part) for part in column.date_parts])
    return np.asarray(cells, np.float64)[:, None]


def _date_part(times: Array, part: str) -> Array:
    """Return one of `DATE_PARTS` of each time."""
    stamps = pd.Series(times)
    match part:
        case "days":  # NumPy only: nanoseconds of pandas end in 2262, but 9999-12-31 is commonly used for "no end"
            return np.asarray((times - np.datetime64(0, "ms")) / np.timedelta64(1, "D"))
        case "hour":
            values = stamps.dt.hour + stamps.dt.minute / 60 + stamps.dt.second / 3600
        case "month":
            values = stamps.dt.month
        case _:
            values = stamps.dt.day_of_week
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def format_hint(cell: object) -> str:
    """Return the `format` option with which a cell could be read, as the beginning of a remedy; may be empty."""
    if LOCALIZED_DATE.fullmatch(str(cell).strip()):
        return "set `format: {dates: dayfirst}` or monthfirst, or "
    return "set `format: {thousands: ...}`, or " if GROUPED_NUMBER.fullmatch(str(cell).strip()) else ""


def check_cells(
    name: str, values: pd.Series, kind: ColumnType, invalid: NDArray[np.int64], remedy: str
) -> CheckResult | None:
    """Return a check result that names the rows of invalid cells, None if there are none."""
    if not len(invalid):
        return None
    cell = values.iloc[int(invalid[0])]
    is_number = kind == "numeric" and bool(pd.to_numeric(values.iloc[invalid], errors="coerce").notna().all())
    rows: dict[str, list[str]] = {}
    for i in invalid[:MAX_LISTED]:
        rows.setdefault(format_value(values.iloc[int(i)]), []).append(str(i + 1))
    cells = [f"{text} in row{'s' * (len(numbers) > 1)} {', '.join(numbers)}" for text, numbers in rows.items()]
    more = ", ..." if len(invalid) > MAX_LISTED else ""
    rule = (
        f"finite numbers up to {MAX_MAGNITUDE:g}"
        if kind == "numeric"
        else {"date": "ISO dates"}.get(kind, f"{kind} values")
    )
    text = f"column {name!r} must contain {rule}, but contains {', '.join(cells)}{more}"
    count = f" ({len(invalid)} rows)" if len(invalid) > 1 else ""
    remedy = format_hint(cell) + remedy
    return CheckResult(
        rule="non_finite" if is_number else "mixed_types", level="error", message=f"{text}{count}; {remedy}"
    )
