"""Vectorized training has the same results as training one by one, and continues with unfinished jobs."""

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

from .helpers import AUTOENCODER, CNN, MLP, PIPELINE, PIXELS, dataset, job, model

ROWS = (40, 33, 32)
"""Training rows of three jobs; in batches of 16 the last batch has 8 rows, a single row, and 16 rows."""

Tree = dict[str, Any]
ADAM: Tree = {"name": "adam", "lr": 0.01}
SGD: Tree = {"name": "sgd", "lr": 0.05}

CASES: dict[str, tuple[Tree, int, Tree, list[Tree]]] = {
    "adamw, different dropout, weight decay and learning rate": (
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
        {
            "optimizer": SGD | {"nesterov": True},
            "schedule": {"name": "step", "step_size": 2},
            "class_balance": "weighted_loss",
        },
        [{}, {"patience": 1}, {}],
    ),
    "layer norm, decay, clipping": (
        MLP | {"norm": "layer", "activation": "tanh"},
        2,
        {
            "optimizer": ADAM | {"weight_decay": 0.1},
            "schedule": {"name": "cosine", "warmup_epochs": 1.5},
            "loss": {"name": "bce"},
        },
        [{"gradient_clip_norm": 0.05}, {"gradient_clip_value": 0.01}, {}],
    ),
    "sgd without momentum, l1, plateau": (
        MLP | {"activation": "elu", "hidden": []},
        0,
        {
            "optimizer": SGD | {"momentum": 0.0, "lr": 0.5},
            "schedule": {"name": "plateau", "patience": 0},
            "loss": {"name": "mae"},
        },
        [{"l1": 0.01}, {}, {"checkpoint": "last"}],
    ),
    "quantiles": (
        MLP | {"activation": "silu"},
        0,
        {"loss": {"name": "quantile"}, "schedule": {"name": "exponential", "gamma": 0.5}},
        [{}, {"optimizer": ADAM}, {}],
    ),
    "leaky": (MLP | {"activation": "leaky_relu", "hidden": [8]}, 3, {"loss": {"name": "focal"}}, [{}, {}, {}]),
    "sigmoid": (MLP | {"activation": "sigmoid", "hidden": [8]}, 3, {"optimizer": ADAM}, [{}, {}, {}]),
    "autoencoder": (
        AUTOENCODER | {"norm": "batch", "latent_activation": "tanh"},
        3,
        {"loss": {"name": "huber"}},
        [{}, {}, {}],
    ),
    "anomaly detector": (
        AUTOENCODER | {"mode": {"name": "anomaly", "normal_classes": ["0", "2"]}},
        3,
        {},
        [{}, {}, {}],
    ),
}


