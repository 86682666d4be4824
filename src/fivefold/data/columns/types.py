"""What type each column of a table has, and how it becomes numbers.

Inferred where params.yaml says nothing: booleans, numbers, ISO dates, known scales, and categories for other text.
What `infer` and `fit` are given is learnt from: training rows alone. `parse` reads each cell by itself.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...config.datasets import ColumnOptions as ColumnParams
from ...errors import DataError, format_value
from ..dataset import Array
from ..schema import DATE_PARTS, CheckResult, Column, ColumnType
from .dates import DATE, LOCALIZED_DATE, VALID_DATE, to_iso
from .numbers import FORMATTED_NUMBER, NUMBER_PREFIX, NUMBER_SUFFIX, parse_formatted_numbers

NA_VALUES = frozenset(("na", "n/a", "#n/a", "nan", "null", "none", "?", "-", ""))
"""What stands for a missing cell, in any case; in a column of categories only an empty cell is missing."""

NUMERIC_NA_VALUES = frozenset(("missing", "unknown", "n.a.", "#na", "<na>", "not available", ".", "..", "--"))
"""What also does among numbers and dates, where it can be nothing else; among flags it may be a third answer."""

MAX_MAGNITUDE = 1e37
"""Networks compute in float32, which ends a little above."""

MAX_EXACT_INTEGER = 2.0**53
"""Whole numbers up to here are exact as floats."""

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
"""Numbers with a decimal comma or thousands."""

MAX_LISTED = 5
"""Rows that a finding names at most."""

MAX_SPELLINGS = 100
"""Different spellings at most of a column that may be boolean or a known scale."""

HEAD_CELLS = 10_000
"""Cells at the beginning of a column that say that it has many spellings."""

MIN_TYPE_SHARE = 0.5
"""Share of a text column's cells that are numbers, or dates, from which the others are taken for mistakes."""


def infer_type(values: pd.Series, config: ColumnParams) -> tuple[ColumnType, tuple[str, ...]]:
    """Return a column's type, and the order of its values if it is ordinal."""
    if config.categories:
        return "ordinal", config.categories
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        return config.type or "ordinal", tuple(map(str, dtype.categories))
    if config.type == "ordinal":
        found = _infer_text_type(_to_text(values).dropna())
        if found[0] != "ordinal":
            raise DataError(f"column {values.name!r} is ordinal, so `order` must list its values, lowest first; add it")
        return found
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
    """Return what cells are: of few spellings it is asked again and again, by all that look at a table."""
    if len(cells) > HEAD_CELLS and cells.iloc[:HEAD_CELLS].nunique() > MAX_SPELLINGS:
        return _infer_from_counts(cells, np.ones(len(cells), np.int64))
    found = cells.value_counts(sort=False)
    if len(found) > MAX_SPELLINGS:
        return _infer_from_counts(pd.Series(found.index.to_numpy(dtype=object), dtype=object), found.to_numpy())
    return _infer_cached(tuple(found.index), tuple(found.tolist()))


@lru_cache(maxsize=4096)
def _infer_cached(spellings: tuple[str, ...], counts: tuple[int, ...]) -> tuple[ColumnType, tuple[str, ...]]:
    return _infer_from_counts(pd.Series(spellings, dtype=object), np.array(counts, np.int64))


