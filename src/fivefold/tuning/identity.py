"""What a study is a study of: how two such trees differ, and how that is said.

Names of what is kept of studies and of trials, as user attributes of Optuna's.
"""

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


IDENTITY = "fivefold"
"""Of a study: what it is a study of."""
MARK = "mark"
"""Of a study: drawn when it begins, tells it from another of the same name."""
TOTAL = "total"
"""Of a study: how many trials were asked for last, in all."""
HOW = "how"
"""Of a study: sampler and pruning of the trials that began last."""
WORKER, REASON, FOLDS, CURVE, VALUES, SCORES, SECONDS, DEATHS = (
    "worker", "reason", "folds", "curve", "values", "scores", "seconds", "deaths",
)  # fmt: skip
"""Of a trial: who has it; why it was pruned or failed; the score of each finished fold; its first
fold's score by epoch; the values that it tries, as params.yaml has them; the mean of every metric; of computing; how
far it had come (folds, when its newest checkpoint was written), and how many workers have died of it since."""
BLOCK, OWN = "block", "own"
"""Of a trial: the whole block of the model with its values, as params.yaml could have it; whether
params.yaml has them."""
