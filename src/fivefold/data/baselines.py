"""Forecasts that need no network: what was is what will be.

Windows over one long row of tokens: each starts a token after the one before, so the row is kept once.

A novel of half a million characters is 2 MB, its windows of 128 are 220 MB.
Shapes: n windows, t tokens each.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .dataset import Array
from .schema import Schema

NaiveMethod = Literal["none", "last", "seasonal"]


def naive_indices(schema: Schema, method: NaiveMethod) -> NDArray[np.int64]:
    """Return where in a flattened window (steps, columns) each value's naive forecast stands, (values,).

    last: the target's last step (persistence). season: the step of the last whole season that is as far into it.
    none: nowhere, (0,).
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
    """Return all windows (n, t) of tokens (n + t - 1,), t being `length`: a view, which cannot be written to."""
    return np.lib.stride_tricks.sliding_window_view(tokens, length, subok=True)


def join_windows(x: Array) -> Array:
    """Return the tokens (n + t - 1,) of windows (n, t) that follow each other."""
    return np.concatenate([x[:, 0], x[-1, 1:]])
