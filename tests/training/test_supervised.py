"""A model that does not fit its data is rejected before training, with the dotted key."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.data.dataset import Dataset, Split
from fivefold.errors import ParamsError
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.fit import fit

from ..conftest import schema_of
from .helpers import model


def train_on_images(folder: Path, shape: tuple[int, ...], network: dict[str, Any], **training: Any) -> None:
    x = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    split = Split(x, np.arange(6) % 3, np.arange(6))
    fit(
        "m",
        model({"family": "cnn", **network}, max_epochs=1, **training),
        Dataset(schema_of(shape, 3), split, split, split),
        Pipeline("float32", ()),
        seed=1,
        checkpoint_folder=folder,
        on_epoch=print,
    )


@pytest.mark.parametrize(
    ("network", "line"),
    [
        (
            {"architecture": "plain", "channels": [4, 4, 4, 4]},
            "network.channels must have at most 3 stages for images of 8x9 pixels, because each stage ends with a"
            " pooling that halves them, but has 4; shorten it",
        ),
        (
            {"family": "mlp", "embedding_dim": 4},
            "network.embedding_dim needs text, or a table with categorical columns that",
        ),
        ({"family": "mlp", "hidden": [10**7, 10**7]}, "network must fit into memory ("),
    ],
    ids=["too small", "no tokens", "too wide"],
)
def test_error_of_a_network_has_the_key_of_its_model(tmp_path: Path, network: dict[str, Any], line: str) -> None:
    with pytest.raises(ParamsError, match=rf"\Amodels\.m\.{re.escape(line)}"):
        train_on_images(tmp_path, (1, 8, 9), network)


def test_crop_padding_is_less_than_the_image(tmp_path: Path) -> None:
    line = (
        "models.m.training.augment.crop_padding must be less than the shorter side of an image, 8 pixels, but is 8;"
        " lower it"
    )
    with pytest.raises(ParamsError, match=rf"\A{re.escape(line)}\Z"):
        train_on_images(tmp_path, (1, 9, 8), {"architecture": "tutorial"}, augment={"crop_padding": 8})
    train_on_images(tmp_path, (1, 9, 8), {"architecture": "tutorial"}, augment={"crop_padding": 7})
