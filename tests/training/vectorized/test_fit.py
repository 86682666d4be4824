"""A stack gives what its trainings give one by one, and goes on with those that have not ended."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fivefold.errors import TrainingError
from fivefold.evaluation.predict import predict
from fivefold.training.callbacks import Metrics
from fivefold.training.fit import FitResult, fit
from fivefold.training.vectorized.fit import fit_vectorized
from fivefold.training.vectorized.job import Job, JobResult

from .cases import AUTOENCODER, CONVOLUTIONS, MLP, PIXELS, PLAIN, dataset, job, model

ROWS = (40, 33, 32)
"""Training rows of three jobs, in batches of 16: a short batch at the end, one of a single row, and none."""

Tree = dict[str, Any]
ADAM: Tree = {"name": "adam", "lr": 0.01}
FAST: Tree = {"name": "sgd", "lr": 0.05}

TRAINED: dict[str, tuple[Tree, int, Tree, list[Tree]]] = {
    "adamw, dropout, decay and rate of one's own": (
        MLP,
        3,
        {"schedule": {"name": "one_cycle"}, "loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
        [
            {"network": {"dropout": 0.1 * i}, "optimizer": {"name": "adamw", "lr": 0.01 * (i + 1), "weight_decay": d}}
            for i, d in enumerate((0.0, 0.1, 0.1))
        ],
    ),
    "sgd, batch norm, residual": (
        MLP | {"norm": "batch", "residual": True, "hidden": [8, 8, 6], "dropout": 0.2, "activation": "gelu"},
        3,
        {"optimizer": FAST | {"nesterov": True}, "schedule": {"name": "step", "every": 2}, "class_balance": "weights"},
        [{}, {"patience": 1}, {}],
    ),
    "layer norm, decay, clipping": (
        MLP | {"norm": "layer", "activation": "tanh"},
        2,
        {
            "optimizer": ADAM | {"weight_decay": 0.1},
            "schedule": {"name": "cosine", "warmup": 1.5},
            "loss": {"name": "bce"},
        },
        [{"gradient_clip_norm": 0.05}, {"gradient_clip_value": 0.01}, {}],
    ),
    "sgd without memory, l1, plateau": (
        MLP | {"activation": "elu", "hidden": []},
        0,
        {
            "optimizer": FAST | {"momentum": 0.0, "lr": 0.5},
            "schedule": {"name": "plateau", "patience": 0},
            "loss": {"name": "mae"},
        },
        [{"l1": 0.01}, {}, {"keep": "last"}],
    ),
    "quantiles": (
        MLP | {"activation": "silu"},
        0,
        {"loss": {"name": "quantile"}, "schedule": {"name": "exponential", "factor": 0.5}},
        [{}, {"optimizer": ADAM}, {}],
    ),
    "leaky": (MLP | {"activation": "leaky_relu", "hidden": [8]}, 3, {"loss": {"name": "focal"}}, [{}, {}, {}]),
    "sigmoid": (MLP | {"activation": "sigmoid", "hidden": [8]}, 3, {"optimizer": ADAM}, [{}, {}, {}]),
    "autoencoder": (AUTOENCODER | {"norm": "batch", "code": "tanh"}, 3, {"loss": {"name": "huber"}}, [{}, {}, {}]),
    "detector": (AUTOENCODER | {"mode": {"name": "anomaly", "normal": ["0", "2"]}}, 3, {}, [{}, {}, {}]),
}


def parts(network: Tree, classes: int, shared: Tree, own: list[Tree]) -> list[Job]:
    """Jobs of different rows and, but for two, seeds."""
    found = []
    for i, (rows, each) in enumerate(zip(ROWS, own, strict=True)):
        training = shared | {key: value for key, value in each.items() if key != "network"}
        chosen = model(network | each.get("network", {}), **{"loss": {"name": "auto"}} | training)
        found.append(Job(chosen, dataset(classes, rows, i), PLAIN, seed=i // 2))
    return found


def alone(one: Job, folder: Path) -> FitResult:
    return fit(
        "m", one.params, one.dataset, one.pipeline, seed=one.seed, checkpoint_folder=folder, on_epoch=lambda *_: None
    )


def same(outcome: JobResult | None, fitted: FitResult, one: Job) -> None:
    assert outcome is not None
    assert outcome.best_epoch == fitted.best_epoch
    history = fitted.history.drop(columns="epoch")
    assert {key for metrics in outcome.metrics_by_epoch for key in metrics} == set(history.columns)
    for name in history:
        np.testing.assert_allclose(
            [metrics[name] for metrics in outcome.metrics_by_epoch], history[name], rtol=1e-4, atol=2e-6
        )
    mine, theirs = outcome.trained_model.model.state_dict(), fitted.trained_model.model.state_dict()
    assert list(mine) == list(theirs)
    for key in mine:
        torch.testing.assert_close(mine[key], theirs[key], rtol=1e-4, atol=1e-5)
    told = (predict(each.trained_model.model, one.dataset.test.x) for each in (outcome, fitted))
    np.testing.assert_allclose(*told, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TRAINED)
def test_a_stack_gives_what_is_trained_one_by_one(name: str, tmp_path: Path) -> None:
    jobs = parts(*TRAINED[name])
    for i, (one, outcome) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        same(outcome, alone(one, tmp_path / str(i)), one)


@pytest.mark.parametrize("noise", ["gaussian", "salt_and_pepper"])
def test_of_images_noise_falls_as_it_would_one_by_one(noise: str, tmp_path: Path) -> None:
    variant = {"name": "denoising", "noise": noise}
    chosen = model(AUTOENCODER | {"output": "sigmoid", "variant": variant}, loss={"name": "bce"}, max_epochs=2)
    jobs = [Job(chosen, dataset(3, rows, 1, side=3), PIXELS, seed) for seed, rows in enumerate((40, 33))]
    for i, (one, outcome) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        same(outcome, alone(one, tmp_path / str(i)), one)


def test_convolutions(tmp_path: Path) -> None:
    jobs = []
    for i, rows in enumerate(ROWS):
        network = CONVOLUTIONS | {"channels": [4, 6], "activation": "tanh", "dropout": 0.2 * i}
        jobs.append(Job(model(network, max_epochs=3, l1=0.001), dataset(3, rows, i, side=5), PIXELS, 0))
    for i, (one, outcome) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        same(outcome, alone(one, tmp_path / str(i)), one)


def test_trials_that_share_rows_are_laid_out_once_and_differ(tmp_path: Path) -> None:
    data = dataset(3, 40, 0)
    jobs = [Job(model(MLP, optimizer={"name": "adam", "lr": lr}), data, PLAIN, 3) for lr in (0.001, 0.1)]
    outcomes = fit_vectorized("m", jobs, lambda *_: ())
    for i, (one, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        same(outcome, alone(one, tmp_path / str(i)), one)


def test_those_that_ended_are_taken_out(tmp_path: Path) -> None:
    """By their patience, each in its epoch; what is left goes on as before."""
    fast = {"optimizer": {"name": "sgd", "lr": 0.5}, "max_epochs": 12}
    jobs = [job(rows=rows, seed=i, patience=i, **fast) for i, rows in enumerate(ROWS)]
    running: list[list[int]] = []

    def note(epoch: int, which: Sequence[int], metrics: Sequence[Metrics]) -> tuple[int, ...]:
        assert epoch == len(running)
        assert all(math.isfinite(each["val/loss"]) for each in metrics)
        running.append(list(which))
        return ()

    outcomes = fit_vectorized("m", jobs, note)
    for i, (one, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        fitted = alone(one, tmp_path / str(i))
        same(outcome, fitted, one)
        assert [i in which for which in running] == [epoch < len(fitted.history) for epoch in range(len(running))]
    assert sorted(running[0]) == [0, 1, 2]
    assert running[-1] == [0]


def test_what_is_stopped_gives_nothing_and_the_others_go_on() -> None:
    jobs = [job(rows=rows, seed=i) for i, rows in enumerate(ROWS)]
    whole = fit_vectorized("m", jobs, lambda *_: ())
    told: list[set[int]] = []

    def prune(epoch: int, which: Sequence[int], _: Sequence[Metrics]) -> set[int]:
        told.append(set(which))
        return {1} if epoch == 1 else set()

    left = fit_vectorized("m", jobs, prune)
    assert told == [{0, 1, 2}, {0, 1, 2}, {0, 2}, {0, 2}]
    assert left[1] is None
    assert [left[i].metrics_by_epoch for i in (0, 2)] == [whole[i].metrics_by_epoch for i in (0, 2)]  # type: ignore[union-attr]


def test_one_that_diverges_leaves_the_others_alone(tmp_path: Path) -> None:
    def of(lr: float) -> Job:
        return job(classes=0, optimizer={"name": "sgd", "lr": lr})

    jobs = [of(0.01), of(1e30), of(0.02)]
    outcomes = fit_vectorized("m", jobs, lambda *_: ())
    for i in (0, 2):
        same(outcomes[i], alone(jobs[i], tmp_path / str(i)), jobs[i])
    with pytest.raises(TrainingError) as raised:
        alone(jobs[1], tmp_path / "1")
    assert outcomes[1] is not None
    assert str(raised.value) == outcomes[1].error
    assert "; lower training.optimizer.lr (now 1e+30)" in outcomes[1].error
    assert outcomes[1].best_epoch == len(outcomes[1].metrics_by_epoch) == 0
    assert np.isfinite(predict(outcomes[1].trained_model.model, jobs[1].dataset.test.x)).all()


def test_a_model_of_a_stack_is_its_own() -> None:
    """Its params stand in what is saved, and its weights are no part of the others'."""
    jobs = [job(MLP | {"dropout": rate}, seed=1) for rate in (0.0, 0.5)]
    one, other = fit_vectorized("m", jobs, lambda *_: ())
    assert one is not None
    assert other is not None
    assert [each.trained_model.network_config for each in (one, other)] == [each.params.network for each in jobs]
    before = predict(other.trained_model.model, jobs[1].dataset.test.x)
    with torch.no_grad():
        for weight in one.trained_model.model.parameters():
            weight.zero_()
    np.testing.assert_array_equal(predict(other.trained_model.model, jobs[1].dataset.test.x), before)
