"""Training from a pretrained model: faster learning, frozen layers, layer-wise learning rates and exact resuming."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec
from fivefold.models.transfer import PretrainedModel, layer_groups
from fivefold.training.fit import FitResult, fit
from fivefold.training.optimization import OptimizerStep, build_optimizer

from .helpers import PIPELINE, SCHEMA, InterruptedEpochError, interrupt_at, is_same, mlp_model, split_dataset

PRETRAINED = {"model": "old"}


def shells(n: int, *, names: tuple[str, ...], seed: int = 0) -> Dataset:
    """Return points around the origin; their classes are concentric shells of equal size."""
    x = np.random.default_rng(seed).normal(size=(n, 3))
    radius = np.linalg.norm(x, axis=1)
    y = np.digitize(radius, np.quantile(radius, np.arange(1, len(names)) / len(names))).astype(np.int64)
    return split_dataset(SCHEMA.model_copy(update={"classes": names}), x, y, n - 2 * (n // 4), n // 4)


def deep_model(**training: Any) -> Model:
    block = {"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": {"name": "constant"}, **training}
    params = mlp_model(**block)
    network = type(params.network).model_validate({"family": "mlp", "hidden": (32, 32)})
    return params.model_copy(update={"network": network})


@pytest.fixture(autouse=True, scope="module")
def batch_norm_networks() -> Iterator[None]:
    """Replace all networks by one with batch norm."""

    def build(_: object, spec: InputSpec) -> nn.Module:
        hidden = (nn.Linear(3, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU())
        return nn.Sequential(*hidden, nn.Linear(32, spec.n_outputs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fivefold.training.supervised.build_network", build)
        yield


def train(folder: Path, source: PretrainedModel | None, *, last: int | None = None, **training: Any) -> FitResult:
    on_epoch = (lambda *_: None) if last is None else (lambda epoch, *_: interrupt_at(last)(epoch))
    data = shells(240, names=("in", "out"), seed=1)
    return fit(
        "new", deep_model(**training), data, PIPELINE, source, seed=1, checkpoint_folder=folder, on_epoch=on_epoch
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PretrainedModel:
    """A classifier of five shells."""
    data = shells(2000, names=("a", "b", "c", "d", "e"))
    fitted = fit(
        "old",
        deep_model(max_epochs=25),
        data,
        PIPELINE,
        seed=0,
        checkpoint_folder=tmp_path_factory.mktemp("old"),
        on_epoch=lambda *_: None,
    )
    return PretrainedModel("fivefold-old", 3, "digest", replace(fitted.trained_model, metadata={}))


def layer_tensors(network: nn.Module) -> list[list[Tensor]]:
    return [[value for _, value in layer.named_tensors()] for layer in layer_groups(network)]


def unchanged(fitted: FitResult, source: PretrainedModel) -> list[bool]:
    """Return whether each layer except the last has the weights of the pretrained model."""
    pairs = zip(
        layer_tensors(fitted.trained_model.model.network),
        layer_tensors(source.trained_model.model.network),
        strict=True,
    )
    return [all(torch.equal(one, other) for one, other in zip(*pair, strict=True)) for pair in list(pairs)[:-1]]


def test_pretrained_model_learns_faster_and_reports_the_transferred_layers(
    tmp_path: Path, source: PretrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = train(tmp_path / "scratch", None, max_epochs=3)
    assert "starts from" not in capsys.readouterr().out
    warm = train(tmp_path / "warm", source, max_epochs=3, pretrained=PRETRAINED)
    line = next(line for line in capsys.readouterr().out.splitlines() if "starts" in line)
    assert line == ("new starts from fivefold-old version 3: 2 of 3 layers transferred (0, 3); newly initialized: 6")
    assert warm.history["val/loss"].iloc[2] < 0.8 * scratch.history["val/loss"].iloc[2]
    assert warm.trained_model.schema.classes == ("in", "out")


def test_frozen_layers_including_running_statistics_do_not_change(tmp_path: Path, source: PretrainedModel) -> None:
    decaying = {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}, "max_epochs": 3}
    frozen = train(tmp_path / "frozen", source, pretrained={**PRETRAINED, "freeze_epochs": 3}, **decaying)
    assert unchanged(frozen, source) == [True, True]
    free = train(tmp_path / "free", source, pretrained=PRETRAINED, **decaying)
    assert unchanged(free, source) == [False, False]
    assert frozen.history["train/loss"].iloc[-1] < frozen.history["train/loss"].iloc[0]


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [True, True]), (2, [True, True]), (3, [True, False]), (5, [False, False])]
)
def test_layers_are_unfrozen_one_by_one_from_output_to_input(
    tmp_path: Path, source: PretrainedModel, epochs: int, expected: list[bool]
) -> None:
    config = {**PRETRAINED, "freeze_epochs": 2, "unfreeze_every": 2}
    fitted = train(tmp_path, source, max_epochs=epochs, pretrained=config, checkpoint="last")
    assert fitted.best_epoch == epochs
    assert unchanged(fitted, source) == expected


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nadam", "rmsprop"])
@pytest.mark.parametrize("last", [1, 2, 5])
def test_resumed_training_equals_uninterrupted_training(
    tmp_path: Path, source: PretrainedModel, optimizer: str, last: int
) -> None:
    options: dict[str, Any] = {
        "pretrained": {**PRETRAINED, "freeze_epochs": 2, "unfreeze_every": 1, "layer_lr_decay": 0.5},
        "optimizer": {"name": optimizer, "lr": 0.002, "weight_decay": 0.01},
        "ema_decay": 0.9 if optimizer == "adamw" else 0.0,
    }
    uninterrupted = train(tmp_path / "uninterrupted", source, **options)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", source, last=last, **options)
    resumed = train(tmp_path / "resumed", source, **options)
    assert resumed.is_resumed
    assert is_same(resumed, uninterrupted)


def test_moving_average_starts_with_the_pretrained_weights(tmp_path: Path, source: PretrainedModel) -> None:
    fitted = train(tmp_path, source, max_epochs=2, ema_decay=0.99, pretrained={**PRETRAINED, "freeze_epochs": 2})
    for ours, theirs in zip(
        layer_tensors(fitted.trained_model.model.network)[:-1],
        layer_tensors(source.trained_model.model.network),
        strict=False,
    ):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_frozen_layers_with_mixed_precision(tmp_path: Path, source: PretrainedModel, precision: str) -> None:
    config = {**PRETRAINED, "layers": "all", "freeze_epochs": 4, "unfreeze_every": 2}
    history = train(tmp_path, source, max_epochs=8, precision=precision, pretrained=config).history
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]


def test_layers_farther_from_the_output_have_lower_learning_rates() -> None:
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3, bias=False))
    options = deep_model(
        optimizer={"name": "adamw", "lr": 0.1, "weight_decay": 0.5}, pretrained={**PRETRAINED, "layer_lr_decay": 0.5}
    ).training
    optimizer = build_optimizer(net, options)
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    expected = {0: 0.025, 1: 0.025, 3: 0.05, 4: 0.1}  # a norm has the learning rate of the layer before it
    for i, rate in expected.items():
        for p in net[i].parameters():
            assert rates[id(p)] == (pytest.approx(rate), 0.5 if p.ndim > 1 else 0.0)
    assert len(rates) == len(list(net.parameters()))
    assert optimizer.param_groups[0]["lr"] == 0.1  # the learning rate in the history
    assert all(group["params"] for group in optimizer.param_groups)


def test_step_with_layerwise_learning_rates_equals_that_of_torch() -> None:
    def net() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8, bias=False), nn.Tanh(), nn.Linear(8, 3, bias=False))

    ours, theirs, x = net(), net(), torch.randn(6, 5)
    block = {
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0},
        "schedule": {"name": "exponential", "gamma": 0.5},
    }
    optim_step = OptimizerStep(
        ours,
        None,
        params=deep_model(**block, pretrained={**PRETRAINED, "layer_lr_decay": 0.1}).training,
        steps_per_epoch=1,
    )
    for factor in (1.0, 0.5):
        optim_step.step(x, x, 6, lambda rows, _: ours(rows).square().mean())
        theirs.zero_grad()
        theirs(x).square().mean().backward()
        with torch.no_grad():
            for layer, rate in ((theirs[0], 0.01), (theirs[2], 0.1)):
                layer.weight -= rate * factor * layer.weight.grad
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_pretrained_model_that_does_not_fit_is_rejected(tmp_path: Path, source: PretrainedModel) -> None:
    options = deep_model(pretrained=PRETRAINED)
    other = options.model_copy(update={"network": options.network.model_copy(update={"activation": "tanh"})})
    data = shells(240, names=("in", "out"))
    with pytest.raises(
        ParamsError, match=r"\Amodels\.new\.training\.pretrained: .* network\.activation is tanh here and"
    ):
        fit("new", other, data, PIPELINE, source, seed=1, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
