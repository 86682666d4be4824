"""Naive forecasts, and sliding windows over a long token array.

Consecutive windows are shifted by one token, so the tokens are stored once: a novel of half a million characters takes
2 MB, its windows of length 128 would take 220 MB.

Shapes: n windows, t tokens per window.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .dataset import Array
from .schema import Schema

NaiveMethod = Literal["none", "last", "seasonal"]


def naive_indices(schema: Schema, method: NaiveMethod) -> NDArray[np.int64]:
    """Return the positions of each value's naive forecast in a flattened window (steps, columns), (values,).

    Args:
        method: last: the last step of the target (persistence). seasonal: the same step of the last complete season.
            none: no forecast, (0,).
    """
    if method == "none":
        return np.arange(0)
    steps, columns = schema.shape
    targets = len(schema.values) // schema.horizon
    step, target = np.divmod(np.arange(len(schema.values)), targets)
    row = (
        np.full(len(step), steps - 1)
        if method == "last"
        else steps - schema.season_length + step % schema.season_length
    )
    return np.asarray(row * columns + target)


def sliding_windows(tokens: Array, length: int) -> Array:
    """Return all windows (n, t) of tokens (n + t - 1,), where t is `length`, as a read-only view."""
    return np.lib.stride_tricks.sliding_window_view(tokens, length, subok=True)


def join_windows(x: Array) -> Array:
    """Return the tokens (n + t - 1,) of consecutive windows (n, t)."""
    return np.concatenate([x[:, 0], x[-1, 1:]])
