"""The configuration that a study must keep, and the names of the user attributes of studies and trials."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ParamsError, format_value

DATA_DIGEST = "data_digest"
"""Key of the hash of the rows, which is meaningless to a reader."""
MAX_INLINE_DIFFERENCES = 3
"""Up to this number, differences are listed in one line of a message."""


class Absent:
    """Marks a key that a tree does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


def diff_trees(old: Any, new: Any, prefix: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield each dotted key in which two trees differ, with both values; ABSENT for a missing one."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from diff_trees(old.get(key, ABSENT), new.get(key, ABSENT), f"{prefix}.{key}" if prefix else key)
    elif old != new:
        yield prefix, (old, new)


def identity_mismatch_error(
    study_name: str, model_name: str, differences: Mapping[str, tuple[Any, Any]]
) -> ParamsError:
    """Return the error for a study whose configuration has changed; many differences are listed one per line."""
    lines = [
        "the data changed (other seed, split or file)"
        if key == DATA_DIGEST
        else f"{key} was {format_value(old)} and is {format_value(new)}"
        for key, (old, new) in differences.items()
    ]
    listed = (
        f" {'; '.join(lines)}; "
        if len(lines) <= MAX_INLINE_DIFFERENCES
        else ":" + "".join(f"\n  {line}" for line in lines) + "\n"
    )
    return ParamsError(
        f"study {study_name!r} must keep its configuration, but{listed}restore it or run another study:"
        f" fivefold study run {model_name} --name {study_name}-2"
    )


# User attributes of a study.
IDENTITY = "fivefold"
"""The configuration that the study must keep."""
UNIQUE_ID = "unique_id"
"""Random id that distinguishes the study from another one of the same name."""
N_TRIALS = "n_trials"
"""Number of trials that was requested last, in all."""
SEARCH_METHOD = "search_method"
"""Sampler and pruner of the trials that were started last."""

# User attributes of a trial.
WORKER = "worker"
"""Name of the worker that runs it."""
REASON = "reason"
"""Why it was pruned or failed."""
FOLD_SCORES = "fold_scores"
"""Scores of each finished fold."""
INTERMEDIATE_VALUES = "intermediate_values"
"""Score per epoch of the first fold, higher is better."""
TRIAL_PARAMS = "params"
"""Values of the trial, in the notation of params.yaml."""
MEAN_SCORES = "mean_scores"
"""Mean of each metric over the folds."""
COMPUTE_SECONDS = "seconds"
"""Seconds of computation."""
WORKER_DEATHS = "worker_deaths"
"""Progress (finished folds, time of the newest checkpoint), and the number of workers that died since without any."""
MODEL_BLOCK = "model_block"
"""The complete blocks of the model with the values of the trial, as params.yaml could contain them."""
IS_BASELINE = "is_baseline"
"""Whether the values are those of params.yaml."""
