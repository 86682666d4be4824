"""Which mark stands before the fraction of numbers and which between their thousands, told from their cells."""

import re
from collections.abc import Sequence
from itertools import zip_longest

from ..data.columns.numbers import AFTER, BEFORE, number_pattern
from ..data.columns.types import GAPS

COMMAS = re.compile(r"[-+]?(\d*,\d+|\d{1,3}(\.\d{3})+,\d+|\d{1,3}(\.\d{3}){2,})")
"""What only a file with a decimal comma holds: 1,5 or 1.234,5 or 1.234.567."""

POINTS = re.compile(r"[-+]?((\d*\.\d+|\d+\.)([eE][-+]?\d+)?|\d{1,3}(,\d{3})+\.\d+|\d{1,3}(,\d{3}){2,})")
"""What only a file with a decimal point holds."""

EITHER = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}")
"""A thousand and more, or a few and a fraction."""

WHOLE = re.compile(r"[-+]?\d+")

DECORATED = re.compile(rf"{BEFORE}(\d(?:[\d.,' ]*\d)?){AFTER}")

LEAST = 10
"""Cells of a column from which three digits behind each mark are no chance."""


def marks(rows: Sequence[Sequence[str]], separator: str) -> tuple[str, str, str]:
    """Return the decimal mark, the mark between thousands (empty for none), and what is doubtful of it.

    rows: the first line, which may be a header, then cells as they stand there.
    A mark stands between thousands only where all numbers of a column have groups of exactly three digits.
    """
    names = [cell.strip() for cell in rows[0]]
    columns = [[_digits(cell.strip()) for cell in column] for column in zip_longest(*rows[1:], fillvalue="")]
    columns = [[cell for cell in column if cell.lower() not in GAPS] for column in columns]
    cells = [cell for column in columns for cell in column]
    doubtful = [cell for cell in cells if EITHER.fullmatch(cell)]
    clear = [cell for cell in cells if not EITHER.fullmatch(cell)]
    commas = sum(bool(COMMAS.fullmatch(cell)) for cell in clear)
    points = sum(bool(POINTS.fullmatch(cell)) for cell in clear)
    sure = commas != points
    if separator == ",":
        decimal = "," if commas and not points else "."  # in quotes
    elif sure:
        decimal = "," if commas > points else "."
    else:
        decimal = "," if any("," in cell for cell in doubtful) else "."
    named = list(zip(names, columns, strict=False))
    other = "," if decimal == "." else "."
    thousands = next((m for m in (other, " ", "'") if any(_grouped(column, decimal, m) for _, column in named)), "")
    if separator == decimal == ",":
        name, cell = next((n, c) for n, column in named for c in column if c not in doubtful and COMMAS.fullmatch(c))
        return decimal, thousands, f"{name}: {cell} in quotes is a number with a decimal comma; if not, mend `format`"
    return decimal, thousands, "" if sure else _doubt(named, decimal, separator)


def _digits(cell: str) -> str:
    """Return a number without the signs around it."""
    found = DECORATED.fullmatch(cell)
    return found[1] if found else cell


def _grouped(column: Sequence[str], decimal: str, thousands: str) -> bool:
    """Say whether all cells are numbers, and some of them have groups."""
    begins = re.compile(rf"[-+]?[1-9]\d{{0,2}}[{thousands}]\d{{3}}(?!\d)")
    number = re.compile(number_pattern(decimal, thousands))
    return any(begins.match(cell) for cell in column) and all(number.fullmatch(cell) for cell in column)


def _doubt(named: Sequence[tuple[str, Sequence[str]]], decimal: str, separator: str) -> str:
    """Return what to say of the first column whose mark may be either, where no other number of the file tells."""
    for name, column in named:
        either = [cell for cell in column if EITHER.fullmatch(cell)]
        rest = [cell for cell in column if not EITHER.fullmatch(cell)]
        if len(column) < LEAST or not either or not all(WHOLE.fullmatch(cell) for cell in rest):
            continue
        mark = "," if "," in either[0] else "."
        if mark != decimal:
            return f"{name}: {either[0]} is read as {either[0].replace(mark, '')}; if not, mend `format`"
        if separator != ",":  # else a file with points before fractions, as most are
            other = "," if decimal == "." else "."
            remedy = f"set `format: {{decimal: '{other}', thousands: '{decimal}'}}`"
            fraction = either[0].replace(",", ".")
            return f"{name}: {either[0]} is read as {fraction}, not as a thousand; if it is one, {remedy}"
    return ""
