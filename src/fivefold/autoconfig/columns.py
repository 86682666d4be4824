"""By what a column, or a table of them, is known.

Columns of times: which are, what they say, and how evenly they step.

Columns that say whose a row is: rows of one patient in two sets would flatter the score.

What to say of cells that are read as numbers though they are written with more than digits.

Columns of text, and whether a table is there for them.
"""

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
"""What stands in several words: what parts them, or a letter of a script that does not part them."""


def is_numeric(values: pd.Series) -> bool:
    """Say whether a column holds numbers."""
    return bool(pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype))


def is_number_like(values: pd.Series) -> bool:
    """Say whether a column holds numbers, however they are written: 12% too."""
    text = not pd.api.types.is_numeric_dtype(values.dtype)
    return is_numeric(values) or (text and types.infer_type(values, ColumnOptions())[0] == "numeric")


def is_fold_column(values: pd.Series) -> bool:
    """Say whether a column numbers the folds of a cross-validation."""
    named = str(values.name).lower() in ("fold", "folds", "kfold", "cv_fold", "fold_id")
    return named and is_numeric(values) and 2 <= values.nunique() <= 20


def is_split_column(values: pd.Series) -> bool:
    """Say whether a column names training and test rows."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    words = set(values.dropna().astype(str).str.strip().str.lower().unique()[:10])
    return {SPLIT_ALIASES.get(word) for word in words} >= {"train", "test"}


def is_categorical(values: pd.Series) -> bool:
    """Say whether a column holds words: neither numbers nor dates, nor yes and no."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return False
    return types.infer_type(values, ColumnOptions())[0] == "categorical"


def is_text(values: pd.Series) -> bool:
    """Say whether words are text, not categories: most cells stand there once, and are several words."""
    cells = values.dropna().astype(str)
    return bool(cells.nunique() > len(cells) / 2) and is_multi_word(cells)


def is_multi_word(cells: pd.Series) -> bool:
    """Say whether most cells are several words, not one as a UUID or an address is."""
    return bool(cells.dropna().astype(str).str.strip().str.contains(WORD_BREAK_PATTERN).mean() > 0.5)


def nested_cells(frame: pd.DataFrame) -> tuple[str, str] | None:
    """Return the first column of Parquet whose cells are lists, structures or bytes, and what they are."""
    for name in (name for name in frame if pd.api.types.is_object_dtype(frame[name].dtype)):
        known = frame[name].dropna()
        cell = known.iloc[0] if len(known) else ""
        found = {dict: "structures", bytes: "bytes", list: "lists", np.ndarray: "lists"}.get(type(cell))
        if found:
            return str(name), found
    return None


def is_pixel_table(frame: pd.DataFrame) -> bool:
    """Say whether columns are the pixels of a square image: as many as a square has, whole numbers from 0 to 255."""
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
"""Words that name what a row is of."""

ID_WORDS = frozenset(("id", "ids", "no", "nr", "number", "code", "key", "uuid"))
"""Words that say that a column holds names, no measures."""

MIN_GROUPS = 10
"""Groups from which a share of them can be drawn."""


def find_group_column(frame: pd.DataFrame, names: Iterable[str]) -> tuple[str, bool] | None:
    """Return the column of `names` that tells groups, and whether its name says so for sure; None if there is none.

    A group stands in several rows, and there are ten or more. Sure are `patient`, `user_id`, `SubjectNo`: the split
    follows them, for who has several rows of a person wants to know about persons not seen yet. Of any other `..._id`
    a person has to judge: rows of one shop or product may well be asked about again.
    """
    found = [name for name in names if is_id_name(name) and _has_repeats(frame[name])]
    surest = sorted(found, key=lambda name: not is_entity_name(name))
    return (surest[0], is_entity_name(surest[0])) if surest else None


def is_entity_name(name: str) -> bool:
    """Say whether a name holds nothing but whose a row is: `patient_id`, not `customer_age`."""
    words = split_words(name)
    return bool(words & ENTITY_WORDS) and words <= ENTITY_WORDS | ID_WORDS


def is_id_name(name: str) -> bool:
    """Say whether a name is that of a column of names."""
    return is_entity_name(name) or bool(split_words(name) & {"id", "uuid"})


