"""Arrays per split in an .npz, named as in Keras and MedMNIST, define the split."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.config.datasets import Images
from fivefold.data.prepare import prepare
from fivefold.data.readers.npz import read_npz
from fivefold.errors import DataError

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 3
KERAS = {"x_train": X[:40], "y_train": Y[:40], "x_test": X[40:], "y_test": Y[40:]}
MEDMNIST = {
    f"{part}_{what}": array[rows]
    for part, rows in {"train": slice(30), "val": slice(30, 40), "test": slice(40, 60)}.items()
    for what, array in {"images": X, "labels": Y[:, None].astype(np.uint8)}.items()
}


@pytest.mark.parametrize(("arrays", "sizes"), [(KERAS, (34, 6, 20)), (MEDMNIST, (30, 10, 20))], ids=["keras", "med"])
def test_arrays_per_split_define_the_split(tmp_path: Path, arrays: dict[str, Any], sizes: tuple[int, ...]) -> None:
    path = tmp_path / "digits.npz"
    np.savez_compressed(path, **arrays)
    block = detect_dataset(path).block
    assert (block["kind"], block["split"]) == ("images", {"by": "predefined", "validation": 0.15})
    dataset, _ = prepare(Images.model_validate({**block, "source": str(path)}, strict=False), 0)
    assert tuple(len(samples) for samples in dataset.splits().values()) == sizes
    np.testing.assert_array_equal(dataset.test.x[:, 0], X[40:])
    np.testing.assert_array_equal(dataset.test.y, Y[40:])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_train": X},
            r"must contain arrays x and y, or x_train, y_train, x_test and y_test, but contains x_train; save",
        ),
        (
            KERAS | {"y_train": Y},
            r"one label per row, .* arrays are x_train \(40, 4, 4\), y_train \(60,\), x_test \(20,",
        ),
        (
            KERAS | {"x_test": X[40:, :2]},
            r"rows of the same shape, but arrays are .*, x_test \(20, 2, 4\), y_test \(20,\)",
        ),
    ],
)
def test_arrays_that_do_not_match_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_npz(tmp_path / "a.npz", labeled=True)
