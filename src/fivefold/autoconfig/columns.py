"""Properties of columns: type, group column, timestamps, formatted numbers and free text."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..config.datasets import ColumnOptions
from ..data.columns import types
from ..data.columns.numbers import DURATION, parse_formatted_numbers
from ..data.columns.roles import SPLIT_ALIASES
from ..data.columns.timestamps import parse_compact_dates
from ..data.dataset import Array
from ..errors import format_value

WORD_BREAK_PATTERN = r"\s|[\u0e00-\u0eff\u3040-\u9fff]"
"""Whitespace, or a letter of a script that does not separate words."""


def is_numeric(values: pd.Series) -> bool:
    """Return whether a column is numeric."""
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def is_number_like(values: pd.Series) -> bool:
    """Return whether a column contains numbers, including formatted ones such as 12%."""
    text = not pd.api.types.is_numeric_dtype(values.dtype)
    return is_numeric(values) or (text and types.infer_type(values, ColumnOptions())[0] == "numeric")


def is_fold_column(values: pd.Series) -> bool:
    """Return whether a column contains the fold numbers of a cross-validation."""
    named = str(values.name).lower() in ("fold", "folds", "kfold", "cv_fold", "fold_id")
    return named and is_numeric(values) and 2 <= values.nunique() <= 20


def is_split_column(values: pd.Series) -> bool:
    """Return whether a column assigns rows to training and test."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    words = set(values.dropna().astype(str).str.strip().str.lower().unique()[:10])
    return {SPLIT_ALIASES.get(word) for word in words} >= {"train", "test"}


def is_categorical(values: pd.Series) -> bool:
    """Return whether a column is categorical: neither numbers, dates nor booleans."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    return types.infer_type(values, ColumnOptions())[0] == "categorical"


def is_text(values: pd.Series) -> bool:
    """Return whether strings are text rather than categories: most cells are unique and have several words."""
    cells = values.dropna().astype(str)
    return bool(cells.nunique() > len(cells) / 2) and is_multi_word(cells)


def is_multi_word(cells: pd.Series) -> bool:
    """Return whether most cells have several words, unlike UUIDs or e-mail addresses."""
    return bool(cells.dropna().astype(str).str.strip().str.contains(WORD_BREAK_PATTERN).mean() > 0.5)


def nested_cells(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the first Parquet column whose cells are lists, structures or bytes, and the type of its cells."""
    for name in (name for name in frame if pd.api.types.is_object_dtype(frame[name].dtype)):
        values = frame[name].dropna()
        cell = values.iloc[0] if len(values) else ""
        cell_type = {dict: "structures", bytes: "bytes", list: "lists", np.ndarray: "lists"}.get(type(cell))
        if cell_type:
            return str(name), cell_type
    return None


