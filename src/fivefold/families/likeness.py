"""How like real records made ones are, by what is seen in both.

Source: Binkowski et al. 2018 (kernel distance).
Shapes: n, m rows, d numbers that are seen in a record.
"""

import torch
from torch import Tensor

ROWS = 1000
"""Rows whose pairs with all others are looked at at a time."""


def kid(real: Tensor, made: Tensor) -> float:
    """Return the squared maximum mean discrepancy of rows (n, d) and (m, d), without bias; about 0 if they are alike.

    Its kernel is (x y / d + 1)^3. All rows are taken at once, in place of means over subsets.
    """
    real, made = real.double(), made.double()
    n, m = len(real), len(made)
    own = (_kernels(real, real) - float(((real * real).mean(1) + 1).pow(3).sum())) / (n * (n - 1))
    theirs = (_kernels(made, made) - float(((made * made).mean(1) + 1).pow(3).sum())) / (m * (m - 1))
    return own + theirs - 2 * _kernels(real, made) / (n * m)


def spread(rows: Tensor) -> float:
    """Return the mean distance of two rows out of (n, d)."""
    n = len(rows)
    return sum(float(torch.cdist(part, rows).sum()) for part in torch.split(rows.float(), ROWS)) / (n * (n - 1))


def _kernels(x: Tensor, y: Tensor) -> float:
    """Return the sum of the kernel over all pairs of rows."""
    return sum(float((part @ y.T / x.shape[1] + 1).pow(3).sum()) for part in torch.split(x, ROWS))
