"""Training: resumed is the same as uninterrupted, bit for bit; it stops when it should, and says why when it must."""

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
from fivefold.data.schema import Schema
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

SCHEMA = Schema(
    kind="table", task="classification", target="t", features=("a", "b", "c"), shape=(3,), classes=("no", "yes")
)


def dataset(task: str = "classification") -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64)
    schema = SCHEMA
    if task == "regression":
        y = 1000 + 50 * x[:, 0]  # far from 0, so that only a scaled target is learnt quickly
        schema = SCHEMA.model_copy(update={"task": "regression", "classes": (), "values": ("t",)})
    records = Split(x, y, np.arange(120))
    parts = (records.take(np.arange(*span)) for span in ((0, 80), (80, 100), (100, 120)))
    return Dataset(schema, *parts)


def model(**training: Any) -> Model:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "mlp", "hidden": [16], "dropout": 0.3},
        "training": {
            "max_epochs": 8,
            "patience": 0,
            "schedule": {"name": "one_cycle"},
            "checkpoint_seconds": 0,
            **training,
        },
    }
    return Model.model_validate_json(json.dumps(tree))


CHAIN = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(3), "scale": np.ones(3)}))


def run(
    folder: Path, *, task: str = "classification", seed: int = 1, each: Callable[[int], None] = int, **training: Any
) -> FitResult:
    return fit(
        "m",
        model(**training),
        dataset(task),
        CHAIN,
        seed=seed,
        checkpoint_folder=folder,
        on_epoch=lambda epoch, *_: each(epoch),
    )


class InterruptedEpochError(Exception):
    pass


def interrupt_at(last: int) -> Callable[[int], None]:
    def each(epoch: int) -> None:
        if epoch == last:
            raise InterruptedEpochError

    return each


def same(one: FitResult, other: FitResult) -> bool:
    weights, others = one.trained_model.model.state_dict(), other.trained_model.model.state_dict()
    return all(torch.equal(weights[key], others[key]) for key in weights) and one.history.equals(other.history)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("last", [1, 5, 7])
def test_a_resumed_training_is_an_uninterrupted_one(tmp_path: Path, optimizer: str, last: int) -> None:
    chosen = {"optimizer": {"name": optimizer, "lr": 0.02, "weight_decay": 0.01}}
    whole = run(tmp_path / "whole", **chosen)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", each=interrupt_at(last), **chosen)
    resumed = run(tmp_path / "parts", **chosen)
    assert resumed.is_resumed
    assert not whole.is_resumed
    assert same(resumed, whole)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_resumed_training_of_convolutions_is_an_uninterrupted_one(tmp_path: Path, optimizer: str) -> None:
    """Their weights lie in memory with channels last, and so must what the optimiser keeps of them."""
    tree = model(optimizer={"name": optimizer, "lr": 0.02}).model_dump(mode="json")
    tree["network"] = {"family": "cnn", "architecture": "stack", "channels": [4, 6], "dense": [8]}
    chosen = Model.model_validate_json(json.dumps(tree))
    random = np.random.default_rng(0)
    schema = SCHEMA.model_copy(update={"kind": "images", "features": (), "shape": (3, 8, 8)})
    x, y = random.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8), random.integers(0, 2, 60)
    records = Split(x, y, np.arange(60))
    data = Dataset(schema, *(records.take(np.arange(*span)) for span in ((0, 40), (40, 50), (50, 60))))
    chain = Pipeline("float32", ()).with_steps(Step("affine", {"shift": np.array(128.0), "scale": np.array(1 / 64)}))

    def trained(folder: str, each: Callable[[int], None] = int) -> FitResult:
        told = {"checkpoints": tmp_path / folder, "on_epoch": lambda epoch, *_: each(epoch)}
        return fit("m", chosen, data, chain, seed=1, **told)

    whole = trained("whole")
    with pytest.raises(InterruptedEpochError):
        trained("parts", interrupt_at(3))
    assert same(trained("parts"), whole)