def is_pixel_table(frame: pd.DataFrame) -> bool:
    """Return whether columns are the pixels of a square image: a square number of integers from 0 to 255."""
    width = frame.shape[1]
    square = any(width % c == 0 and math.isqrt(width // c) ** 2 == width // c for c in (1, 3, 4))
    if width < 64 or not square or not all(pd.api.types.is_integer_dtype(kind) for kind in frame.dtypes):
        return False
    values = frame.head(1000).to_numpy()
    return bool(values.min() >= 0 and 15 < values.max() <= 255)


ENTITY_WORDS = frozenset(
    (
        *("patient", "subject", "participant", "person", "user", "customer", "client", "student", "speaker"),
        *("donor", "household", "animal", "group"),
    )
)
"""Words for the entity that a row belongs to."""

ID_WORDS = frozenset(("id", "ids", "no", "nr", "number", "code", "key", "uuid"))
"""Words for columns of identifiers."""

MIN_GROUPS = 10
"""Minimum number of groups for a split by group."""


def find_group_column(frame: pd.DataFrame, names: Iterable[str]) -> tuple[str, bool] | None:
    """Return the group column among `names`, and whether its name denotes an entity; None if there is no group column.

    A group column has at least ten values, each in several rows. Names such as `patient`, `user_id` or `SubjectNo`
    denote an entity: the split is by this column, because predictions are needed for new entities. For any other
    `..._id` the user has to decide, because predictions may be needed for the same shops or products.
    """
    candidates = [name for name in names if is_id_name(name) and _has_repeats(frame[name])]
    ranked = sorted(candidates, key=lambda name: not is_entity_name(name))
    return (ranked[0], is_entity_name(ranked[0])) if ranked else None


def is_entity_name(name: str) -> bool:
    """Return whether a name denotes an entity and nothing else: `patient_id`, but not `customer_age`."""
    words = split_words(name)
    return bool(words & ENTITY_WORDS) and words <= ENTITY_WORDS | ID_WORDS


def is_id_name(name: str) -> bool:
    """Return whether a name is that of a column of identifiers."""
    return is_entity_name(name) or bool(split_words(name) & {"id", "uuid"})


def split_words(name: str) -> frozenset[str]:
    """Return the words of a name: `PatientID`, `patient id` and `patientid` have the words patient and id."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return frozenset(
        part
        for word in words
        for part in ((word[:-2], "id") if word.removesuffix("id") in ENTITY_WORDS - {word} else (word,))
    )


def _has_repeats(values: pd.Series) -> bool:
    counts = values.value_counts(dropna=False)
    return (
        not values.isna().any()
        and MIN_GROUPS <= len(counts) <= len(values) / 2
        and bool(counts.max() < len(values) / 2)
    )


TIME_NAMES = frozenset(("year", "time", "date", "timestamp", "datetime", "epoch"))
"""Names of numeric columns that are times."""

COUNTER_NAMES = frozenset(("day", "week", "month", "quarter", "hour", "period"))
"""Names of numeric columns that are times if their values are unique and equidistant."""

EPOCH_WORDS = frozenset(("time", "timestamp", "ts", "epoch", "unix", "date", "datetime", "utc"))
"""Words in names of columns whose large numbers are Unix times."""

MIN_EPOCH_SECONDS, MAX_EPOCH_SECONDS = 10**8, 42 * 10**8
"""Range of Unix times in seconds: 1973 to 2103."""

TICKS_PER_SECOND = (1, 10**3, 10**6, 10**9)
"""Units of Unix times: seconds, milliseconds, microseconds and nanoseconds."""

MIN_COMPACT_DATES = 10
"""Minimum number of distinct values such as 20010131 to interpret them as dates."""

MIN_WHOLE_MINUTE_SHARE = 0.9
"""Minimum fraction of steps of whole minutes to interpret numbers without such a name as Unix times."""

MIN_EQUAL_STEP_SHARE = 0.6
"""Minimum fraction of equal steps of regular times."""


def parse_times(values: pd.Series) -> Array | None:
    """Return a column of times (n,) as datetime64, or as float64 if numbers are not Unix times.

    Missing values are NaT or NaN. None if the column does not contain times.
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return None
    has_time_name = str(values.name).lower() in TIME_NAMES
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        parsed = _parse_epoch(numbers, str(values.name))
        if parsed is None and (has_time_name or values.nunique() >= MIN_COMPACT_DATES):
            parsed = parse_compact_dates(numbers)
        return parsed if parsed is not None else numbers if has_time_name else None
    kind, _ = types.infer_type(values, ColumnOptions())
    if kind != "date" and not (kind == "numeric" and has_time_name):
        return None
    cells, bad = types.parse_cells(values, kind)
    return None if len(bad) else np.asarray(cells)


def is_unique_time(values: pd.Series) -> bool:
    """Return whether a column contains unique times."""
    if not values.is_unique or values.isna().any():
        return False
    if parse_times(values) is not None:
        return True
    is_counter = str(values.name).lower() in COUNTER_NAMES and pd.api.types.is_numeric_dtype(values.dtype)
    return is_counter and len(np.unique(np.diff(np.sort(values)))) == 1


def is_regular(times: Array) -> bool:
    """Return whether most steps between consecutive times are equal, or a month or a year."""
    steps = pd.Series(np.diff(np.sort(times)))
    if times.dtype.kind == "M":
        days = steps / np.timedelta64(1, "D")
        steps = days.where(days < 28, (days / 30.4).round())
    return bool(len(steps) > 2 and steps.value_counts(normalize=True).iloc[0] >= MIN_EQUAL_STEP_SHARE)


def infer_season_length(times: Array) -> int:
    """Return the steps per season: a year of months, quarters or weeks, a week of days, a day of hours; else 0."""
    if times.dtype.kind != "M":
        return 0
    hours = float(np.median(np.diff(np.sort(times)) / np.timedelta64(1, "h")))
    if 28 <= hours / 24 <= 31:
        return 12
    if 90 <= hours / 24 <= 92:
        return 4
    return {0.5: 48, 1: 24, 24: 7, 24 * 7: 52}.get(hours, 0)


def _parse_epoch(numbers: Array, name: str) -> Array | None:
    """Return Unix times, in seconds or fractions of one, as datetime64; None if the numbers are something else."""
    known = numbers[~np.isnan(numbers)]
    if len(known) < 2 or known.min() < MIN_EPOCH_SECONDS:
        return None
    for ticks in TICKS_PER_SECOND:
        if MIN_EPOCH_SECONDS * ticks <= known.min() and known.max() <= MAX_EPOCH_SECONDS * ticks:
            steps = np.diff(np.unique(known)) % (60 * ticks) == 0
            if not (EPOCH_WORDS & split_words(name) or (len(steps) and steps.mean() >= MIN_WHOLE_MINUTE_SHARE)):
                return None
            return np.where(np.isnan(numbers), np.nan, np.nan_to_num(numbers) / ticks * 1e3).astype("datetime64[ms]")
    return None


NUMBER_WITH_UNIT_PATTERN = re.compile(r"[-+]?\d[\d.,' ]*?\s?([^\W\d_]{1,7}\d?|[^\W\d_]{1,4}/[^\W\d_]{1,4}|°[CF]?)")
"""A number followed by a unit: 12 kg, 3,5m2, 80 km/h, 20°C."""

ORDINAL_SUFFIXES = frozenset(("st", "nd", "rd", "th"))
"""Suffixes of ordinal numbers, which are not units."""

MIN_UNIT_CELLS, MAX_UNITS, MIN_UNIT_SHARE = 10, 4, 0.9
"""Thresholds of a column with units: minimum distinct cells, maximum units, minimum fraction of cells with a unit."""

HOURS_MINUTES_PATTERN = re.compile(r"(\d{1,3}):[0-5]\d")
MAX_HOUR = 23
"""Largest hour of a time of day; in larger values of `a:b`, a may be minutes."""

SAMPLE_ROWS = 1_000
"""Number of rows inspected."""


def note_formatted_numbers(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on columns of formatted numbers, each with its first formatted cell; () if there are none."""
    examples = list(_formatted_number_examples(frame.head(SAMPLE_ROWS)))
    return (f"parsed as numbers: {', '.join(examples)}",) if examples else ()


def note_units(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a note on columns of numbers with a unit, which are treated as categories; () if there are none."""
    examples = list(_unit_examples(frame.head(SAMPLE_ROWS)))
    remedy = "remove the unit to make them numeric"
    return (f"numbers with a unit are treated as categories: {', '.join(examples)}; {remedy}",) if examples else ()


def _unit_examples(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.select_dtypes(["str", "object"]):
        cells = pd.Series(frame[name].dropna().astype(str).str.strip().unique(), dtype=str)
        units = cells.map(
            lambda cell: found[1] if (found := NUMBER_WITH_UNIT_PATTERN.fullmatch(cell)) else None
        ).dropna()
        if (
            len(units) < max(MIN_UNIT_CELLS, MIN_UNIT_SHARE * len(cells))
            or units.nunique() > MAX_UNITS
            or ORDINAL_SUFFIXES & set(units)
        ):
            continue
        if types.infer_type(frame[name], ColumnOptions())[0] == "categorical":
            yield f"{name} {format_value(cells[units.index[0]])}"


def _formatted_number_examples(frame: pd.DataFrame) -> Iterator[str]:
    for name in frame.select_dtypes(["str", "object"]):
        if types.infer_type(frame[name], ColumnOptions())[0] != "numeric":
            continue
        cells = pd.Series(frame[name].dropna().astype(str).str.strip().str.lower().unique())
        formatted = cells[pd.to_numeric(cells, errors="coerce").isna()]
        values = parse_formatted_numbers(formatted)
        if values.notna().any():
            index = int(np.flatnonzero(values.notna())[0])
            cell, value = formatted.iloc[index], values.iloc[index]
            yield f"{name} {format_value(cell)} as {value:.10g}{_duration_note(formatted, cell)}"


def _duration_note(cells: pd.Series, first: str) -> str:
    """Return the unit of a duration, and how to write it if it is minutes and seconds."""
    if not DURATION.fullmatch(first):
        return ""
    long = next(
        (cell for cell in cells if (match := HOURS_MINUTES_PATTERN.fullmatch(cell)) and int(match[1]) > MAX_HOUR), ""
    )
    return f" seconds (hours and minutes; if {long} is minutes and seconds, write 00:{long})" if long else " seconds"


MIN_TEXT_LENGTH = 25.0
"""Minimum mean length of the cells of a text column, in characters."""

OTHER_COLUMNS_PER_TEXT = 3
"""Maximum number of other columns, per `MIN_TEXT_LENGTH` of the text, of a table that is mainly text."""


@dataclass(frozen=True)
class TextColumns:
    """Text columns, longest first, the other columns, and the mean length of the longest text in characters."""

    names: tuple[str, ...]
    other_columns: tuple[str, ...]
    mean_length: float


def find_text_columns(frame: pd.DataFrame, names: list[str], *, is_explicit: bool) -> TextColumns:
    """Return which of the columns `names` are text.

    is_explicit: the user specified `--kind text`: without a long text, the longest categorical column is the text,
        preferably one whose cells have several words.
    """
    lengths = {name: _mean_length(frame[name]) for name in names if is_categorical(frame[name])}
    texts = [name for name, length in lengths.items() if length >= MIN_TEXT_LENGTH and is_text(frame[name])]
    texts.sort(key=lambda name: -lengths[name])
    if is_explicit and not texts and lengths:
        texts = [max(lengths, key=lambda name: (is_multi_word(frame[name]), lengths[name]))]
    other_columns = tuple(name for name in names if name not in texts)
    return TextColumns(tuple(texts), other_columns, lengths[texts[0]] if texts else 0.0)


def is_mainly_text(text_columns: TextColumns) -> bool:
    """Return whether a table is mainly text: reviews with a date and a user, but not passengers with a name."""
    return bool(text_columns.names) and text_columns.mean_length >= MIN_TEXT_LENGTH * max(
        1.0, len(text_columns.other_columns) / OTHER_COLUMNS_PER_TEXT
    )


def _mean_length(values: pd.Series) -> float:
    cells = values.dropna().astype(str)
    return float(cells.str.len().mean()) if len(cells) else 0.0