def _infer_from_counts(cells: pd.Series, counts: Array) -> tuple[ColumnType, tuple[str, ...]]:
    """Return what cells are that stand in so many rows each; gaps among them do not count."""
    stripped = cells.str.strip()
    real = ~stripped.str.lower().isin(NA_VALUES)
    known, counts = stripped[real], counts[real.to_numpy()]
    words = {word.lower() for word in known} if len(known) <= MAX_SPELLINGS else set()

    def share(found: pd.Series) -> float:
        return float(counts[found.to_numpy(dtype=bool)].sum() / counts.sum())

    if words and any(words <= {a, b} for a, b in zip(TRUE_WORDS, FALSE_WORDS, strict=True)):
        return "boolean", ()
    if not len(known):
        return "numeric", ()
    like = known.str.match(NUMBER_START)  # only these are tried, since a text takes long to fail
    written = known.str.fullmatch(FORMATTED_NUMBER)
    if share(like | written) >= MIN_TYPE_SHARE:
        number = like & pd.to_numeric(known.where(like), errors="coerce").notna()
        if share(number | written) >= MIN_TYPE_SHARE:
            return "numeric", ()
    dates = known.str.fullmatch(DATE) | known.str.fullmatch(LOCALIZED_DATE)
    if (dates | known.str.lower().isin(NUMERIC_NA_VALUES)).all() and share(
        known.str.fullmatch(VALID_DATE)
    ) >= MIN_TYPE_SHARE:
        return "date", ()
    # written otherwise than we read them: parsing refuses them with their rows, where categories would lose them
    if share(known.str.fullmatch(LOCALIZED_NUMBER)) >= MIN_TYPE_SHARE:
        return "numeric", ()
    if share(known.str.fullmatch(LOCALIZED_DATE)) >= MIN_TYPE_SHARE:
        return "date", ()
    for scale in ORDINAL_SCALES:
        if len(words) > 1 and words <= set(scale):
            return "ordinal", scale
    return "categorical", ()


def parse_cells(values: pd.Series, kind: ColumnType, categories: Sequence[str] = ()) -> tuple[Any, NDArray[np.int64]]:
    """Return a column's cells as what they mean, and the positions of cells that mean nothing.

    Numeric, boolean (1 and 0) and ordinal (rank) become float64, NaN where nothing stands or what means nothing; dates
    datetime64; categories text. Case and spaces around a word do not matter, but for categories.
    """
    if kind == "categorical":
        return _to_text(values), np.array([], np.int64)
    if not isinstance(values.dtype, pd.StringDtype):
        return _parse_values(values, kind, categories)
    places, spellings = pd.factorize(values)  # each spelling once: words and dates repeat
    cells, bad = _parse_values(pd.Series(spellings, dtype=values.dtype), kind, categories)
    nothing = np.datetime64("NaT") if kind == "date" else np.nan
    return np.append(cells, nothing)[places], np.flatnonzero(np.isin(places, bad)) if len(bad) else bad


