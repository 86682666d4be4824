"""Starting from a trained model: it learns sooner, keeps frozen what is frozen, and resumes bit for bit."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fivefold.config.models import Model
from fivefold.data.dataset import Dataset, Split
from fivefold.errors import ParamsError
from fivefold.models.factory import InputSpec
from fivefold.models.transfer import PretrainedModel, layer_groups
from fivefold.training.fit import FitResult, fit
from fivefold.training.optimization import OptimizerStep, build_optimizer

from .test_fit import CHAIN, SCHEMA, InterruptedEpochError, interrupt_at, model, same

START = {"model": "old"}


def rings(n: int, *, names: tuple[str, ...], seed: int = 0) -> Dataset:
    """Points within a ball and around it, in as many shells as there are names."""
    x = np.random.default_rng(seed).normal(size=(n, 3))
    far = np.linalg.norm(x, axis=1)
    y = np.digitize(far, np.quantile(far, np.arange(1, len(names)) / len(names)))
    records = Split(x, y.astype(np.int64), np.arange(n))
    held = n // 4
    parts = (records.take(np.arange(*span)) for span in ((0, n - 2 * held), (n - 2 * held, n - held), (n - held, n)))
    return Dataset(SCHEMA.model_copy(update={"classes": names}), *parts)


def deep(**training: Any) -> Model:
    block = {"optimizer": {"name": "adamw", "lr": 0.01}, "schedule": {"name": "constant"}, **training}
    found = model(**block)
    network = type(found.network).model_validate({"family": "mlp", "hidden": (32, 32)})
    return found.model_copy(update={"network": network})


@pytest.fixture(autouse=True, scope="module")
def normed() -> Iterator[None]:
    """Networks with batch norm, whatever the family has of its own."""

    def build(_: object, shape: InputSpec) -> nn.Module:
        hidden = (nn.Linear(3, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU())
        return nn.Sequential(*hidden, nn.Linear(32, shape.n_outputs))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fivefold.training.supervised.build_network", build)
        yield


def run(folder: Path, source: PretrainedModel | None, *, last: int | None = None, **training: Any) -> FitResult:
    each = (lambda *_: None) if last is None else (lambda epoch, *_: interrupt_at(last)(epoch))
    data = rings(240, names=("in", "out"), seed=1)
    return fit("new", deep(**training), data, CHAIN, source, seed=1, checkpoint_folder=folder, on_epoch=each)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> PretrainedModel:
    """A network that tells five shells apart."""
    data = rings(2000, names=("a", "b", "c", "d", "e"))
    found = fit(
        "old",
        deep(max_epochs=25),
        data,
        CHAIN,
        seed=0,
        checkpoint_folder=tmp_path_factory.mktemp("old"),
        on_epoch=lambda *_: None,
    )
    return PretrainedModel("fivefold-old", 3, "digest", replace(found.trained_model, metadata={}))


def states(network: nn.Module) -> list[list[Tensor]]:
    return [[value for _, value in layer.named_tensors()] for layer in layer_groups(network)]


def unchanged(fitted: FitResult, source: PretrainedModel) -> list[bool]:
    """Whether each layer is that of the source, but for the last."""
    pairs = zip(states(fitted.trained_model.model.network), states(source.trained_model.model.network), strict=True)
    return [all(torch.equal(one, other) for one, other in zip(*pair, strict=True)) for pair in list(pairs)[:-1]]


def test_it_learns_sooner_and_says_what_it_took(
    tmp_path: Path, source: PretrainedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    scratch = run(tmp_path / "scratch", None, max_epochs=3)
    assert "starts from" not in capsys.readouterr().out
    warm = run(tmp_path / "warm", source, max_epochs=3, start=START)
    line = next(line for line in capsys.readouterr().out.splitlines() if "starts" in line)
    assert line == ("new starts from fivefold-old version 3: 2 of 3 layers transferred (0, 3); newly initialized: 6")
    assert warm.history["val/loss"].iloc[2] < 0.8 * scratch.history["val/loss"].iloc[2]
    assert warm.trained_model.schema.classes == ("in", "out")


def test_frozen_layers_stay_as_they_were_statistics_too(tmp_path: Path, source: PretrainedModel) -> None:
    decaying = {"optimizer": {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}, "max_epochs": 3}
    frozen = run(tmp_path / "frozen", source, start={**START, "freeze": 3}, **decaying)
    assert unchanged(frozen, source) == [True, True]
    free = run(tmp_path / "free", source, start=START, **decaying)
    assert unchanged(free, source) == [False, False]
    assert frozen.history["train/loss"].iloc[-1] < frozen.history["train/loss"].iloc[0]


@pytest.mark.parametrize(
    ("epochs", "expected"), [(1, [True, True]), (2, [True, True]), (3, [True, False]), (5, [False, False])]
)
def test_layers_are_set_free_one_by_one_from_the_output_down(
    tmp_path: Path, source: PretrainedModel, epochs: int, expected: list[bool]
) -> None:
    start = {**START, "freeze": 2, "unfreeze_every": 2}
    fitted = run(tmp_path, source, max_epochs=epochs, start=start, keep="last")
    assert fitted.best_epoch == epochs
    assert unchanged(fitted, source) == expected


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nadam", "rmsprop"])
@pytest.mark.parametrize("last", [1, 2, 5])
def test_a_resumed_training_is_an_uninterrupted_one(
    tmp_path: Path, source: PretrainedModel, optimizer: str, last: int
) -> None:
    chosen: dict[str, Any] = {
        "start": {**START, "freeze": 2, "unfreeze_every": 1, "decay": 0.5},
        "optimizer": {"name": optimizer, "lr": 0.002, "weight_decay": 0.01},
        "ema_decay": 0.9 if optimizer == "adamw" else 0.0,
    }
    whole = run(tmp_path / "whole", source, **chosen)
    with pytest.raises(InterruptedEpochError):
        run(tmp_path / "parts", source, last=last, **chosen)
    resumed = run(tmp_path / "parts", source, **chosen)
    assert resumed.is_resumed
    assert same(resumed, whole)


def test_a_moving_average_begins_with_the_weights_that_were_taken(tmp_path: Path, source: PretrainedModel) -> None:
    fitted = run(tmp_path, source, max_epochs=2, ema=0.99, start={**START, "freeze": 2})
    for ours, theirs in zip(
        states(fitted.trained_model.model.network)[:-1], states(source.trained_model.model.network), strict=False
    ):
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("precision", ["bf16", "16"])
def test_it_trains_frozen_in_mixed_precision(tmp_path: Path, source: PretrainedModel, precision: str) -> None:
    start = {**START, "layers": "all", "freeze": 4, "unfreeze_every": 2}
    history = run(tmp_path, source, max_epochs=8, precision=precision, start=start).history
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]


def test_each_layer_further_from_the_output_learns_slower() -> None:
    net = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 3, bias=False))
    chosen = deep(optimizer={"name": "adamw", "lr": 0.1, "weight_decay": 0.5}, start={**START, "decay": 0.5}).training
    optimizer = build_optimizer(net, chosen)
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in optimizer.param_groups for p in g["params"]}
    expected = {0: 0.025, 1: 0.025, 3: 0.05, 4: 0.1}  # a norm learns like the layer before it
    for i, rate in expected.items():
        for p in net[i].parameters():
            assert rates[id(p)] == (pytest.approx(rate), 0.5 if p.ndim > 1 else 0.0)
    assert len(rates) == len(list(net.parameters()))
    assert optimizer.param_groups[0]["lr"] == 0.1  # what the history shows
    assert all(group["params"] for group in optimizer.param_groups)


def test_a_step_with_decaying_rates_is_that_of_torch_with_such_groups() -> None:
    def net() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 8, bias=False), nn.Tanh(), nn.Linear(8, 3, bias=False))

    ours, theirs, x = net(), net(), torch.randn(6, 5)
    block = {
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.0},
        "schedule": {"name": "exponential", "factor": 0.5},
    }
    descent = OptimizerStep(ours, None, params=deep(**block, start={**START, "decay": 0.1}).training, steps_per_epoch=1)
    for share in (1.0, 0.5):
        descent.step(x, x, 6, lambda rows, _: ours(rows).square().mean())
        theirs.zero_grad()
        theirs(x).square().mean().backward()
        with torch.no_grad():
            for layer, rate in ((theirs[0], 0.01), (theirs[2], 0.1)):
                layer.weight -= rate * share * layer.weight.grad
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_does_not_fit_is_said_with_the_key(tmp_path: Path, source: PretrainedModel) -> None:
    chosen = deep(start=START)
    other = chosen.model_copy(update={"network": chosen.network.model_copy(update={"activation": "tanh"})})
    data = rings(240, names=("in", "out"))
    with pytest.raises(ParamsError, match=r"\Amodels\.new\.training\.start: .* network\.activation is tanh here and"):
        fit("new", other, data, CHAIN, source, seed=1, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
