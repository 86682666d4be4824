"""What a study is a study of: how two such trees differ, and how that is said.

Names of what is kept of studies and of trials, as user attributes of Optuna's.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ParamsError, format_value

DATA_DIGEST = "rows"
"""Key of a hash of the rows, which tells a person nothing."""
MAX_INLINE_DIFFERENCES = 3
"""Differences that a message tells in one line."""


class Absent:
    """What stands where nothing does."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def diff_trees(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each dotted key in which two trees differ, and what stands there in both; ABSENT for nothing."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from diff_trees(old.get(key, ABSENT), new.get(key, ABSENT), f"{prefix}.{key}" if prefix else key)
    elif old != new:
        yield prefix, (old, new)


def identity_mismatch_error(
    study_name: str, model_name: str, differences: Mapping[str, tuple[Any, Any]]
) -> ParamsError:
    """Return why a study of a model cannot go on with something else, a line for each difference if they are many."""
    each = [
        "the rows are others (another seed, split, or file)"
        if key == DATA_DIGEST
        else f"{key} was {format_value(was)} and is {format_value(now)}"
        for key, (was, now) in differences.items()
    ]
    said = (
        f" {'; '.join(each)}; "
        if len(each) <= MAX_INLINE_DIFFERENCES
        else ":" + "".join(f"\n  {line}" for line in each) + "\n"
    )
    return ParamsError(
        f"study {study_name!r} must go on as it began, but{said}put that back, or run another study: fivefold study run"
        f" {model_name} --name {study_name}-2"
    )


IDENTITY = "fivefold"
"""Of a study: what it is a study of."""
UNIQUE_ID = "mark"
"""Of a study: drawn when it begins, tells it from another of the same name."""
N_TRIALS = "total"
"""Of a study: how many trials were asked for last, in all."""
SEARCH_METHOD = "how"
"""Of a study: sampler and pruning of the trials that began last."""
WORKER, REASON, FOLD_SCORES, INTERMEDIATE_VALUES, TRIAL_PARAMS, MEAN_SCORES, COMPUTE_SECONDS, WORKER_DEATHS = (
    "worker", "reason", "folds", "curve", "values", "scores", "seconds", "deaths",
)  # fmt: skip
"""Of a trial: who has it; why it was pruned or failed; the score of each finished fold; its first
fold's score by epoch; the values that it tries, as params.yaml has them; the mean of every metric; of computing; how
far it had come (folds, when its newest checkpoint was written), and how many workers have died of it since."""
MODEL_BLOCK, IS_BASELINE = "block", "own"
"""Of a trial: the whole block of the model with its values, as params.yaml could have it; whether
params.yaml has them."""