def _parse_values(values: pd.Series, kind: ColumnType, categories: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    if kind == "numeric" and pd.api.types.is_numeric_dtype(values.dtype):
        out: Array = values.to_numpy(dtype=np.float64, na_value=np.nan)
        gap = np.isnan(out)
    else:
        words = _to_text(values).str.strip().str.lower()
        gaps = NA_VALUES | NUMERIC_NA_VALUES if kind in ("numeric", "date") else NA_VALUES
        gap = (words.isna() | words.isin(gaps)).to_numpy()
        match kind:
            case "date":
                times = _parse_dates(values, words, gap)
                return times, np.flatnonzero(np.isnat(times) & ~gap)
            case "numeric":
                cells = pd.to_numeric(words, errors="coerce")
                left = cells.isna() & ~gap
                if left.any():
                    cells = cells.astype("float64").where(~left, parse_formatted_numbers(words[left]))
            case "boolean":
                truth = dict.fromkeys((*TRUE_WORDS, "1"), 1.0) | dict.fromkeys((*FALSE_WORDS, "0"), 0.0)
                cells = words.map(truth)
            case "ordinal":
                exact = _to_text(values)
                ranks = {word.strip().lower(): float(i) for i, word in enumerate(categories)}
                ranks |= {word: float(i) for i, word in enumerate(categories)}
                cells = exact.where(exact.isin(categories), words).map(ranks)
        out = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    far = np.abs(out) > MAX_MAGNITUDE
    return np.where(far, np.nan, out), np.flatnonzero(far | (np.isnan(out) & ~gap))


def _to_text(values: pd.Series) -> pd.Series:
    """Return cells as text, missing where nothing stands; 3, not 3.0, so that no other cell changes a name."""
    if not pd.api.types.is_float_dtype(values.dtype):
        return values.astype(str).where(~values.isna())
    text = values.astype(str).astype(object)
    cells = values.to_numpy(dtype=np.float64, na_value=np.nan)
    whole = (cells == np.round(cells)) & (np.abs(cells) <= MAX_EXACT_INTEGER)
    text[whole] = cells[whole].astype(np.int64).astype(str)
    return text.astype(str).where(~values.isna())


def _parse_dates(values: pd.Series, words: pd.Series, is_missing: NDArray[np.bool_]) -> Array:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        times = pd.to_datetime(values, utc=True)
    else:
        times = _parse_iso(words)
        left = times.isna() & ~is_missing
        if left.any():
            times[left] = _parse_iso(to_iso(words[left]))
    return np.asarray(times.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]"))


def _parse_iso(words: pd.Series) -> pd.Series:
    return pd.to_datetime(words.str.upper().str.replace("/", "-"), errors="coerce", utc=True, format="ISO8601")


def parse_and_fit(
    values: pd.Series, kind: ColumnType, categories: Sequence[str] = (), min_frequency: float = 0.0
) -> Column:
    """Return how a column of a type becomes numbers, learnt from its cells in training rows."""
    cells = parse_cells(values, kind)[0] if kind in ("categorical", "date") else None  # of others no cell is asked
    return fit_column(str(values.name), kind, cells, categories, min_frequency)


def fit_column(
    name: str, kind: ColumnType, cells: Any, categories: Sequence[str] = (), min_frequency: float = 0.0
) -> Column:
    """Return how a column becomes numbers, learnt from the parsed cells of training rows.

    min_frequency: categories of a smaller share of the rows are not kept.
    """
    match kind:
        case "categorical":
            counts = cells.value_counts()
            kept = counts[counts >= max(min_frequency * len(cells), 1)].index
            return Column(name=name, type=kind, categories=tuple(sorted(map(str, kept))))
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
            places, words = pd.factorize(cells)  # -1 of a gap
            codes = np.array([*(index.get(word, len(index)) for word in words), np.nan])
            return np.asarray(codes[places])[:, None]
        case "date":
            return np.column_stack([_date_part(cells, part) for part in column.date_parts])
    return np.asarray(cells, np.float64)[:, None]


def _date_part(times: Array, part: str) -> Array:
    """Return one of `DATE_PARTS` of each time."""
    stamps = pd.Series(times)
    match part:
        case "days":  # NumPy alone, for pandas counts nanoseconds, which end in 2262: 9999-12-31 is a usual "for ever"
            return np.asarray((times - np.datetime64(0, "ms")) / np.timedelta64(1, "D"))
        case "hour":
            found = stamps.dt.hour + stamps.dt.minute / 60 + stamps.dt.second / 3600
        case "month":
            found = stamps.dt.month
        case _:
            found = stamps.dt.day_of_week
    return np.asarray(found.to_numpy(dtype=np.float64, na_value=np.nan))


def format_hint(cell: object) -> str:
    """Return the remedy that comes first for a date or number that `format` would tell how to read, else nothing."""
    if LOCALIZED_DATE.fullmatch(str(cell).strip()):
        return "say what comes first by `format: {dates: dayfirst}` or month_first, or "
    return "say `format: {thousands: ...}`, or " if GROUPED_NUMBER.fullmatch(str(cell).strip()) else ""


def check_cells(
    name: str, values: pd.Series, kind: ColumnType, invalid: NDArray[np.int64], remedy: str
) -> CheckResult | None:
    """Return a finding that names the rows whose cells mean nothing, None if there are none."""
    if not len(invalid):
        return None
    cell = values.iloc[int(invalid[0])]
    number = kind == "numeric" and bool(pd.to_numeric(values.iloc[invalid], errors="coerce").notna().all())
    rows: dict[str, list[str]] = {}
    for i in invalid[:MAX_LISTED]:
        rows.setdefault(format_value(values.iloc[int(i)]), []).append(str(i + 1))
    cells = [f"{text} {'stands ' * (not at)}in row {', '.join(r)}" for at, (text, r) in enumerate(rows.items())]
    more = ", ..." if len(invalid) > MAX_LISTED else ""
    rule = (
        f"finite numbers up to {MAX_MAGNITUDE:g}"
        if kind == "numeric"
        else {"date": "ISO dates"}.get(kind, f"{kind} values")
    )
    text = f"column {name!r} must hold {rule}, but {', '.join(cells)}{more}"
    count = f" ({len(invalid)} rows)" if len(invalid) > 1 else ""
    remedy = format_hint(cell) + remedy
    return CheckResult(
        rule="non_finite" if number else "mixed_types", level="error", message=f"{text}{count}; {remedy}"
    )
