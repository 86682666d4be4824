"""Autoencoders are trained like other networks: resumed, seeded, told by the doctor, on normal rows alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.errors import ParamsError
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.fit import FitResult, fit

CHAIN = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(6), "scale": np.ones(6)}))
VARIANTS = {
    "variational": {"name": "variational", "warmup": 3},
    "denoising": {"name": "denoising"},
    "contractive": {"name": "contractive"},
}


class InterruptedEpochError(Exception):
    pass


def dataset(odd: float = 0.0) -> Dataset:
    """Rows of six numbers that two tell; of the second class `odd` is added to all."""
    random = np.random.default_rng(0)
    x = random.normal(size=(160, 2)) @ random.normal(size=(2, 6)) + 0.1 * random.normal(size=(160, 6))
    y = np.arange(160) % 2
    schema = Schema(
        kind="table",
        task="classification",
        target="t",
        features=tuple("abcdef"),
        shape=(6,),
        classes=("fine", "odd"),
    )
    records = Split(x + odd * y[:, None], y, np.arange(160))
    return Dataset(schema, *(records.take(np.arange(*span)) for span in ((0, 100), (100, 130), (130, 160))))


def run(folder: Path, *, data: Dataset | None = None, each: Callable[[int], None] = int, **network: Any) -> FitResult:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "autoencoder", "hidden": [16], "latent": 2, **network},
        "training": {
            "max_epochs": 8,
            "patience": 0,
            "checkpoint_seconds": 0,
            "optimizer": {"name": "adamw", "lr": 0.01},
        },
    }
    model = Model.model_validate_json(json.dumps(tree))
    tell = {"seed": 1, "checkpoints": folder, "on_epoch": lambda epoch, *_: each(epoch)}
    return fit("m", model, data or dataset(), CHAIN, **tell)


def weights(fitted: FitResult) -> dict[str, torch.Tensor]:
    return fitted.trained_model.model.state_dict()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_a_resumed_training_is_an_uninterrupted_one(tmp_path: Path, variant: dict[str, Any]) -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 4:
            raise InterruptedEpochError

    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "a", each=interrupt, variant=variant)
    resumed, whole = run(tmp_path / "a", variant=variant), run(tmp_path / "b", variant=variant)
    assert resumed.is_resumed
    assert not whole.is_resumed
    assert all(torch.equal(weights(whole)[name], value) for name, value in weights(resumed).items())
    assert resumed.history.equals(whole.history)


def test_records_are_learnt_and_their_target_is_not(tmp_path: Path) -> None:
    data = dataset()
    other = Dataset(data.schema, *(Split(r.x, 1 - r.y, r.rows) for r in data.splits().values()))
    schema = data.schema.model_copy(update={"task": "unsupervised", "target": "", "classes": ()})
    none = Dataset(schema, *(Split(r.x, np.empty((len(r), 0)), r.rows) for r in data.splits().values()))
    one, two, three = (run(tmp_path / name, data=each) for name, each in (("a", data), ("b", other), ("c", none)))
    assert one.history["val/loss"].iloc[-1] < 0.5 * one.history["val/loss"].iloc[0]
    assert one.history.equals(two.history)
    assert one.history.equals(three.history)


def test_a_detector_learns_normal_rows_alone(tmp_path: Path) -> None:
    purpose = {"name": "anomaly", "normal": ["fine"]}
    plain, moved = (run(tmp_path / str(odd), data=dataset(odd), purpose=purpose) for odd in (0.0, 9.0))
    assert plain.history.equals(moved.history)  # whatever rows of other classes are
    assert all(torch.equal(weights(plain)[name], value) for name, value in weights(moved).items())


def test_a_normal_class_that_the_dataset_lacks_is_refused(tmp_path: Path) -> None:
    text = r"models\.m\.network\.purpose\.normal must name classes of the dataset, fine, odd, but holds 'good'; mend it"
    with pytest.raises(ParamsError, match=text):
        run(tmp_path, purpose={"name": "anomaly", "normal": ["good"]})


def test_validation_rows_are_spoilt_alike_in_every_epoch(tmp_path: Path) -> None:
    tree = {"name": "denoising", "amount": 5.0}
    once = run(tmp_path / "a", variant=tree)
    again = run(tmp_path / "b", variant=tree)
    assert once.history.equals(again.history)
    assert float(once.history["val/loss"].iloc[-1]) > float(run(tmp_path / "c").history["val/loss"].iloc[-1])


def test_a_variational_autoencoder_that_makes_images_is_filmed(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.integers(0, 256, (60, 1, 4, 4), dtype=np.uint8)
    schema = Schema(kind="images", task="classification", target="t", features=(), shape=(1, 4, 4), classes=("a", "b"))
    records = Split(x, np.arange(60) % 2, np.arange(60))
    data = Dataset(schema, *(records.take(np.arange(*span)) for span in ((0, 40), (40, 50), (50, 60))))
    chain = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(0.0), "scale": np.array(1 / 255)}))
    network = {"family": "autoencoder", "latent": 2, "variant": {"name": "variational"}}
    seen: dict[int, bytes] = {}

    def trained(purpose: str, epochs: int) -> FitResult:
        tree = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": network | {"mode": {"name": purpose}},
        }
        model = Model.model_validate_json(json.dumps(tree | {"training": {"max_epochs": epochs, "patience": 0}}))
        folder = tmp_path / f"{purpose}{epochs}"
        return fit(
            "m", model, data, chain, seed=1, checkpoint_folder=folder, on_epoch=int_of, on_samples=seen.__setitem__
        )

    assert list(trained("generation", 3).sample_grids) == [0, 1, 2, 3]
    assert list(seen) == [0, 1, 2, 3]
    assert len(set(seen.values())) == 4
    assert list(trained("generation", 120).sample_grids)[:4] == [0, 3, 6, 9]  # not above fifty, however long it takes
    assert trained("reconstruction", 3).sample_grids == {}


def int_of(epoch: int, *_: object) -> None:
    """Nothing is to be done after an epoch."""


def test_a_detector_to_which_every_class_is_normal_is_refused(tmp_path: Path) -> None:
    text = r"models\.m\.network\.purpose\.normal must leave a class to be an anomaly, but lists all of fine, odd; take"
    with pytest.raises(ParamsError, match=text):
        run(tmp_path, purpose={"name": "anomaly", "normal": ["odd", "fine"]})
