"""Whether the day or the month comes first in dates that are not ISO ones, told from days above 12."""

from pathlib import Path

import pandas as pd

from ..data.columns.dates import OTHER_DATE
from ..data.columns.numbers import DAY_OR_MONTH, SHARE
from ..errors import DataError, shown

DATES = ("iso", "day_first", "month_first")


def dates_of(frame: pd.DataFrame, said: str, source: Path) -> str:
    """Return how dates are written, for `format.dates`.

    said: what a person says of it; empty tells it. Points mean that the day comes first.

    Raises:
        DataError: no day is above 12, two columns differ, or `said` is none of the ways.
    """
    if said and said not in DATES:
        raise DataError(f"--dates must be one of {', '.join(DATES)}, but is {said!r}; choose one of them")
    if said:
        return said
    found: dict[str, str] = {}
    for name in frame.select_dtypes(["str", "object"]):
        cells = frame[name].dropna().astype("str").str.strip()
        dates = cells[cells.str.fullmatch(OTHER_DATE)]
        if len(dates) < SHARE * max(len(cells), 1) or not len(dates):
            continue
        way = _way(dates)
        if not way:
            raise DataError(
                f"{source}: it must be told whether the day or the month comes first, but in column {name!r} no number"
                f" tells ({shown(dates.iloc[0])} in row {dates.index[0] + 1}); say --dates day_first or month_first"
            )
        found[str(name)] = way
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{name} {way}" for name, way in found.items())
        raise DataError(f"{source}: dates must be written in one way, but are {listed}; mend the file")
    return next(iter(found.values()), "iso")


def _way(dates: pd.Series) -> str:
    parts = dates.str.extract(DAY_OR_MONTH)
    first, second = (pd.to_numeric(parts[i]) for i in (0, 2))
    days, months = int((first > 12).sum()), int((second > 12).sum())
    if days != months:
        return "day_first" if days > months else "month_first"
    return "day_first" if (parts[1] == ".").all() else ""
