"""What of a model does not fit its data is said before training, with the key below its name."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.config.models import Model
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.schema import Schema
from fivefold.errors import ParamsError
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.fit import fit

from ..conftest import schema_of


def trained(folder: Path, x: Array, schema: Schema, network: dict[str, Any], **training: Any) -> None:
    records = Split(x, np.arange(len(x)) % len(schema.classes), np.arange(len(x)))
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": network,
        "training": {"max_epochs": 1, **training},
    }
    model, chain = Model.model_validate_json(json.dumps(tree)), Pipeline("float32", ())
    fit("m", model, Dataset(schema, records, records, records), chain, seed=1, checkpoint_folder=folder, on_epoch=print)


def images(folder: Path, shape: tuple[int, ...], network: dict[str, Any], **training: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    trained(folder, x, schema_of(shape, 3), {"family": "cnn", **network}, **training)


@pytest.mark.parametrize(
    ("network", "line"),
    [
        (
            {"architecture": "stack", "channels": [4, 4, 4, 4]},
            "network.channels must have at most 3 stages for images of 8x9 pixels, because each stage ends with a"
            " pooling that halves them, but has 4; shorten it",
        ),
        (
            {"family": "mlp", "embedding": 4},
            "network.embedding_dim needs text, or a table with categorical columns that",
        ),
        ({"family": "mlp", "hidden": [10**7, 10**7]}, "network must fit into memory ("),
    ],
    ids=["too small", "no tokens", "too wide"],
)
def test_what_a_network_refuses_is_told_of_its_model(tmp_path: Path, network: dict[str, Any], line: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Amodels\.m\.{re.escape(line)}"):
        images(tmp_path, (1, 8, 9), network)


def test_a_crop_leaves_something_of_an_image(tmp_path: Path) -> None:
    line = "models.m.training.augment.crop_padding must be below the shorter side of an image, 8 pixels, but is 8; lower it"
    with pytest.raises(ParamsError, match=rf"\A{re.escape(line)}\Z"):
        images(tmp_path, (1, 9, 8), {"architecture": "tutorial"}, augment={"crop": 8})
    images(tmp_path, (1, 9, 8), {"architecture": "tutorial"}, augment={"crop": 7})
