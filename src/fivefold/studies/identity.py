"""What a study is a study of: how two such trees differ, and how that is said."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ParamsError, shown

ROWS = "rows"
"""Key of a hash of the rows, which tells a person nothing."""
FEW = 3
"""Differences that a message tells in one line."""


class Absent:
    """What stands where nothing does."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def difference(was: Any, now: Any, at: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each dotted key in which two trees differ, and what stands there in both; ABSENT for nothing."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in [*was, *(key for key in now if key not in was)]:
            yield from difference(was.get(key, ABSENT), now.get(key, ABSENT), f"{at}.{key}" if at else key)
    elif was != now:
        yield at, (was, now)


def other_study(name: str, model: str, others: Mapping[str, tuple[Any, Any]]) -> ParamsError:
    """Return why a study of a model cannot go on with something else, a line for each difference if they are many."""
    each = [
        "the rows are others (another seed, split, or file)"
        if key == ROWS
        else f"{key} was {shown(was)} and is {shown(now)}"
        for key, (was, now) in others.items()
    ]
    said = f" {'; '.join(each)}; " if len(each) <= FEW else ":" + "".join(f"\n  {line}" for line in each) + "\n"
    return ParamsError(
        f"study {name!r} must go on as it began, but{said}put that back, or run another study: fivefold study run"
        f" {model} --name {name}-2"
    )
