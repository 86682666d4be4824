"""Two generators that translate between two classes: what they learn, what is kept, that resuming is exact."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.data.records import Dataset
from fivefold.errors import ParamsError
from fivefold.families.expert import Expert
from fivefold.params.models import Model
from fivefold.scoring.translations import translated
from fivefold.training.batches import unpaired

from ..conftest import schema_of
from .test_contest import divided, model, run
from .test_fit import InterruptedEpochError, interrupt_at, same


def bars(n: int = 120) -> Dataset:
    """Dark bars on white, a third of the rows, and bright ones on black; bars lie anywhere and have any brightness."""
    random = np.random.default_rng(0)
    y = (np.arange(n) % 3 > 0).astype(int)
    x = np.zeros((n, 1, 8, 8), np.uint8)
    for image, place, bright in zip(x, random.integers(1, 6, n), random.integers(150, 256, n), strict=True):
        image[:, :, place : place + 2] = bright
    x[y == 0] = 255 - x[y == 0]
    return divided(schema_of((1, 8, 8), 2), x, y)


SMALL: dict[str, Any] = {
    "family": "cyclegan",
    "filters": 4,
    "downsampling": 1,
    "blocks": 1,
    "critic": {"filters": 8, "layers": 1},
    "output": "sigmoid",
}


def translator(network: dict[str, Any] | None = None, **training: Any) -> Model:
    tree = model({}).network.model_dump(mode="json")
    assert tree["family"] == "gan"
    chosen = {**dict.fromkeys(set(), None), **SMALL, "evaluate_every": 2, **(network or {})}
    base = model({}, **training).model_dump(mode="json")
    return Model.model_validate_json(__import__("json").dumps({**base, "network": chosen}))