def split_words(name: str) -> frozenset[str]:
    """Return the words of a name: of `PatientID`, `patient id` and `patientid` patient and id."""
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
"""Names of a column of numbers that are times."""

COUNTER_NAMES = frozenset(("day", "week", "month", "quarter", "hour", "period"))
"""Names of one that are times if each stands once and all are equally far apart."""

EPOCH_WORDS = frozenset(("time", "timestamp", "ts", "epoch", "unix", "date", "datetime", "utc"))
"""Words of a name that say of large numbers that they count from 1970."""

MIN_EPOCH_SECONDS, MAX_EPOCH_SECONDS = 10**8, 42 * 10**8
"""Seconds since 1970 that a file may hold: 1973 to 2103."""

TICKS_PER_SECOND = (1, 10**3, 10**6, 10**9)
"""What is counted: seconds, and their parts."""

MIN_COMPACT_DATES = 10
"""Different numbers such as 20010131 that are dates, not by chance."""

MIN_WHOLE_MINUTE_SHARE = 0.9
"""Share of the steps that are whole minutes from which numbers without such a name count from 1970."""

MIN_EQUAL_STEP_SHARE = 0.6
"""Share of the steps that are equally long from which times are even."""


def parse_times(values: pd.Series) -> Array | None:
    """Return a column of times (n,) as datetime64, or as float64 where they count from another day than 1970.

    NaT or NaN stands for gaps. None if the column holds something else.
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return None
    named = str(values.name).lower() in TIME_NAMES
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.to_numpy(np.float64, na_value=np.nan)
        found = _parse_epoch(numbers, str(values.name))
        if found is None and (named or values.nunique() >= MIN_COMPACT_DATES):
            found = parse_compact_dates(numbers)
        return found if found is not None else numbers if named else None
    kind, _ = types.infer_type(values, ColumnOptions())
    if kind != "date" and not (kind == "numeric" and named):
        return None
    cells, bad = types.parse_cells(values, kind)
    return None if len(bad) else np.asarray(cells)


def is_unique_time(values: pd.Series) -> bool:
    """Say whether a column is a time that never repeats."""
    if not values.is_unique or values.isna().any():
        return False
    if parse_times(values) is not None:
        return True
    counts = str(values.name).lower() in COUNTER_NAMES and pd.api.types.is_numeric_dtype(values.dtype)
    return counts and len(np.unique(np.diff(np.sort(values)))) == 1


def is_regular(times: Array) -> bool:
    """Say whether most neighbours in time are equally far apart, or a month or a year."""
    apart = pd.Series(np.diff(np.sort(times)))
    if times.dtype.kind == "M":
        days = apart / np.timedelta64(1, "D")
        apart = days.where(days < 28, (days / 30.4).round())
    return bool(len(apart) > 2 and apart.value_counts(normalize=True).iloc[0] >= MIN_EQUAL_STEP_SHARE)


def infer_season_length(times: Array) -> int:
    """Return the steps of a season, 0 if none: a year of months, quarters, weeks; a week of days; a day of hours."""
    if times.dtype.kind != "M":
        return 0
    hours = float(np.median(np.diff(np.sort(times)) / np.timedelta64(1, "h")))
    if 28 <= hours / 24 <= 31:
        return 12
    if 90 <= hours / 24 <= 92:
        return 4
    return {0.5: 48, 1: 24, 24: 7, 24 * 7: 52}.get(hours, 0)


def _parse_epoch(numbers: Array, name: str) -> Array | None:
    """Return numbers that count seconds, or parts of one, since 1970 as datetime64; None if they do not."""
    known = numbers[~np.isnan(numbers)]
    if len(known) < 2 or known.min() < MIN_EPOCH_SECONDS:
        return None
    for count in TICKS_PER_SECOND:
        if MIN_EPOCH_SECONDS * count <= known.min() and known.max() <= MAX_EPOCH_SECONDS * count:
            steps = np.diff(np.unique(known)) % (60 * count) == 0
            if not (EPOCH_WORDS & split_words(name) or (len(steps) and steps.mean() >= MIN_WHOLE_MINUTE_SHARE)):
                return None
            return np.where(np.isnan(numbers), np.nan, np.nan_to_num(numbers) / count * 1e3).astype("datetime64[ms]")
    return None


NUMBER_WITH_UNIT_PATTERN = re.compile(r"[-+]?\d[\d.,' ]*?\s?([^\W\d_]{1,7}\d?|[^\W\d_]{1,4}/[^\W\d_]{1,4}|°[CF]?)")
"""A number with a unit behind it: 12 kg, 3,5m2, 80 km/h, 20°C."""

ORDINAL_SUFFIXES = frozenset(("st", "nd", "rd", "th"))
"""What stands behind 1st to 4th."""

MIN_UNIT_CELLS, MAX_UNITS, MIN_UNIT_SHARE = 10, 4, 0.9
"""Different cells from which a column may be a number with a unit, its units at most, the share of its cells."""

HOURS_MINUTES_PATTERN = re.compile(r"(\d{1,3}):[0-5]\d")
MAX_HOUR = 23
"""Hours above which those of two parts may be minutes."""

SAMPLE_ROWS = 1_000
"""Rows that are looked at."""


def note_formatted_numbers(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a remark that names such columns, each with its first such cell; none if there are none."""
    found = list(_formatted_number_examples(frame.head(SAMPLE_ROWS)))
    return (f"read as numeric_transform: {', '.join(found)}",) if found else ()


