"""Trainings made to fall ill: the doctor says of what; and of healthy ones nothing."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

import fivefold.training.supervised
from fivefold.config.models import Model
from fivefold.config.training import AutoLoss, BCELoss, CrossEntropyLoss, LossConfig, MeanErrorLoss, QuantileLoss
from fivefold.data.dataset import Array, Dataset
from fivefold.data.schema import Schema
from fivefold.errors import TrainingError
from fivefold.models.losses import SupervisedLoss
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.training.diagnostics.causes import compute_input_stats, constant_prediction_loss
from fivefold.training.fit import FitResult, fit

from ...conftest import dataset_of, schema_of
from ..test_fit import InterruptedEpochError, interrupt_at

EPOCHS = 15


def rows(n: int, features: int = 3, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, features))
    return x, (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(np.int64)


def learnable(n: int = 400, features: int = 3, scale: float = 1.0) -> Dataset:
    parts = (rows(size, features, seed) for seed, size in enumerate((n, 200, 20)))
    return dataset_of(schema_of((features,), 2), *((scale * x, y) for x, y in parts))


def trained(
    folder: Path,
    data: Dataset,
    *,
    network: dict[str, Any] | None = None,
    on_epoch: Callable[[int, dict[str, float], bool], None] = lambda *_: None,
    **training: Any,
) -> FitResult:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "mlp", "hidden": [16], **(network or {})},
        "training": {"max_epochs": EPOCHS, "patience": 0, "checkpoint_seconds": 0, **training},
    }
    chosen = Model.model_validate_json(json.dumps(tree))
    return fit("m", chosen, data, Pipeline("float64", ()), seed=1, checkpoint_folder=folder, on_epoch=on_epoch)


def rules(fitted: FitResult) -> list[str]:
    return [finding.rule for finding in fitted.diagnosis.findings]


def optimizer(name: str, lr: float) -> dict[str, Any]:
    return {"name": name, "lr": lr}


def test_a_training_that_goes_well_is_left_in_peace(tmp_path: Path) -> None:
    chosen = {"optimizer": optimizer("adam", 0.03), "schedule": {"name": "one_cycle"}, "max_epochs": 30}
    fitted = trained(tmp_path, learnable(), **chosen)
    assert fitted.history["val/loss"].min() < 0.3
    assert fitted.diagnosis.summary_lines() == ["the doctor found nothing wrong"]


def test_a_rate_of_ten(tmp_path: Path) -> None:
    fitted = trained(tmp_path, learnable(), optimizer=optimizer("sgd", 10.0))
    assert rules(fitted) == ["rate_too_high"]
    assert (
        "lower training.optimizer.lr (now 10) or set training.gradient_clip_norm" in fitted.diagnosis.summary_lines()[0]
    )


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_rate_of_a_ten_millionth(tmp_path: Path, name: str) -> None:
    assert rules(trained(tmp_path, learnable(), optimizer=optimizer(name, 1e-7))) == ["rate_too_low"]


def test_input_in_the_ten_thousands(tmp_path: Path) -> None:
    fitted = trained(tmp_path, learnable(scale=1e4), optimizer=optimizer("adam", 0.003))
    assert rules(fitted) == ["input_not_scaled"]
    assert "set datasets.d.normalize to standard" in fitted.diagnosis.summary_lines()[0]


def test_twenty_rows_and_a_wide_network(tmp_path: Path) -> None:
    chosen = {"max_epochs": 60, "optimizer": optimizer("adam", 0.003)}
    fitted = trained(tmp_path, learnable(20, 10), network={"hidden": [256, 256]}, **chosen)
    assert rules(fitted) == ["overfitting"]


def test_units_that_never_fire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = fivefold.training.supervised.build_network

    def dead(*given: Any) -> nn.Module:
        network = build(*given)
        first = next(module for module in network.modules() if isinstance(module, nn.Linear))
        nn.init.constant_(first.bias, -100.0)
        return network

    monkeypatch.setattr(fivefold.training.supervised, "build_network", dead)
    fitted = trained(tmp_path, learnable(), optimizer=optimizer("adam", 0.001))
    assert rules(fitted) == ["dead_units"]
    assert "100% of the units of layers.2 are 0 for all rows" in fitted.diagnosis.summary_lines()[0]


@pytest.mark.parametrize("activation", ["relu", "tanh", "silu"])
def test_weights_that_begin_at_0(tmp_path: Path, activation: str) -> None:
    network = {"init": "zero", "activation": activation}
    fitted = trained(tmp_path, learnable(), network=network, optimizer=optimizer("adam", 0.003))
    (line,) = fitted.diagnosis.summary_lines()
    assert "; try network.init " in line


@pytest.mark.parametrize("chosen", [optimizer("adam", 0.003), optimizer("sgd", 0.1)], ids=lambda block: block["name"])
def test_twelve_layers_of_sigmoids(tmp_path: Path, chosen: dict[str, Any]) -> None:
    deep = {"hidden": [16] * 12, "activation": "sigmoid"}
    fitted = trained(tmp_path, learnable(), network=deep, optimizer=chosen)
    assert rules(fitted) == ["vanishing_gradients"]
    first = [norms[0] for norms in fitted.diagnosis.measurements["gradient"].values()]
    assert all(before < after for before, after in pairwise(first))  # smaller layer by layer


def adding(n: int, steps: int, seed: int) -> tuple[Array, Array]:
    """Two marked numbers of each record are to be added, as in tests/models/test_long_memory.py."""
    random = np.random.default_rng(seed)
    x = np.zeros((n, steps, 2))
    x[:, :, 0] = random.random((n, steps))
    for half in (0, 1):
        x[np.arange(n), random.integers(0, steps // 2, n) + half * steps // 2, 1] = 1
    return x, (x[:, :, 0] * x[:, :, 1]).sum(1)


def test_a_plain_cell_forgets_what_was_a_hundred_steps_ago(tmp_path: Path) -> None:
    schema = schema_of((100, 2)).model_copy(update={"kind": "sequences", "features": ("value", "mark"), "columns": ()})
    data = dataset_of(schema, *(adding(n, 100, n) for n in (512, 400, 20)))
    cell = {"family": "rnn", "cell": "rnn", "hidden": [16], "init": "default"}
    chosen = {"max_epochs": 5, "batch_size": 64, "gradient_clip_norm": 1.0, "optimizer": optimizer("adam", 0.005)}
    fitted = trained(tmp_path, data, network=cell, **chosen)
    assert rules(fitted) == ["vanishing_over_time"]
    assert "network.cell lstm" in fitted.diagnosis.summary_lines()[0]


def test_a_loss_that_is_not_finite_carries_the_doctor_s_word(tmp_path: Path) -> None:
    remedy = r"train/loss must be finite, but is \w+ in epoch 0; lower training.optimizer.lr \(now 1e\+12\)"
    with pytest.raises(TrainingError, match=remedy):
        trained(tmp_path, learnable(), optimizer=optimizer("sgd", 1e12))


def test_a_loss_that_is_not_finite_since_input_is_not_scaled(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"loss must be finite, but is \w+ in epoch \d+; feature \d has the size"):
        trained(tmp_path, learnable(scale=1e30), network={"activation": "silu"}, optimizer=optimizer("sgd", 1.0))


def test_a_resumed_training_has_all_that_was_measured(tmp_path: Path) -> None:
    whole = trained(tmp_path / "whole", learnable())
    with pytest.raises(InterruptedEpochError):
        trained(tmp_path / "parts", learnable(), on_epoch=lambda epoch, *_: interrupt_at(6)(epoch))
    resumed = trained(tmp_path / "parts", learnable())
    assert resumed.is_resumed
    assert resumed.diagnosis == whole.diagnosis
    assert (
        [*resumed.diagnosis.measurements["gradient"]]
        == [*whole.diagnosis.measurements["gradient"]]
        == ["layers.1", "layers.3"]
    )
    assert {len(v) for layers in whole.diagnosis.measurements.values() for v in layers.values()} == {EPOCHS}


def test_measures_are_told_with_each_epoch_and_stay_out_of_history(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    fitted = trained(tmp_path, learnable(), on_epoch=lambda _, metrics, __: told.append(metrics))
    measured = fitted.diagnosis.measurements
    assert [metrics["doctor/gradient/layers.1"] for metrics in told] == measured["gradient"]["layers.1"]
    assert [metrics["doctor/dead/layers.2"] for metrics in told] == measured["dead"]["layers.2"]
    assert not [column for column in fitted.history if column.startswith("doctor")]


def test_mixed_precision_measures_gradients_as_they_are(tmp_path: Path) -> None:
    plain, mixed = (
        trained(tmp_path / precision, learnable(), precision=precision, max_epochs=1).diagnosis.measurements["gradient"]
        for precision in ("32", "16")
    )
    for layer, (norm,) in plain.items():
        assert mixed[layer] == [pytest.approx(norm, rel=0.05)]


def test_nobody_looks_into_a_compiled_network(tmp_path: Path) -> None:
    fitted = trained(tmp_path, learnable(), compile=True, max_epochs=1)
    assert fitted.diagnosis.measurements["dead"] == {}
    assert len(fitted.diagnosis.measurements["gradient"]) == 2


def test_a_constant_s_loss_is_that_of_scikit_learn() -> None:
    schema, truth = schema_of((3,), 3), torch.tensor([0, 0, 1, 2])
    train = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    objective = SupervisedLoss(schema, CrossEntropyLoss(name="cross_entropy"))
    expected = log_loss(truth, [[0.5, 0.3, 0.2]] * 4)
    assert constant_prediction_loss(objective, train, truth, is_balanced=False) == pytest.approx(expected, rel=1e-4)
    assert constant_prediction_loss(objective, train, truth, is_balanced=True) == pytest.approx(np.log(3), rel=1e-4)
    two = SupervisedLoss(schema_of((3,), 2), BCELoss(name="bce"))
    seen = torch.tensor([0] * 3 + [1])
    assert constant_prediction_loss(two, seen, seen, is_balanced=False) == pytest.approx(
        log_loss(seen, [0.25] * 4), rel=1e-3
    )


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (AutoLoss(name="auto"), 4.0),  # deviation 2 around 1
        (MeanErrorLoss(name="mae"), 2.0),
        (QuantileLoss(name="quantile", quantiles=(0.25, 0.5, 0.75)), (0.5 + 1.0 + 0.5) / 3),
    ],
)
def test_a_constant_s_loss_of_values(loss: LossConfig, expected: float) -> None:
    y = torch.tensor([-1.0, 3.0] * 50)[:, None]
    objective = SupervisedLoss(schema_of((3,)), loss)
    # by hand: mean 1, median -1 or 3 alike; lower and upper quartile are the two values
    assert constant_prediction_loss(objective, y, y, is_balanced=False) == pytest.approx(expected)


def inputs(schema: Schema, x: torch.Tensor, y: torch.Tensor) -> Any:
    objective = SupervisedLoss(schema, AutoLoss(name="auto"))
    return compute_input_stats(schema, ("age", "height", "weight"), (x, y), (x, y), objective, is_balanced=False)


def test_sizes_of_features_and_what_is_absent() -> None:
    x = torch.tensor([[3.0, 0.0, 1.0], [-3.0, 0.0, 1.0]])
    found = inputs(schema_of((3,), 3), x, torch.tensor([1, 1]))
    assert (found.largest, found.typical, found.feature) == (3.0, 1.0, "age")  # what is always 0 has no size
    assert (found.absent, found.single) == (("class0", "class2"), True)
    pictures = torch.full((2, 3, 4, 4), 2.0)
    pictures[:, 1] = 7.0
    found = inputs(schema_of((3, 4, 4), 2), pictures, torch.tensor([0, 1]))
    assert (found.largest, found.feature, found.single) == (7.0, "height", False)
