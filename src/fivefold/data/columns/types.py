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

from ...config.datasets import Column as ColumnParams
from ...errors import DataError, shown
from ..dataset import Array
from ..schema import DATE_PARTS, Column, ColumnType, Finding
from .dates import DATE, DATE_THAT_IS, OTHER_DATE, iso
from .numbers import AFTER, AMOUNT, BEFORE, amounts

GAPS = frozenset(("na", "n/a", "#n/a", "nan", "null", "none", "?", "-", ""))
"""What stands for a missing cell, in any case; in a column of categories only an empty cell is missing."""

UNKNOWN = frozenset(("missing", "unknown", "n.a.", "#na", "<na>", "not available", ".", "..", "--"))
"""What also does among numbers and dates, where it can be nothing else; among flags it may be a third answer."""

LARGEST = 1e37
"""Networks compute in float32, which ends a little above."""

WHOLE = 2.0**53
"""Whole numbers up to here are exact as floats."""

TRUE, FALSE = ("true", "yes", "t", "y", "on"), ("false", "no", "f", "n", "off")
SCALES = (
    ("low", "medium", "high"),
    ("very low", "low", "medium", "high", "very high"),
    ("small", "medium", "large"),
    ("xs", "s", "m", "l", "xl", "xxl"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("bad", "ok", "good"),
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
)
LIKE_NUMBER = re.compile(r"[-+]?(\.?\d|inf)", re.IGNORECASE)
OTHER_NUMBER = re.compile(rf"{BEFORE}(?:\d+(\.\d{{3}})*,\d+|\d{{1,3}}(,\d{{3}})+(\.\d+)?){AFTER}")
THOUSANDS = re.compile(rf"{BEFORE}[1-9]\d{{0,2}}([,. '])\d{{3}}(\1\d{{3}})*([.,]\d+)?{AFTER}")
"""Numbers with a decimal comma or thousands."""

NAMED = 5
"""Rows that a finding names at most."""

WORDS = 100
"""Different spellings at most of a column that may be boolean or a known scale."""

FIRST = 10_000
"""Cells at the beginning of a column that say that it has many spellings."""

MIXED = 0.5
"""Share of a text column's cells that are numbers, or dates, from which the others are taken for mistakes."""


def infer(values: pd.Series, said: ColumnParams) -> tuple[ColumnType, tuple[str, ...]]:
    """Return a column's type, and the order of its values if it is ordinal."""
    if said.order:
        return "ordinal", said.order
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        return said.type or "ordinal", tuple(map(str, dtype.categories))
    if said.type == "ordinal":
        found = _of_text(_text(values).dropna())
        if found[0] != "ordinal":
            raise DataError(f"column {values.name!r} is ordinal, so `order` must list its values, lowest first; add it")
        return found
    if said.type:
        return said.type, ()
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean", ()
    if pd.api.types.is_numeric_dtype(dtype):
        return "numeric", ()
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "date", ()
    known = values.dropna()
    return _of_text(known if isinstance(dtype, pd.StringDtype) else known.astype(str))


def _of_text(cells: pd.Series) -> tuple[ColumnType, tuple[str, ...]]:
    """Return what cells are: of few spellings it is asked again and again, by all that look at a table."""
    if len(cells) > FIRST and cells.iloc[:FIRST].nunique() > WORDS:
        return _of_spellings(cells, np.ones(len(cells), np.int64))
    found = cells.value_counts(sort=False)
    if len(found) > WORDS:
        return _of_spellings(pd.Series(found.index.to_numpy(dtype=object), dtype=object), found.to_numpy())
    return _of_few(tuple(found.index), tuple(found.tolist()))


@lru_cache(maxsize=4096)
def _of_few(spellings: tuple[str, ...], counts: tuple[int, ...]) -> tuple[ColumnType, tuple[str, ...]]:
    return _of_spellings(pd.Series(spellings, dtype=object), np.array(counts, np.int64))


def _of_spellings(cells: pd.Series, counts: Array) -> tuple[ColumnType, tuple[str, ...]]:
    """Return what cells are that stand in so many rows each; gaps among them do not count."""
    stripped = cells.str.strip()
    real = ~stripped.str.lower().isin(GAPS)
    known, counts = stripped[real], counts[real.to_numpy()]
    words = {word.lower() for word in known} if len(known) <= WORDS else set()

    def share(found: pd.Series) -> float:
        return float(counts[found.to_numpy(dtype=bool)].sum() / counts.sum())

    if words and any(words <= {a, b} for a, b in zip(TRUE, FALSE, strict=True)):
        return "boolean", ()
    if not len(known):
        return "numeric", ()
    like = known.str.match(LIKE_NUMBER)  # only these are tried, since a text takes long to fail
    written = known.str.fullmatch(AMOUNT)
    if share(like | written) >= MIXED:
        number = like & pd.to_numeric(known.where(like), errors="coerce").notna()
        if share(number | written) >= MIXED:
            return "numeric", ()
    dates = known.str.fullmatch(DATE) | known.str.fullmatch(OTHER_DATE)
    if (dates | known.str.lower().isin(UNKNOWN)).all() and share(known.str.fullmatch(DATE_THAT_IS)) >= MIXED:
        return "date", ()
    # written otherwise than we read them: parsing refuses them with their rows, where categories would lose them
    if share(known.str.fullmatch(OTHER_NUMBER)) >= MIXED:
        return "numeric", ()
    if share(known.str.fullmatch(OTHER_DATE)) >= MIXED:
        return "date", ()
    for scale in SCALES:
        if len(words) > 1 and words <= set(scale):
            return "ordinal", scale
    return "categorical", ()


def parse(values: pd.Series, kind: ColumnType, order: Sequence[str] = ()) -> tuple[Any, NDArray[np.int64]]:
    """Return a column's cells as what they mean, and the positions of cells that mean nothing.

    Numeric, boolean (1 and 0) and ordinal (rank) become float64, NaN where nothing stands or what means nothing; dates
    datetime64; categories text. Case and spaces around a word do not matter, but for categories.
    """
    if kind == "categorical":
        return _text(values), np.array([], np.int64)
    if not isinstance(values.dtype, pd.StringDtype):
        return _parsed(values, kind, order)
    places, spellings = pd.factorize(values)  # each spelling once: words and dates repeat
    cells, bad = _parsed(pd.Series(spellings, dtype=values.dtype), kind, order)
    nothing = np.datetime64("NaT") if kind == "date" else np.nan
    return np.append(cells, nothing)[places], np.flatnonzero(np.isin(places, bad)) if len(bad) else bad


def _parsed(values: pd.Series, kind: ColumnType, order: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    if kind == "numeric" and pd.api.types.is_numeric_dtype(values.dtype):
        out: Array = values.to_numpy(dtype=np.float64, na_value=np.nan)
        gap = np.isnan(out)
    else:
        words = _text(values).str.strip().str.lower()
        gaps = GAPS | UNKNOWN if kind in ("numeric", "date") else GAPS
        gap = (words.isna() | words.isin(gaps)).to_numpy()
        match kind:
            case "date":
                times = _times(values, words, gap)
                return times, np.flatnonzero(np.isnat(times) & ~gap)
            case "numeric":
                cells = pd.to_numeric(words, errors="coerce")
                left = cells.isna() & ~gap
                if left.any():
                    cells = cells.astype("float64").where(~left, amounts(words[left]))
            case "boolean":
                truth = dict.fromkeys((*TRUE, "1"), 1.0) | dict.fromkeys((*FALSE, "0"), 0.0)
                cells = words.map(truth)
            case "ordinal":
                exact = _text(values)
                ranks = {word.strip().lower(): float(i) for i, word in enumerate(order)}
                ranks |= {word: float(i) for i, word in enumerate(order)}
                cells = exact.where(exact.isin(order), words).map(ranks)
        out = cells.to_numpy(dtype=np.float64, na_value=np.nan)
    far = np.abs(out) > LARGEST
    return np.where(far, np.nan, out), np.flatnonzero(far | (np.isnan(out) & ~gap))


def _text(values: pd.Series) -> pd.Series:
    """Return cells as text, missing where nothing stands; 3, not 3.0, so that no other cell changes a name."""
    if not pd.api.types.is_float_dtype(values.dtype):
        return values.astype(str).where(~values.isna())
    text = values.astype(str).astype(object)
    cells = values.to_numpy(dtype=np.float64, na_value=np.nan)
    whole = (cells == np.round(cells)) & (np.abs(cells) <= WHOLE)
    text[whole] = cells[whole].astype(np.int64).astype(str)
    return text.astype(str).where(~values.isna())


def _times(values: pd.Series, words: pd.Series, gap: NDArray[np.bool_]) -> Array:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        times = pd.to_datetime(values, utc=True)
    else:
        times = _iso_times(words)
        left = times.isna() & ~gap
        if left.any():
            times[left] = _iso_times(iso(words[left]))
    return np.asarray(times.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]"))


def _iso_times(words: pd.Series) -> pd.Series:
    return pd.to_datetime(words.str.upper().str.replace("/", "-"), errors="coerce", utc=True, format="ISO8601")


def learn(values: pd.Series, kind: ColumnType, order: Sequence[str] = (), rare: float = 0.0) -> Column:
    """Return how a column of a type becomes numbers, learnt from its cells in training rows."""
    cells = parse(values, kind)[0] if kind in ("categorical", "date") else None  # of others no cell is asked
    return fit(str(values.name), kind, cells, order, rare)


def fit(name: str, kind: ColumnType, cells: Any, order: Sequence[str] = (), rare: float = 0.0) -> Column:
    """Return how a column becomes numbers, learnt from the parsed cells of training rows.

    rare: categories of a smaller share of the rows are not kept.
    """
    match kind:
        case "categorical":
            counts = cells.value_counts()
            kept = counts[counts >= max(rare * len(cells), 1)].index
            return Column(name=name, type=kind, categories=tuple(sorted(map(str, kept))))
        case "ordinal":
            return Column(name=name, type=kind, categories=tuple(order))
        case "date":
            known = cells[~np.isnat(cells)]
            changing = [part for part in DATE_PARTS if np.unique(_part(known, part)).size > 1]
            return Column(name=name, type=kind, parts=tuple(changing or DATE_PARTS[:1]))
    return Column(name=name, type=kind)


def encode(cells: Any, column: Column) -> Array:
    """Return the features (n, len(column.features)) of parsed cells."""
    match column.type:
        case "categorical":
            index = {name: float(i) for i, name in enumerate(column.categories)}
            places, words = pd.factorize(cells)  # -1 of a gap
            codes = np.array([*(index.get(word, len(index)) for word in words), np.nan])
            return np.asarray(codes[places])[:, None]
        case "date":
            return np.column_stack([_part(cells, part) for part in column.parts])
    return np.asarray(cells, np.float64)[:, None]


def _part(times: Array, part: str) -> Array:
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


def spelt_otherwise(cell: object) -> str:
    """Return the remedy that comes first for a date or number that `format` would tell how to read, else nothing."""
    if OTHER_DATE.fullmatch(str(cell).strip()):
        return "say what comes first by `format: {dates: day_first}` or month_first, or "
    return "say `format: {thousands: ...}`, or " if THOUSANDS.fullmatch(str(cell).strip()) else ""


def doubts(name: str, values: pd.Series, kind: ColumnType, bad: NDArray[np.int64], remedy: str) -> Finding | None:
    """Return a finding that names the rows whose cells mean nothing, None if there are none."""
    if not len(bad):
        return None
    cell = values.iloc[int(bad[0])]
    number = kind == "numeric" and bool(pd.to_numeric(values.iloc[bad], errors="coerce").notna().all())
    rows: dict[str, list[str]] = {}
    for i in bad[:NAMED]:
        rows.setdefault(shown(values.iloc[int(i)]), []).append(str(i + 1))
    cells = [f"{text} {'stands ' * (not at)}in row {', '.join(r)}" for at, (text, r) in enumerate(rows.items())]
    more = ", ..." if len(bad) > NAMED else ""
    rule = (
        f"finite numbers up to {LARGEST:g}" if kind == "numeric" else {"date": "ISO dates"}.get(kind, f"{kind} values")
    )
    text = f"column {name!r} must hold {rule}, but {', '.join(cells)}{more}"
    count = f" ({len(bad)} rows)" if len(bad) > 1 else ""
    remedy = spelt_otherwise(cell) + remedy
    return Finding(rule="non_finite" if number else "mixed_types", level="error", text=f"{text}{count}; {remedy}")