def test_a_resumed_training_in_16_bits_is_an_uninterrupted_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    large = CHAIN.with_steps(
        Step("affine", {"shift": np.zeros(3), "scale": np.full(3, 1e3)})
    )  # gradients overflow at first
    monkeypatch.setitem(globals(), "CHAIN", large)
    chosen = {"optimizer": {"name": "adam", "lr": 1e-4}, "precision": "16"}
    whole = run(tmp_path / "whole", **chosen)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", each=interrupt_at(5), **chosen)
    checkpoint = SafetensorsCheckpointIO().load_checkpoint(find_latest_checkpoint(tmp_path / "parts"))
    assert checkpoint["scaler"]["scale"] < 2**16
    assert same(run(tmp_path / "parts", **chosen), whole)


def test_a_training_killed_behind_its_last_epoch_resumes_to_the_same(tmp_path: Path) -> None:
    chosen = {"patience": 2, "max_epochs": 200, "optimizer": {"name": "adam", "lr": 0.1}}
    whole = run(tmp_path, **chosen)
    assert len(whole.history) < 200
    assert same(run(tmp_path, **chosen), whole)


def test_a_torn_checkpoint_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    with pytest.raises(InterruptedEpochError):
        run(tmp_path, each=interrupt_at(5))
    last = tmp_path / LATEST_NAME
    last.write_bytes(last.read_bytes()[:-7])
    assert find_latest_checkpoint(tmp_path) == tmp_path / PREVIOUS_NAME
    assert same(run(tmp_path), whole)


def test_with_both_checkpoints_altered_training_starts_again(tmp_path: Path) -> None:
    with pytest.raises(InterruptedEpochError):
        run(tmp_path, each=interrupt_at(5))
    for name in (LATEST_NAME, PREVIOUS_NAME):
        content = bytearray((tmp_path / name).read_bytes())
        content[-1] ^= 1
        (tmp_path / name).write_bytes(content)
    assert find_latest_checkpoint(tmp_path) is None
    assert not run(tmp_path).is_resumed


def test_a_checkpoint_is_plain_safetensors_behind_its_digest(tmp_path: Path) -> None:
    with pytest.raises(InterruptedEpochError):
        run(tmp_path, each=interrupt_at(3))
    bare = tmp_path / "bare"
    bare.write_bytes((tmp_path / LATEST_NAME).read_bytes()[DIGEST_SIZE:])
    with safe_open(bare, framework="numpy") as file:
        assert "optimizer_states" in file.metadata()["tree"]


def test_a_checkpoint_refuses_what_would_need_pickle(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="tensors and plain values, not <class 'object'>"):
        SafetensorsCheckpointIO().save_checkpoint({"callback": object()}, tmp_path / LATEST_NAME)


def test_a_checkpoint_gives_back_what_went_in(tmp_path: Path) -> None:
    tree = {"a": [1, 2.5, None, True, "x"], 3: (torch.arange(3), {"b": torch.ones(2, 2).T}), "e": {}}
    SafetensorsCheckpointIO().save_checkpoint(tree, tmp_path / LATEST_NAME)
    found = SafetensorsCheckpointIO().load_checkpoint(tmp_path / LATEST_NAME)
    assert found["a"] == tree["a"]
    assert torch.equal(found[3][0], torch.arange(3))
    assert isinstance(found[3], tuple)
    assert found["e"] == {}


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(tmp_path: Path) -> None:
    first = run(tmp_path / "1", seed=0)
    assert same(run(tmp_path / "2", seed=0), first)
    assert not same(run(tmp_path / "3", seed=1), first)


def test_training_stops_after_patience_epochs_without_a_better_loss(tmp_path: Path) -> None:
    fitted = run(tmp_path, max_epochs=200, patience=3, optimizer={"name": "adam", "lr": 0.1})
    assert len(fitted.history) == fitted.best_epoch + 3
    assert fitted.history.set_index("epoch")["val/loss"].idxmin() == fitted.best_epoch


def loss_of(fitted: FitResult) -> float:
    """Return the cross-entropy of the validation rows, worked out from what the model tells."""
    data = dataset().validation
    p = predict(fitted.trained_model.model, data.x)
    return float(-np.log(p[np.arange(len(data)), data.y]).mean())


EARLY = {"max_epochs": 200, "patience": 3, "optimizer": {"name": "adam", "lr": 0.1}}
"""Stops long before its last epoch."""


