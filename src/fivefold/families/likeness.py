"""How like real records made ones are, by what is seen in both.

Source: Szekely & Rizzo 2013 (energy distance); Binkowski et al. 2018 (kernel distance).
Shapes: n, m rows, d numbers that are seen in a record.
"""

from collections.abc import Callable

import torch
from torch import Tensor

ROWS = 1000
"""Rows whose pairs with as many others are in memory at a time."""

Pairs = Callable[[Tensor, Tensor], Tensor]
"""Rows (n, d) and (m, d) -> a number for each pair, (n, m)."""


def energy(real: Tensor, made: Tensor) -> float:
    """Return the energy distance of rows (n, d) and (m, d), in the mean distance of two real ones; without bias.

    It is 0 for rows of one distribution and above for any other; about 1 where all made rows are one real one.
    """
    own = spread(real)
    return (2 * apart(real, made) - own - spread(made)) / own if own else 0.0


def kid(real: Tensor, made: Tensor) -> float:
    """Return the squared maximum mean discrepancy of rows (n, d) and (m, d), without bias; about 0 if they are alike.

    Its kernel is (x y / d + 1)^3. All rows are taken at once, in place of means over subsets.
    """
    n, m = len(real), len(made)
    own = (_total(real, real, _kernels) - _kernels_of_itself(real)) / (n * (n - 1))
    theirs = (_total(made, made, _kernels) - _kernels_of_itself(made)) / (m * (m - 1))
    return own + theirs - 2 * _total(real, made, _kernels) / (n * m)


def spread(rows: Tensor) -> float:
    """Return the mean distance of two rows out of (n, d)."""
    n = len(rows)
    return _total(rows, rows, torch.cdist) / (n * (n - 1))


def apart(x: Tensor, y: Tensor) -> float:
    """Return the mean distance of a row out of (n, d) from one out of (m, d)."""
    return _total(x, y, torch.cdist) / (len(x) * len(y))


def _total(x: Tensor, y: Tensor, pairs: Pairs) -> float:
    """Return the sum over all pairs of rows, in blocks; of x and itself what is above the diagonal twice."""
    total = 0.0
    for i in range(0, len(x), ROWS):
        part = x[i : i + ROWS].double()
        for j in range(i if x is y else 0, len(y), ROWS):
            times = 2 if x is y and j > i else 1
            total += times * float(pairs(part, y[j : j + ROWS].double()).sum())
    return total


def _kernels(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


def _kernels_of_itself(x: Tensor) -> float:
    return sum(float(((part * part).mean(1) + 1).pow(3).sum()) for part in (p.double() for p in torch.split(x, ROWS)))
