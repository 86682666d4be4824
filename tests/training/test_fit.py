"""Training of an MLP: resuming is exact, early stopping, best weights, losses, precision and error messages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from fivefold.config.models import Model
from fivefold.config.networks.mlp import Mlp
from fivefold.data.dataset import Dataset, Split
from fivefold.errors import ParamsError, TrainingError
from fivefold.evaluation.predict import predict
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.checkpoints import (
    DIGEST_SIZE,
    LATEST_NAME,
    PREVIOUS_NAME,
    SafetensorsCheckpointIO,
    find_latest_checkpoint,
)
from fivefold.training.fit import FitResult, fit

from .helpers import PIPELINE, SCHEMA, InterruptedEpochError, interrupt_at, is_same, mlp_model, split_dataset


def dataset(task: str = "classification") -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64)
    schema = SCHEMA
    if task == "regression":
        y = 1000 + 50 * x[:, 0]  # far from 0, so that only a standardized target is learned quickly
        schema = SCHEMA.model_copy(update={"task": "regression", "classes": (), "values": ("t",)})
    return split_dataset(schema, x, y, 80, 20, 20)


def train(
    folder: Path,
    *,
    task: str = "classification",
    seed: int = 1,
    on_epoch: Callable[[int], None] = int,
    pipeline: Pipeline = PIPELINE,
    **training: Any,
) -> FitResult:
    return fit(
        "m",
        mlp_model(**training),
        dataset(task),
        pipeline,
        seed=seed,
        checkpoint_folder=folder,
        on_epoch=lambda epoch, *_: on_epoch(epoch),
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("last", [1, 5, 7])
def test_resumed_training_equals_uninterrupted_training(tmp_path: Path, optimizer: str, last: int) -> None:
    options = {"optimizer": {"name": optimizer, "lr": 0.02, "weight_decay": 0.01}}
    uninterrupted = train(tmp_path / "uninterrupted", **options)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(last), **options)
    resumed = train(tmp_path / "resumed", **options)
    assert resumed.is_resumed
    assert not uninterrupted.is_resumed
    assert is_same(resumed, uninterrupted)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_resumed_training_of_a_cnn_equals_uninterrupted_training(tmp_path: Path, optimizer: str) -> None:
    """Its weights are in channels-last format, and so must be the state of the optimizer."""
    tree = mlp_model(optimizer={"name": optimizer, "lr": 0.02}).model_dump(mode="json")
    tree["network"] = {"family": "cnn", "architecture": "plain", "channels": [4, 6], "dense": [8]}
    params = Model.model_validate_json(json.dumps(tree))
    rng = np.random.default_rng(0)
    schema = SCHEMA.model_copy(update={"kind": "images", "features": (), "shape": (3, 8, 8)})
    x, y = rng.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), rng.integers(0, 2, 60)
    data = split_dataset(schema, x, y, 40, 10, 10)
    pipeline = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(128.0), "scale": np.array(1 / 64)}))

    def train_cnn(folder: str, on_epoch: Callable[[int], None] = int) -> FitResult:
        return fit(
            "m",
            params,
            data,
            pipeline,
            seed=1,
            checkpoint_folder=tmp_path / folder,
            on_epoch=lambda epoch, *_: on_epoch(epoch),
        )

    uninterrupted = train_cnn("uninterrupted")
    with pytest.raises(InterruptedEpochError):
        train_cnn("resumed", interrupt_at(3))
    assert is_same(train_cnn("resumed"), uninterrupted)


def test_resumed_training_with_gradient_scaling_equals_uninterrupted_training(tmp_path: Path) -> None:
    # features so large that gradients overflow in float16 at first
    pipeline = PIPELINE.with_steps(Step("affine", {"shift": np.zeros(3), "scale": np.full(3, 1e3)}))
    options = {"optimizer": {"name": "adam", "lr": 1e-4}, "precision": "16", "pipeline": pipeline}
    uninterrupted = train(tmp_path / "uninterrupted", **options)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(5), **options)
    checkpoint = SafetensorsCheckpointIO().load_checkpoint(find_latest_checkpoint(tmp_path / "resumed"))
    assert checkpoint["scaler"]["scale"] < 2**16
    assert is_same(train(tmp_path / "resumed", **options), uninterrupted)


def test_training_killed_after_its_last_epoch_resumes_with_the_same_result(tmp_path: Path) -> None:
    options = {"patience": 2, "max_epochs": 200, "optimizer": {"name": "adam", "lr": 0.1}}
    uninterrupted = train(tmp_path, **options)
    assert len(uninterrupted.history) < 200
    assert is_same(train(tmp_path, **options), uninterrupted)


def test_truncated_checkpoint_is_ignored_in_favor_of_the_previous_one(tmp_path: Path) -> None:
    uninterrupted = train(tmp_path / "uninterrupted")
    with pytest.raises(InterruptedEpochError):
        train(tmp_path, on_epoch=interrupt_at(5))
    last = tmp_path / LATEST_NAME
    last.write_bytes(last.read_bytes()[:-7])
    assert find_latest_checkpoint(tmp_path) == tmp_path / PREVIOUS_NAME
    assert is_same(train(tmp_path), uninterrupted)


def test_training_restarts_if_both_checkpoints_are_corrupted(tmp_path: Path) -> None:
    with pytest.raises(InterruptedEpochError):
        train(tmp_path, on_epoch=interrupt_at(5))
    for name in (LATEST_NAME, PREVIOUS_NAME):
        content = bytearray((tmp_path / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
    assert find_latest_checkpoint(tmp_path) is None
    assert not train(tmp_path).is_resumed


def test_checkpoint_is_a_digest_followed_by_safetensors(tmp_path: Path) -> None:
    with pytest.raises(InterruptedEpochError):
        train(tmp_path, on_epoch=interrupt_at(3))
    bare = tmp_path / "bare"
    bare.write_bytes((tmp_path / LATEST_NAME).read_bytes()[DIGEST_SIZE:])
    with safe_open(bare, framework="numpy") as file:
        assert "optimizer_states" in file.metadata()["tree"]


def test_checkpoint_rejects_values_that_need_pickle(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="may contain only tensors and plain values, not <class 'object'>"):
        SafetensorsCheckpointIO().save_checkpoint({"callback": object()}, tmp_path / LATEST_NAME)


def test_checkpoint_round_trip_preserves_types_and_values(tmp_path: Path) -> None:
    tree = {"a": [1, 2.5, None, True, "x"], 3: (torch.arange(3), {"b": torch.ones(2, 2).T}), "e": {}}
    SafetensorsCheckpointIO().save_checkpoint(tree, tmp_path / LATEST_NAME)
    loaded = SafetensorsCheckpointIO().load_checkpoint(tmp_path / LATEST_NAME)
    assert loaded["a"] == tree["a"]
    assert torch.equal(loaded[3][0], torch.arange(3))
    assert isinstance(loaded[3], tuple)
    assert loaded["e"] == {}


def test_seed_determines_the_weights(tmp_path: Path) -> None:
    first = train(tmp_path / "1", seed=0)
    assert is_same(train(tmp_path / "2", seed=0), first)
    assert not is_same(train(tmp_path / "3", seed=1), first)


def test_training_stops_after_patience_epochs_without_a_lower_loss(tmp_path: Path) -> None:
    fitted = train(tmp_path, max_epochs=200, patience=3, optimizer={"name": "adam", "lr": 0.1})
    assert len(fitted.history) == fitted.best_epoch + 3
    assert fitted.history.set_index("epoch")["val/loss"].idxmin() == fitted.best_epoch


def validation_loss(fitted: FitResult) -> float:
    """Return the cross-entropy of the validation rows, computed from the predicted probabilities."""
    data = dataset().validation
    p = predict(fitted.trained_model.model, data.x)
    return float(-np.log(p[np.arange(len(data)), data.y]).mean())


EARLY = {"max_epochs": 200, "patience": 3, "optimizer": {"name": "adam", "lr": 0.1}}
"""Stops long before its last epoch."""


def test_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    fitted = train(tmp_path, max_epochs=30, optimizer={"name": "adam", "lr": 0.1})
    losses = fitted.history.set_index("epoch")["val/loss"]
    assert losses.index.tolist() == list(range(1, 31))  # as in the progress display
    assert losses.idxmin() == fitted.best_epoch == fitted.metadata()["best_epoch"] < 30
    assert validation_loss(fitted) == pytest.approx(losses.min(), rel=1e-5)
    assert fitted.summary_lines()[0] == f"selected epoch {losses.idxmin()} of 30, val/loss {losses.min():.4g}"


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_checkpoint_last_selects_the_last_epoch_and_patience_monitors_the_loss(
    tmp_path: Path, ema_decay: float
) -> None:
    best, last = (
        train(tmp_path / checkpoint, checkpoint=checkpoint, ema_decay=ema_decay, **EARLY)
        for checkpoint in ("best", "last")
    )
    assert last.history.equals(best.history)  # the selected epoch does not affect training
    losses, n = last.history["val/loss"], len(last.history)
    assert n < 200
    assert last.best_epoch == last.metadata()["best_epoch"] == n == best.best_epoch + 3
    assert validation_loss(last) == pytest.approx(
        losses[n - 1], rel=1e-5
    )  # with ema_decay that of the averaged weights
    assert last.summary_lines()[0] == (
        f"selected epoch {n} of {n}, val/loss {losses[n - 1]:.4g}; the lowest is {losses.min():.4g}, in epoch {n - 3}"
    )


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_training_with_checkpoint_last_resumes_with_the_same_result(tmp_path: Path, ema_decay: float) -> None:
    uninterrupted = train(tmp_path / "uninterrupted", checkpoint="last", ema_decay=ema_decay, **EARLY)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(2), checkpoint="last", ema_decay=ema_decay, **EARLY)
    for _ in range(2):  # after an interruption, then after the last epoch
        resumed = train(tmp_path / "resumed", checkpoint="last", ema_decay=ema_decay, **EARLY)
        assert resumed.is_resumed
        assert resumed.metadata() == uninterrupted.metadata()
        assert is_same(resumed, uninterrupted)


def test_summary_of_checkpoint_last_where_the_last_epoch_is_the_best(tmp_path: Path) -> None:
    fitted = train(tmp_path, checkpoint="last", max_epochs=2, patience=2)
    assert fitted.summary_lines()[0] == f"selected epoch 2 of 2, val/loss {fitted.history['val/loss'].min():.4g}"


def test_regression_predicts_in_units_of_the_target(tmp_path: Path) -> None:
    fitted = train(tmp_path, task="regression", max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    data = dataset("regression").test
    with torch.inference_mode():
        values = fitted.trained_model.model(torch.from_numpy(data.x))[:, 0].numpy()
    assert np.abs(values - data.y).mean() < 15  # the standard deviation of the target is 50


def test_regression_far_from_0_is_precise(tmp_path: Path) -> None:
    data = dataset("regression")
    far = Dataset(data.schema, *(Split(r.x, 1e9 + r.y, r.rows) for r in (data.train, data.validation, data.test)))
    options = mlp_model(max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    fitted = fit("m", options, far, PIPELINE, seed=1, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
    with torch.inference_mode():
        values = fitted.trained_model.model(torch.from_numpy(far.test.x))[:, 0].numpy()
    assert np.abs(values - far.test.y).mean() < 15  # float32 steps by 64 at 1e9


def test_loss_that_is_not_finite_stops_training_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"loss must be finite, but is \w+ in epoch \d+; lower training.optimizer.lr"
    ):
        train(tmp_path, task="regression", optimizer={"name": "sgd", "lr": 1e12}, schedule={"name": "constant"})


@pytest.mark.parametrize("precision", ["bf16", "16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_mixed_precision_lowers_the_loss(tmp_path: Path, precision: str, optimizer: str, clip: float) -> None:
    options = {"optimizer": {"name": optimizer, "lr": 0.02}, "precision": precision, "gradient_clip_norm": clip}
    history = train(tmp_path, max_epochs=20, **options).history
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="the accelerator of this test is available")
def test_missing_accelerator_is_reported_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError,
        match=r"\Atraining.accelerator .* mps and 1 are not: [^\n]*; set accelerator: auto and devices: 1\Z",
    ):
        train(tmp_path, accelerator="mps")


def test_clipping_bounds_the_weight_changes(tmp_path: Path) -> None:
    options = {
        "optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0},
        "schedule": {"name": "constant"},
        "max_epochs": 1,
    }
    unclipped = train(tmp_path / "unclipped", **options)
    clipped = train(tmp_path / "clipped", gradient_clip_norm=1e-6, **options)
    initial = train(tmp_path / "initial", **{**options, "optimizer": {"name": "sgd", "lr": 1e-12}})

    def distance(fitted: FitResult) -> float:
        pairs = zip(fitted.trained_model.model.parameters(), initial.trained_model.model.parameters(), strict=True)
        return sum(float((one - other).detach().square().sum()) for one, other in pairs) ** 0.5

    assert distance(clipped) <= 1e-6 * 3 + 1e-7  # three steps of norm 1e-6 with learning rate 1
    assert distance(unclipped) > 100 * distance(clipped)


def test_ema_weights_are_selected_and_resume_exactly(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    averaged = train(tmp_path / "averaged", ema_decay=0.9)
    assert set(averaged.trained_model.model.state_dict()) == set(plain.trained_model.model.state_dict())
    assert not is_same(averaged, plain)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(4), ema_decay=0.9)
    assert is_same(train(tmp_path / "resumed", ema_decay=0.9), averaged)


def test_plateau_reduces_the_learning_rate_and_resumes_exactly(tmp_path: Path) -> None:
    options = {"schedule": {"name": "plateau", "patience": 1, "factor": 0.5}, "max_epochs": 40}
    options |= {"optimizer": {"name": "adam", "lr": 0.1}}
    uninterrupted = train(tmp_path / "uninterrupted", **options)
    rates, losses = uninterrupted.history["lr"].tolist(), uninterrupted.history["val/loss"].tolist()
    assert sorted(set(rates), reverse=True) == pytest.approx([0.1 * 0.5**i for i in range(len(set(rates)))])
    assert len(set(rates)) > 2
    best, since, expected = np.inf, 0, [0.1]
    for loss in losses[:-1]:
        since = 0 if loss < best else since + 1
        best = min(best, loss)
        expected.append(expected[-1] * (0.5 if since > 1 else 1))
        since = 0 if since > 1 else since
    assert rates == pytest.approx(expected)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(25), **options)
    assert is_same(train(tmp_path / "resumed", **options), uninterrupted)


@pytest.mark.parametrize(
    "loss", [{"name": "focal"}, {"name": "bce"}, {"name": "cross_entropy", "label_smoothing": 0.1}]
)
def test_classification_losses_train_a_network(tmp_path: Path, loss: dict[str, Any]) -> None:
    fitted = train(tmp_path, loss=loss, max_epochs=60, optimizer={"name": "adam", "lr": 0.02})
    data = dataset().test
    p = predict(fitted.trained_model.model, data.x)
    assert p.shape == (20, 2)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == data.y).mean() > 0.75


@pytest.mark.parametrize("loss", [{"name": "mae"}, {"name": "huber"}, {"name": "quantile"}])
def test_regression_losses_train_a_network(tmp_path: Path, loss: dict[str, Any]) -> None:
    fitted = train(tmp_path, task="regression", loss=loss, max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    data = dataset("regression").test
    values = predict(fitted.trained_model.model, data.x)
    assert np.abs(values[:, values.shape[1] // 2] - data.y).mean() < 15
    if loss["name"] == "quantile":
        assert fitted.trained_model.schema.quantiles == (0.1, 0.5, 0.9)
        assert (np.diff(values, axis=1) >= 0).all()


def test_bce_of_three_classes_is_rejected(tmp_path: Path) -> None:
    data = dataset()
    three = Dataset(data.schema.model_copy(update={"classes": ("a", "b", "c")}), *data.splits().values())
    with pytest.raises(
        ParamsError, match=r"models\.m\.training\.loss: bce needs two classes, but d has 3; choose cross_entropy\Z"
    ):
        fit(
            "m",
            mlp_model(loss={"name": "bce"}),
            three,
            PIPELINE,
            seed=1,
            checkpoint_folder=tmp_path,
            on_epoch=lambda *_: None,
        )


def test_mixup_changes_training_and_resumes_exactly(tmp_path: Path) -> None:
    options = {"augment": {"mixup": 0.4}, "max_epochs": 12}
    uninterrupted = train(tmp_path / "uninterrupted", **options)
    assert not is_same(uninterrupted, train(tmp_path / "plain", max_epochs=12))
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", on_epoch=interrupt_at(6), **options)
    assert is_same(train(tmp_path / "resumed", **options), uninterrupted)


def test_compiled_network_has_the_same_weights(tmp_path: Path) -> None:
    def train_compiled(**training: Any) -> FitResult:
        params = mlp_model(max_epochs=3, gradient_clip_norm=1.0, **training)
        # without dropout, whose random numbers differ in a compiled network
        params = params.model_copy(update={"network": Mlp(family="mlp", hidden=(16,))})
        folder = tmp_path / str(training)
        return fit("m", params, dataset(), PIPELINE, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)

    pairs = zip(
        train_compiled().trained_model.model.parameters(),
        train_compiled(compile=True).trained_model.model.parameters(),
        strict=True,
    )
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in pairs)