def note_units(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a remark that names columns of numbers with a unit, which are read as words; none if there are none."""
    found = list(_unit_examples(frame.head(SAMPLE_ROWS)))
    remedy = "write the number alone to have it as one"
    return (f"numbers with a unit are read as words: {', '.join(found)}; {remedy}",) if found else ()


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
        words = pd.Series(frame[name].dropna().astype(str).str.strip().str.lower().unique())
        written = words[pd.to_numeric(words, errors="coerce").isna()]
        values = parse_formatted_numbers(written)
        if values.notna().any():
            at = int(np.flatnonzero(values.notna())[0])
            yield f"{name} {format_value(written.iloc[at])} as {values.iloc[at]:.10g}{_duration_note(written, written.iloc[at])}"


def _duration_note(words: pd.Series, first: str) -> str:
    """Return the unit of a duration, and what a person who meant minutes and seconds must do."""
    if not DURATION.fullmatch(first):
        return ""
    long = next(
        (word for word in words if (found := HOURS_MINUTES_PATTERN.fullmatch(word)) and int(found[1]) > MAX_HOUR), ""
    )
    return f" seconds (of hours and minutes; if {long} is minutes and seconds, write 00:{long})" if long else " seconds"


MIN_TEXT_LENGTH = 25.0
"""Mean characters of a cell from which a column of words is text."""

OTHER_COLUMNS_PER_TEXT = 3
"""Other columns beside which a text of `LONG_TEXT` is still what the table is about; a longer one bears more."""


@dataclass(frozen=True)
class TextColumns:
    """Columns of text, the longest first, the other columns, and the mean characters of the longest."""

    names: tuple[str, ...]
    other_columns: tuple[str, ...]
    mean_length: float


def find_text_columns(frame: pd.DataFrame, names: list[str], *, is_explicit: bool) -> TextColumns:
    """Return which of the columns `names` are text.

    sure: a person says that there is text: without long ones, the longest column of words is it, one of several words
        a cell first.
    """
    lengths = {name: _mean_length(frame[name]) for name in names if is_categorical(frame[name])}
    texts = [name for name, length in lengths.items() if length >= MIN_TEXT_LENGTH and is_text(frame[name])]
    texts.sort(key=lambda name: -lengths[name])
    if is_explicit and not texts and lengths:
        texts = [max(lengths, key=lambda name: (is_multi_word(frame[name]), lengths[name]))]
    others = tuple(name for name in names if name not in texts)
    return TextColumns(tuple(texts), others, lengths[texts[0]] if texts else 0.0)


def is_mainly_text(text_columns: TextColumns) -> bool:
    """Say whether the text is what a table is about: reviews with a date and a user, not passengers with a name."""
    return bool(text_columns.names) and text_columns.mean_length >= MIN_TEXT_LENGTH * max(
        1.0, len(text_columns.other_columns) / OTHER_COLUMNS_PER_TEXT
    )


def _mean_length(values: pd.Series) -> float:
    cells = values.dropna().astype(str)
    return float(cells.str.len().mean()) if len(cells) else 0.0
