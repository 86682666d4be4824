"""Forecasts that need no network: what was is what will be."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .schema import Schema

Naive = Literal["none", "last", "season"]


def places(schema: Schema, naive: Naive) -> NDArray[np.int64]:
    """Return where in a flattened window (steps, columns) each value's naive forecast stands, (values,).

    last: the target's last step (persistence). season: the step of the last whole season that is as far into it.
    none: nowhere, (0,).
    """
    if naive == "none":
        return np.arange(0)
    steps, columns = schema.shape
    targets = len(schema.values) // schema.horizon
    step, target = np.divmod(np.arange(len(schema.values)), targets)
    row = np.full(len(step), steps - 1) if naive == "last" else steps - schema.season + step % schema.season
    return np.asarray(row * columns + target)