def test_the_kept_weights_are_those_of_the_best_epoch(tmp_path: Path) -> None:
    fitted = run(tmp_path, max_epochs=30, optimizer={"name": "adam", "lr": 0.1})
    losses = fitted.history.set_index("epoch")["val/loss"]
    assert losses.index.tolist() == list(range(1, 31))  # as the screen counts them
    assert losses.idxmin() == fitted.best_epoch == fitted.metadata()["kept_epoch"] < 30
    assert loss_of(fitted) == pytest.approx(losses.min(), rel=1e-5)
    assert fitted.summary_lines()[0] == f"epoch {losses.idxmin()} of 30 is kept, val/loss {losses.min():.4g}"


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_the_last_epoch_is_kept_if_asked_for_and_patience_still_looks_at_the_loss(tmp_path: Path, ema: float) -> None:
    best, last = (run(tmp_path / keep, keep=keep, ema=ema, **EARLY) for keep in ("best", "last"))
    assert last.history.equals(best.history)  # what is kept changes nothing of the training
    losses, n = last.history["val/loss"], len(last.history)
    assert n < 200
    assert last.best_epoch == last.metadata()["kept_epoch"] == n == best.best_epoch + 3
    assert loss_of(last) == pytest.approx(losses[n - 1], rel=1e-5)  # with ema, of the averaged weights
    assert last.summary_lines()[0] == (
        f"epoch {n} of {n} is kept, val/loss {losses[n - 1]:.4g}; the lowest is {losses.min():.4g}, in epoch {n - 3}"
    )


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_that_keeps_the_last_epoch_resumes_to_the_same(tmp_path: Path, ema: float) -> None:
    whole = run(tmp_path / "whole", keep="last", ema=ema, **EARLY)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", each=interrupt_at(2), keep="last", ema=ema, **EARLY)
    for _ in range(2):  # in the midst, then behind its last epoch
        resumed = run(tmp_path / "parts", keep="last", ema=ema, **EARLY)
        assert resumed.is_resumed
        assert resumed.metadata() == whole.metadata()
        assert same(resumed, whole)


def test_the_last_epoch_is_kept_where_it_is_the_best_too(tmp_path: Path) -> None:
    fitted = run(tmp_path, keep="last", max_epochs=2, patience=2)
    assert fitted.summary_lines()[0] == f"epoch 2 of 2 is kept, val/loss {fitted.history['val/loss'].min():.4g}"


