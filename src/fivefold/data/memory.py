"""How much of a source may be held: what it becomes is copied once more while rows are divided."""

import os

from ..errors import DataError

SHARE = 0.25
"""Share of this machine's memory that one array may take."""


def fit(size: int, what: str, remedy: str) -> None:
    """Refuse arrays of more bytes than memory has room for, before they are made.

    Raises:
        DataError: they are too large; `what` would be, `remedy` helps.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > SHARE * memory:
        raise DataError(
            f"{what} must fit into a quarter of memory, {SHARE * memory / 1e9:.1f} GB, but would take"
            f" {size / 1e9:.1f} GB; {remedy}"
        )
