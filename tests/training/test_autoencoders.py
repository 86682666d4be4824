"""Training of autoencoders: exact resuming, normal classes, noise of validation rows and sample grids."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import Schema
from fivefold.errors import ParamsError
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.fit import FitResult, fit

from .helpers import PIXELS, InterruptedEpochError, interrupt_at, model, split_dataset

PIPELINE = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(6), "scale": np.ones(6)}))
VARIANTS = {
    "variational": {"name": "variational", "warmup_epochs": 3},
    "denoising": {"name": "denoising"},
    "contractive": {"name": "contractive"},
}


def dataset(odd: float = 0.0) -> Dataset:
    """Return rows of six values that depend on two latent ones; `odd` is added to rows of the second class."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(160, 6))
    y = np.arange(160) % 2
    schema = Schema(
        kind="table",
        task="classification",
        target="t",
        features=tuple("abcdef"),
        shape=(6,),
        classes=("fine", "odd"),
    )
    return split_dataset(schema, x + odd * y[:, None], y, 100, 30, 30)


def train(
    folder: Path, *, data: Dataset | None = None, on_epoch: Callable[[int], None] = int, **network: Any
) -> FitResult:
    block = {"family": "autoencoder", "hidden": [16], "latent_dim": 2, **network}
    return fit(
        "m",
        model(block, max_epochs=8, optimizer={"name": "adamw", "lr": 0.01}),
        data or dataset(),
        PIPELINE,
        seed=1,
        checkpoint_folder=folder,
        on_epoch=lambda epoch, *_: on_epoch(epoch),
    )


def weights(fitted: FitResult) -> dict[str, torch.Tensor]:
    return fitted.trained_model.model.state_dict()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_resumed_training_equals_uninterrupted_training(tmp_path: Path, variant: dict[str, Any]) -> None:
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "a", on_epoch=interrupt_at(4), variant=variant)
    resumed, whole = train(tmp_path / "a", variant=variant), train(tmp_path / "b", variant=variant)
    assert resumed.is_resumed
    assert not whole.is_resumed
    assert all(torch.equal(weights(whole)[name], value) for name, value in weights(resumed).items())
    assert resumed.history.equals(whole.history)


def test_training_does_not_depend_on_the_target(tmp_path: Path) -> None:
    data = dataset()
    other = Dataset(data.schema, *(Split(r.x, 1 - r.y, r.rows) for r in data.splits().values()))
    schema = data.schema.model_copy(update={"task": "unsupervised", "target": "", "classes": ()})
    none = Dataset(schema, *(Split(r.x, np.empty((len(r), 0)), r.rows) for r in data.splits().values()))
    one, two, three = (
        train(tmp_path / name, data=dataset) for name, dataset in (("a", data), ("b", other), ("c", none))
    )
    assert one.history["val/loss"].iloc[-1] < 0.5 * one.history["val/loss"].iloc[0]
    assert one.history.equals(two.history)
    assert one.history.equals(three.history)


def test_anomaly_detector_is_trained_with_normal_rows(tmp_path: Path) -> None:
    mode = {"name": "anomaly", "normal_classes": ["fine"]}
    plain, moved = (train(tmp_path / str(odd), data=dataset(odd), mode=mode) for odd in (0.0, 9.0))
    assert plain.history.equals(moved.history)  # independent of rows of other classes
    assert all(torch.equal(weights(plain)[name], value) for name, value in weights(moved).items())


def test_unknown_normal_class_is_rejected(tmp_path: Path) -> None:
    text = r"^models\.m\.network\.mode\.normal_classes must list classes of the dataset, fine, odd, but contains"
    text += r" 'good'; remove it$"
    with pytest.raises(ParamsError, match=text):
        train(tmp_path, mode={"name": "anomaly", "normal_classes": ["good"]})


def test_noise_of_validation_rows_is_the_same_in_every_epoch(tmp_path: Path) -> None:
    variant = {"name": "denoising", "amount": 5.0}
    once = train(tmp_path / "a", variant=variant)
    again = train(tmp_path / "b", variant=variant)
    assert once.history.equals(again.history)
    assert float(once.history["val/loss"].iloc[-1]) > float(train(tmp_path / "c").history["val/loss"].iloc[-1])


def test_sample_grids_of_a_variational_autoencoder(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 1, 4, 4), dtype=np.uint8)
    schema = Schema(kind="images", task="classification", target="t", features=(), shape=(1, 4, 4), classes=("a", "b"))
    data = split_dataset(schema, x, np.arange(60) % 2, 40, 10, 10)
    network = {"family": "autoencoder", "latent_dim": 2, "variant": {"name": "variational"}}
    reported: dict[int, bytes] = {}

    def train_images(mode: str, epochs: int) -> FitResult:
        return fit(
            "m",
            model(network | {"mode": {"name": mode}}, max_epochs=epochs),
            data,
            PIXELS,
            seed=1,
            checkpoint_folder=tmp_path / f"{mode}{epochs}",
            on_epoch=lambda *_: None,
            on_samples=reported.__setitem__,
        )

    assert list(train_images("generation", 3).sample_grids) == [0, 1, 2, 3]
    assert list(reported) == [0, 1, 2, 3]
    assert len(set(reported.values())) == 4
    assert list(train_images("generation", 120).sample_grids)[:4] == [0, 3, 6, 9]  # at most 50 grids
    assert train_images("reconstruction", 3).sample_grids == {}


def test_anomaly_detector_without_anomalous_class_is_rejected(tmp_path: Path) -> None:
    text = r"^models\.m\.network\.mode\.normal_classes must leave out at least one class as anomalous, but lists"
    text += r" all of fine, odd; remove one, or remove the key$"
    with pytest.raises(ParamsError, match=text):
        train(tmp_path, mode={"name": "anomaly", "normal_classes": ["odd", "fine"]})