def test_a_regression_is_learnt_in_the_target_s_own_unit(tmp_path: Path) -> None:
    fitted = run(tmp_path, task="regression", max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    data = dataset("regression").test
    with torch.inference_mode():
        values = fitted.trained_model.model(torch.from_numpy(data.x))[:, 0].numpy()
    assert np.abs(values - data.y).mean() < 15  # the target's deviation is 50


def test_a_regression_far_from_0_keeps_its_digits(tmp_path: Path) -> None:
    data = dataset("regression")
    far = Dataset(data.schema, *(Split(r.x, 1e9 + r.y, r.rows) for r in (data.train, data.validation, data.test)))
    chosen = model(max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    fitted = fit("m", chosen, far, CHAIN, seed=1, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
    with torch.inference_mode():
        values = fitted.trained_model.model(torch.from_numpy(far.test.x))[:, 0].numpy()
    assert np.abs(values - far.test.y).mean() < 15  # float32 steps by 64 at 1e9


def test_a_loss_that_is_not_finite_stops_training_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"loss must be finite, but is \w+ in epoch \d+; lower training.optimizer.lr"
    ):
        run(tmp_path, task="regression", optimizer={"name": "sgd", "lr": 1e12}, schedule={"name": "constant"})


@pytest.mark.parametrize("precision", ["bf16", "16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_mixed_precision_trains(tmp_path: Path, precision: str, optimizer: str, clip: float) -> None:
    chosen = {"optimizer": {"name": optimizer, "lr": 0.02}, "precision": precision, "gradient_clip_norm": clip}
    history = run(tmp_path, max_epochs=20, **chosen).history
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has the accelerator that others lack")
def test_an_accelerator_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"\Atraining.accelerator .* mps and 1 do not: [^\n]*; choose accelerator"):
        run(tmp_path, accelerator="mps")


def test_clipping_bounds_what_a_step_can_do(tmp_path: Path) -> None:
    chosen = {
        "optimizer": {"name": "sgd", "lr": 1.0, "momentum": 0.0},
        "schedule": {"name": "constant"},
        "max_epochs": 1,
    }
    free = run(tmp_path / "free", **chosen)
    clipped = run(tmp_path / "clipped", gradient_clip=1e-6, **chosen)
    start = run(tmp_path / "start", **{**chosen, "optimizer": {"name": "sgd", "lr": 1e-12}})

    def distance(fitted: FitResult) -> float:
        pairs = zip(fitted.trained_model.model.parameters(), start.trained_model.model.parameters(), strict=True)
        return sum(float((one - other).detach().square().sum()) for one, other in pairs) ** 0.5

    assert distance(clipped) <= 1e-6 * 3 + 1e-7  # three steps of norm 1e-6 at rate 1
    assert distance(free) > 100 * distance(clipped)


def test_weights_are_averaged_and_the_average_is_what_is_kept(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain")
    kept = run(tmp_path / "kept", ema=0.9)
    assert set(kept.trained_model.model.state_dict()) == set(plain.trained_model.model.state_dict())
    assert not same(kept, plain)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", each=interrupt_at(4), ema=0.9)
    assert same(run(tmp_path / "parts", ema=0.9), kept)


def test_a_plateau_lowers_the_rate_and_resumes(tmp_path: Path) -> None:
    chosen = {"schedule": {"name": "plateau", "patience": 1, "factor": 0.5}, "max_epochs": 40}
    chosen |= {"optimizer": {"name": "adam", "lr": 0.1}}
    whole = run(tmp_path / "whole", **chosen)
    rates, losses = whole.history["lr"].tolist(), whole.history["val/loss"].tolist()
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
        run(tmp_path / "parts", each=interrupt_at(25), **chosen)
    assert same(run(tmp_path / "parts", **chosen), whole)


@pytest.mark.parametrize(
    "loss", [{"name": "focal"}, {"name": "bce"}, {"name": "cross_entropy", "label_smoothing": 0.1}]
)
def test_a_loss_of_classes_teaches(tmp_path: Path, loss: dict[str, Any]) -> None:
    fitted = run(tmp_path, loss=loss, max_epochs=60, optimizer={"name": "adam", "lr": 0.02})
    data = dataset().test
    p = predict(fitted.trained_model.model, data.x)
    assert p.shape == (20, 2)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == data.y).mean() > 0.75


@pytest.mark.parametrize("loss", [{"name": "mae"}, {"name": "huber"}, {"name": "quantile"}])
def test_a_loss_of_values_teaches(tmp_path: Path, loss: dict[str, Any]) -> None:
    fitted = run(tmp_path, task="regression", loss=loss, max_epochs=100, optimizer={"name": "adam", "lr": 0.02})
    data = dataset("regression").test
    values = predict(fitted.trained_model.model, data.x)
    assert np.abs(values[:, values.shape[1] // 2] - data.y).mean() < 15
    if loss["name"] == "quantile":
        assert fitted.trained_model.schema.quantiles == (0.1, 0.5, 0.9)
        assert (np.diff(values, axis=1) >= 0).all()


def test_bce_of_three_classes_is_refused(tmp_path: Path) -> None:
    data = dataset()
    three = Dataset(data.schema.model_copy(update={"classes": ("a", "b", "c")}), *data.splits().values())
    with pytest.raises(ParamsError, match=r"models\.m\.training\.loss: bce is of two classes, but d has 3; choose"):
        fit(
            "m", model(loss={"name": "bce"}), three, CHAIN, seed=1, checkpoint_folder=tmp_path, on_epoch=lambda *_: None
        )


def test_mixed_rows_teach_and_resume(tmp_path: Path) -> None:
    chosen = {"augment": {"mixup": 0.4}, "max_epochs": 12}
    whole = run(tmp_path / "whole", **chosen)
    assert not same(whole, run(tmp_path / "plain", max_epochs=12))
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", each=interrupt_at(6), **chosen)
    assert same(run(tmp_path / "parts", **chosen), whole)


def test_a_compiled_network_learns_the_same(tmp_path: Path) -> None:
    def trained(**training: Any) -> FitResult:
        chosen = model(max_epochs=3, gradient_clip=1.0, **training)
        chosen = chosen.model_copy(update={"network": Mlp(family="mlp", hidden=(16,))})  # dropout falls otherwise there
        folder = tmp_path / str(training)
        return fit("m", chosen, dataset(), CHAIN, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)

    pairs = zip(
        trained().trained_model.model.parameters(), trained(compile=True).trained_model.model.parameters(), strict=True
    )
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in pairs)
