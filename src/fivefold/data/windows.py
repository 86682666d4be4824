"""Windows over one long row of tokens: each starts a token after the one before, so the row is kept once.

A novel of half a million characters is 2 MB, its windows of 128 are 220 MB.
Shapes: n windows, t tokens each.
"""

import numpy as np

from .records import Array


def windows(tokens: Array, length: int) -> Array:
    """Return all windows (n, t) of tokens (n + t - 1,), t being `length`: a view, which cannot be written to."""
    return np.lib.stride_tricks.sliding_window_view(tokens, length, subok=True)


def joined(x: Array) -> Array:
    """Return the tokens (n + t - 1,) of windows (n, t) that follow each other."""
    return np.concatenate([x[:, 0], x[-1, 1:]])
