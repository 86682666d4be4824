"""Training of CycleGANs: translated images, diagnostics, the selected epoch, and exact resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset
from fivefold.errors import ParamsError
from fivefold.evaluation.translation import translate_images
from fivefold.models.adversarial import AdversarialModule
from fivefold.models.cyclegan.module import Module
from fivefold.models.feature_extractor import ReferenceClassifier
from fivefold.training.batches import unpaired_order
from fivefold.training.diagnostics.adversarial import AdversarialDiagnosticsCallback

from ..conftest import schema_of
from .helpers import InterruptedEpochError, interrupt_at, is_same, model, split_dataset, train_generator


def bars(n: int = 120) -> Dataset:
    """Return images of dark bars on white, a third of the rows, and of bright bars on black, at random positions."""
    rng = np.random.default_rng(0)
    y = (np.arange(n) % 3 > 0).astype(int)
    x = np.zeros((n, 1, 8, 8), np.uint8)
    for image, row, brightness in zip(x, rng.integers(1, 6, n), rng.integers(150, 256, n), strict=True):
        image[:, :, row : row + 2] = brightness
    x[y == 0] = 255 - x[y == 0]
    return split_dataset(schema_of((1, 8, 8), 2), x, y)


SMALL: dict[str, Any] = {
    "family": "cyclegan",
    "filters": 4,
    "downsampling": 1,
    "blocks": 1,
    "discriminator": {"filters": 8, "layers": 1},
    "output_activation": "sigmoid",
    "validate_every": 2,
}


def cyclegan_model(network: dict[str, Any] | None = None, **training: Any) -> Model:
    optimizer = {"name": "adam", "lr": 0.002, "beta1": 0.5}
    defaults = {"max_epochs": 4, "batch_size": 16, "optimizer": optimizer}
    return model({**SMALL, **(network or {})}, **{**defaults, **training})


def test_bars_are_translated_and_reconstructed(tmp_path: Path) -> None:
    params = cyclegan_model(
        {"lambda_cycle": 2.0, "lambda_identity": 0.0, "discriminator_lr_factor": 0.5}, max_epochs=20, batch_size=8
    )
    data = bars()
    fitted = train_generator(tmp_path, params, data)
    for target in (0, 1):
        x = data.test.x[data.test.y == 1 - target]
        translated, reconstructed = translate_images(fitted.trained_model, x, target)
        # only the background is checked, because no loss determines the position of a bar
        assert ((translated.mean((1, 2, 3)) < 128) == bool(target)).mean() > 0.9
        assert np.abs(reconstructed - x).mean() / 255 < 0.1
    assert fitted.history["val/kid"].min() < 0.5
    assert fitted.diagnosis.findings == ()


NETWORKS: dict[str, dict[str, Any]] = {
    "paper": {"pool_size": 20},
    "penalty, without identity or pool": {"loss": {"name": "wasserstein_gp"}, "lambda_identity": 0.0, "pool_size": 0},
    "clipped": {"loss": {"name": "wasserstein_clip"}, "discriminator_lr_factor": 2.0, "pool_size": 50},
}


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_resumed_training_equals_uninterrupted_training(
    tmp_path: Path, network: dict[str, Any], ema_decay: float
) -> None:
    params = cyclegan_model(network, ema_decay=ema_decay, schedule={"name": "cosine"})
    uninterrupted = train_generator(tmp_path / "uninterrupted", params, bars())
    with pytest.raises(InterruptedEpochError):
        train_generator(tmp_path / "resumed", params, bars(), on_epoch=interrupt_at(2))
    resumed = train_generator(tmp_path / "resumed", params, bars())
    assert resumed.is_resumed
    assert is_same(resumed, uninterrupted)


def test_image_pool_is_part_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the pool a resumed training differs, so that the test above covers it."""
    params = cyclegan_model({"pool_size": 20})
    uninterrupted = train_generator(tmp_path / "uninterrupted", params, bars())
    with pytest.raises(InterruptedEpochError):
        train_generator(tmp_path / "resumed", params, bars(), on_epoch=interrupt_at(2))
    monkeypatch.setattr(Module, "on_load_checkpoint", AdversarialModule.on_load_checkpoint)
    assert not is_same(train_generator(tmp_path / "resumed", params, bars()), uninterrupted)


