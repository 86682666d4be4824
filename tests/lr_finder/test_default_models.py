"""Suggested learning rates of the default models, and training with them."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fivefold.config.loading import load_params
from fivefold.config.models import Model
from fivefold.config.networks.mlp import Mlp
from fivefold.data.dataset import Dataset, Split
from fivefold.data.prepare import prepare
from fivefold.errors import TrainingError
from fivefold.lr_finder.sweep import MIN_LR, NUM_STEPS, run_sweep, suggest_lr
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import fit_selection
from fivefold.training.fit import fit

ROOT = Path(__file__).parents[2]
MODELS = tuple(
    name for name, model in load_params(ROOT / "params.yaml").models.items() if model.network.family != "gan"
)
"""Models with a single loss."""


@cache
def prepare_model(name: str) -> tuple[Model, Dataset, Pipeline]:
    """Return a model with its prepared dataset and fitted preprocessing."""
    params = load_params(ROOT / "params.yaml")
    model = params.model(name)
    block = params.dataset(model.dataset)
    dataset, _ = prepare(block.model_copy(update={"source": str(ROOT / block.source)}), params.seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, block)
    x = scaling(dataset.train.x)
    selected = fit_selection(x, dataset.train.y, dataset.schema, model.select, params.seed, scaling.feature_names)
    return model, dataset, scaling.with_steps(*selected.steps)


def with_training(model: Model, **training: object) -> Model:
    tree = model.model_dump(mode="json")
    tree["training"] |= training
    return Model.model_validate_json(json.dumps(tree))


def test_every_supervised_family_is_covered() -> None:
    assert {prepare_model(name)[0].network.family for name in MODELS} >= {"mlp", "cnn", "rnn"}


@pytest.mark.parametrize("name", MODELS)
def test_the_suggestion_is_plausible_and_trains(name: str, tmp_path: Path) -> None:
    model, dataset, pipeline = prepare_model(name)
    sweep = run_sweep(name, model, dataset, pipeline, seed=42)
    assert sweep.learning_rates[0] == MIN_LR
    assert len(sweep.learning_rates) == len(sweep.losses) <= NUM_STEPS
    learning_rate = suggest_lr(name, sweep)
    assert 5e-4 <= learning_rate <= 0.1
    optimizer = model.training.optimizer.model_dump() | {"lr": learning_rate}
    params = with_training(model, optimizer=optimizer, max_epochs=8)
    result = fit(name, params, dataset, pipeline, seed=42, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
    assert result.history["val/loss"].min() < 0.5 * sweep.losses[:20].mean()


def test_a_sweep_is_reproducible_and_ignores_the_schedule() -> None:
    model, dataset, pipeline = prepare_model("mlp")
    assert model.training.schedule.name == "one_cycle"
    one = run_sweep("mlp", model, dataset, pipeline, seed=1)
    other = run_sweep("mlp", with_training(model, schedule={"name": "constant"}, devices=2), dataset, pipeline, seed=1)
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.baseline_losses, other.baseline_losses)


@pytest.mark.parametrize("name", MODELS)
def test_baseline_losses_are_those_of_the_same_batches(name: str) -> None:
    """Rows, dropout masks and noise are the same, so the losses are equal until the weights have changed."""
    model, dataset, pipeline = prepare_model(name)
    sweep = run_sweep(name, model, dataset, pipeline, seed=3)
    assert sweep.baseline_losses.std() > 0.005 * sweep.baseline_losses.mean()
    np.testing.assert_allclose(sweep.losses[:10], sweep.baseline_losses[:10], rtol=1e-2, atol=1e-4)
    assert np.abs(sweep.loss_decreases[-20:]).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_a_decrease_is_detected_with_small_batches(seed: int) -> None:
    model, dataset, pipeline = prepare_model("lstm")
    assert model.training.batch_size == 16
    assert 5e-4 <= suggest_lr("lstm", run_sweep("lstm", model, dataset, pipeline, seed=seed)) <= 0.1


def test_a_sweep_ends_when_the_loss_diverges() -> None:
    model, dataset, pipeline = prepare_model("mlp_regression")
    sweep = run_sweep("m", model, dataset, pipeline, seed=1)
    assert len(sweep.learning_rates) < NUM_STEPS
    increase = sweep.smoothed_losses - np.minimum.accumulate(sweep.smoothed_losses)
    assert increase[-1] > sweep.smoothed_losses[0] > increase[:-1].max()


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_cannot_be_trained_raises(seed: int) -> None:
    """All weights are initialized to 0, so only the output bias has a gradient, and the classes are balanced."""
    model, dataset, pipeline = prepare_model("mlp")
    untrainable = model.model_copy(update={"network": Mlp(family="mlp", hidden=(8,), init="zeros")})
    rows = (Split(r.x, np.arange(len(r)) % 2, r.rows) for r in dataset.splits().values())
    with pytest.raises(TrainingError, match="the loss of m must decrease at a learning rate"):
        suggest_lr("m", run_sweep("m", untrainable, Dataset(dataset.schema, *rows), pipeline, seed=seed))