def build_jobs(network: Tree, classes: int, shared: Tree, changes: list[Tree]) -> list[Job]:
    """Return jobs with different rows; two of them have the same seed."""
    jobs = []
    for i, (rows, own) in enumerate(zip(ROWS, changes, strict=True)):
        training = shared | {key: value for key, value in own.items() if key != "network"}
        params = model(network | own.get("network", {}), **{"loss": {"name": "auto"}} | training)
        jobs.append(Job(params, dataset(classes, rows, i), PIPELINE, seed=i // 2))
    return jobs


def fit_alone(one: Job, folder: Path) -> FitResult:
    return fit(
        "m", one.params, one.dataset, one.pipeline, seed=one.seed, checkpoint_folder=folder, on_epoch=lambda *_: None
    )


def assert_same(result: JobResult | None, fitted: FitResult, one: Job) -> None:
    assert result is not None
    assert result.best_epoch == fitted.best_epoch
    history = fitted.history.drop(columns="epoch")
    assert {key for metrics in result.metrics_by_epoch for key in metrics} == set(history.columns)
    for name in history:
        np.testing.assert_allclose(
            [metrics[name] for metrics in result.metrics_by_epoch], history[name], rtol=1e-4, atol=2e-6
        )
    actual, expected = result.trained_model.model.state_dict(), fitted.trained_model.model.state_dict()
    assert list(actual) == list(expected)
    for key in actual:
        torch.testing.assert_close(actual[key], expected[key], rtol=1e-4, atol=1e-5)
    predictions = (predict(each.trained_model.model, one.dataset.test.x) for each in (result, fitted))
    np.testing.assert_allclose(*predictions, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_vectorized_training_equals_training_one_by_one(name: str, tmp_path: Path) -> None:
    jobs = build_jobs(*CASES[name])
    for i, (one, result) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        assert_same(result, fit_alone(one, tmp_path / str(i)), one)


@pytest.mark.parametrize("noise", ["gaussian", "salt_and_pepper"])
def test_noise_of_images_equals_that_of_training_one_by_one(noise: str, tmp_path: Path) -> None:
    variant = {"name": "denoising", "noise": noise}
    params = model(
        AUTOENCODER | {"output_activation": "sigmoid", "variant": variant}, loss={"name": "bce"}, max_epochs=2
    )
    jobs = [Job(params, dataset(3, rows, 1, side=3), PIXELS, seed) for seed, rows in enumerate((40, 33))]
    for i, (one, result) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        assert_same(result, fit_alone(one, tmp_path / str(i)), one)


def test_cnn_equals_training_one_by_one(tmp_path: Path) -> None:
    jobs = []
    for i, rows in enumerate(ROWS):
        network = CNN | {"channels": [4, 6], "activation": "tanh", "dropout": 0.2 * i}
        jobs.append(Job(model(network, max_epochs=3, l1=0.001), dataset(3, rows, i, side=5), PIXELS, 0))
    for i, (one, result) in enumerate(zip(jobs, fit_vectorized("m", jobs, lambda *_: ()), strict=True)):
        assert_same(result, fit_alone(one, tmp_path / str(i)), one)


def test_jobs_that_share_rows_have_their_own_results(tmp_path: Path) -> None:
    data = dataset(3, 40, 0)
    jobs = [Job(model(MLP, optimizer={"name": "adam", "lr": lr}), data, PIPELINE, 3) for lr in (0.001, 0.1)]
    results = fit_vectorized("m", jobs, lambda *_: ())
    for i, (one, result) in enumerate(zip(jobs, results, strict=True)):
        assert_same(result, fit_alone(one, tmp_path / str(i)), one)


def test_finished_jobs_are_removed(tmp_path: Path) -> None:
    """Each job ends at another epoch by its patience; the others continue unchanged."""
    training = {"optimizer": {"name": "sgd", "lr": 0.5}, "max_epochs": 12}
    jobs = [job(rows=rows, seed=i, patience=i, **training) for i, rows in enumerate(ROWS)]
    running: list[list[int]] = []

    def on_epoch(epoch: int, which: Sequence[int], metrics: Sequence[Metrics]) -> tuple[int, ...]:
        assert epoch == len(running)
        assert all(math.isfinite(each["val/loss"]) for each in metrics)
        running.append(list(which))
        return ()

    results = fit_vectorized("m", jobs, on_epoch)
    for i, (one, result) in enumerate(zip(jobs, results, strict=True)):
        fitted = fit_alone(one, tmp_path / str(i))
        assert_same(result, fitted, one)
        assert [i in which for which in running] == [epoch < len(fitted.history) for epoch in range(len(running))]
    assert sorted(running[0]) == [0, 1, 2]
    assert running[-1] == [0]


def test_stopped_job_has_no_result_and_the_others_continue() -> None:
    jobs = [job(rows=rows, seed=i) for i, rows in enumerate(ROWS)]
    expected = fit_vectorized("m", jobs, lambda *_: ())
    running: list[set[int]] = []

    def prune(epoch: int, which: Sequence[int], _: Sequence[Metrics]) -> set[int]:
        running.append(set(which))
        return {1} if epoch == 1 else set()

    results = fit_vectorized("m", jobs, prune)
    assert running == [{0, 1, 2}, {0, 1, 2}, {0, 2}, {0, 2}]
    assert results[1] is None
    assert [results[i].metrics_by_epoch for i in (0, 2)] == [expected[i].metrics_by_epoch for i in (0, 2)]  # type: ignore[union-attr]


def test_diverging_job_does_not_affect_the_others(tmp_path: Path) -> None:
    def build_job(lr: float) -> Job:
        return job(classes=0, optimizer={"name": "sgd", "lr": lr})

    jobs = [build_job(0.01), build_job(1e30), build_job(0.02)]
    results = fit_vectorized("m", jobs, lambda *_: ())
    for i in (0, 2):
        assert_same(results[i], fit_alone(jobs[i], tmp_path / str(i)), jobs[i])
    with pytest.raises(TrainingError) as raised:
        fit_alone(jobs[1], tmp_path / "1")
    assert results[1] is not None
    assert str(raised.value) == results[1].error
    assert "; lower training.optimizer.lr (now 1e+30)" in results[1].error
    assert results[1].best_epoch == len(results[1].metrics_by_epoch) == 0
    assert np.isfinite(predict(results[1].trained_model.model, jobs[1].dataset.test.x)).all()


def test_models_of_a_stack_are_independent() -> None:
    """Each model has its own parameters, and does not share its weights with the others."""
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