def test_every_weight_is_trained(tmp_path: Path) -> None:
    fitted = train_generator(tmp_path, cyclegan_model(), bars())
    before = train_generator(tmp_path / "before", cyclegan_model(optimizer={"name": "sgd", "lr": 1e-30}), bars())
    old, new = before.trained_model.model.network.state_dict(), fitted.trained_model.model.network.state_dict()
    assert [name for name in old if (old[name] == new[name]).all()] == []


def test_best_epoch_has_the_lowest_score_of_validated_epochs(tmp_path: Path) -> None:
    fitted = train_generator(tmp_path, cyclegan_model({"validate_every": 2}, max_epochs=5), bars())
    scores = fitted.history["val/translation_score"]
    assert scores.notna().to_list() == [False, True, False, True, True]
    assert fitted.best_epoch == scores.idxmin() + 1
    expected = fitted.history["val/kid"] + fitted.history["val/cycle_l1"]
    assert scores.dropna().to_list() == pytest.approx(expected.dropna().to_list())
    assert {name for name in fitted.history if name.startswith("train/")} == {
        "train/generator",
        "train/discriminator_a",
        "train/discriminator_b",
    }


def test_images_are_compared_in_the_feature_space_of_the_reference_classifier(tmp_path: Path) -> None:
    mlp = model({"family": "mlp", "hidden": [8]}, max_epochs=4, batch_size=16)
    reference = ReferenceClassifier(
        "mlp", "digest", train_generator(tmp_path / "classifier", mlp, bars()).trained_model
    )
    pixels = train_generator(tmp_path / "pixels", cyclegan_model(), bars())
    embedded = train_generator(tmp_path / "embedded", cyclegan_model(), bars(), reference=reference)
    for metric in ("train/generator", "val/cycle_l1"):  # the reference does not affect training
        assert embedded.history[metric].equals(pixels.history[metric])
    assert not embedded.history["val/kid"].equals(pixels.history["val/kid"])


def test_unpaired_order_has_the_larger_class_once_and_the_smaller_evenly_repeated() -> None:
    epochs = iter([0, 0, 1])
    order = unpaired_order(3, 8, 7, lambda: next(epochs))
    first, again, other = order(), order(), order()
    assert first.shape == (8, 2)
    assert sorted(first[:, 1].tolist()) == list(range(8))
    counts = np.bincount(first[:, 0])
    assert sorted(counts.tolist()) == [2, 3, 3]
    assert (first == again).all()
    assert not (first == other).all()


def test_single_row_of_a_class_is_rejected(tmp_path: Path) -> None:
    data = bars()
    (first, *_), others = np.flatnonzero(data.validation.y == 0), np.flatnonzero(data.validation.y == 1)
    one = Dataset(data.schema, data.train, data.validation.take(np.append(others, first)), data.test)
    with pytest.raises(
        ParamsError,
        match=r"^models.m: a CycleGAN needs at least 2 validation rows of each class, but d has 1 of class0; change its"
        r" split$",
    ):
        train_generator(tmp_path, cyclegan_model(), one)


def test_too_much_downsampling_for_the_image_size_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"\Amodels.m.network.downsampling must leave at least 2x2 pixels, so it can be"
    ):
        train_generator(tmp_path, cyclegan_model({"downsampling": 3}), bars())


def test_unchanged_images_are_a_finding() -> None:
    row = {"val/diversity": 0.9, "val/translation_score": 0.92, "val/kid": 0.9}
    callback = AdversarialDiagnosticsCallback(cyclegan_model({"lambda_cycle": 4.0, "discriminator_lr_factor": 0.3}))
    assert callback.build_diagnosis([row, {}, row | {"val/kid": 0.1}]).findings == ()
    (finding,) = callback.build_diagnosis([row | {"val/kid": 0.1}, row, {}]).findings
    assert (finding.rule, finding.message) == (
        "no_translation",
        "the distance of translated images from real ones is still 90% of that between the classes; try a smaller"
        " network.lambda_cycle (now 4), network.lambda_identity (now 0.5) or network.discriminator_lr_factor (now 0.3)",
    )


def test_mode_collapse_of_a_cyclegan_has_its_own_remedies() -> None:
    params = cyclegan_model({"lambda_cycle": 4.0})
    (finding,) = (
        AdversarialDiagnosticsCallback(params)
        .build_diagnosis([{"val/diversity": 0.9}, {"val/diversity": 0.1}])
        .findings
    )
    assert finding.message == (
        "the diversity of generated samples is 10% of that of real ones since epoch 2: mode collapse; try"
        " network.loss wasserstein_gp, a larger network.lambda_cycle (now 4) or a lower training.optimizer.lr (now"
        " 0.002)"
    )
