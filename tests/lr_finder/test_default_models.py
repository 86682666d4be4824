"""The rate that is suggested for the default models, and what is learnt with it."""

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
"""Those that learn down one loss."""


@cache
def ready(name: str) -> tuple[Model, Dataset, Pipeline]:
    """A model with what the stages before training make for it."""
    params = load_params(ROOT / "params.yaml")
    model = params.model(name)
    block = params.dataset(model.dataset)
    dataset, _ = prepare(block.model_copy(update={"source": str(ROOT / block.source)}), params.seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, block)
    x = scaling(dataset.train.x)
    selected = fit_selection(x, dataset.train.y, dataset.schema, model.select, params.seed, scaling.feature_names)
    return model, dataset, scaling.with_steps(*selected.steps)


def changed(model: Model, **training: object) -> Model:
    tree = model.model_dump(mode="json")
    tree["training"] |= training
    return Model.model_validate_json(json.dumps(tree))


def test_every_family_is_among_them() -> None:
    assert {ready(name)[0].network.family for name in MODELS} >= {"mlp", "cnn", "rnn"}


@pytest.mark.parametrize("name", MODELS)
def test_the_suggestion_is_sane_and_teaches(name: str, tmp_path: Path) -> None:
    model, dataset, chain = ready(name)
    seen = run_sweep(name, model, dataset, chain, seed=42)
    assert seen.learning_rates[0] == MIN_LR
    assert len(seen.learning_rates) == len(seen.losses) <= NUM_STEPS
    rate = suggest_lr(name, seen)
    assert 5e-4 <= rate <= 0.1
    optimizer = model.training.optimizer.model_dump() | {"lr": rate}
    better = changed(model, optimizer=optimizer, max_epochs=8)
    fitted = fit(name, better, dataset, chain, seed=42, checkpoint_folder=tmp_path, on_epoch=lambda *_: None)
    assert fitted.history["val/loss"].min() < 0.5 * seen.losses[:20].mean()


def test_a_sweep_repeats_itself_and_leaves_the_schedule_out() -> None:
    model, dataset, chain = ready("mlp")
    assert model.training.schedule.name == "one_cycle"
    one = run_sweep("mlp", model, dataset, chain, seed=1)
    other = run_sweep("mlp", changed(model, schedule={"name": "constant"}, devices=2), dataset, chain, seed=1)
    np.testing.assert_array_equal(one.losses, other.losses)
    np.testing.assert_array_equal(one.baseline_losses, other.baseline_losses)


@pytest.mark.parametrize("name", MODELS)
def test_losses_at_rest_are_those_of_the_same_batches(name: str) -> None:
    """Rows, dropped units and noise are the same, so that nothing is between the two before weights have moved."""
    model, dataset, chain = ready(name)
    seen = run_sweep(name, model, dataset, chain, seed=3)
    assert seen.baseline_losses.std() > 0.005 * seen.baseline_losses.mean()
    np.testing.assert_allclose(seen.losses[:10], seen.baseline_losses[:10], rtol=1e-2, atol=1e-4)
    assert np.abs(seen.loss_decreases[-20:]).max() > 0.1


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_few_rows_do_not_hide_that_the_loss_falls(seed: int) -> None:
    model, dataset, chain = ready("lstm")
    assert model.training.batch_size == 16
    assert 5e-4 <= suggest_lr("lstm", run_sweep("lstm", model, dataset, chain, seed=seed)) <= 0.1


def test_a_sweep_ends_where_the_loss_explodes() -> None:
    model, dataset, chain = ready("mlp_regression")
    seen = run_sweep("m", model, dataset, chain, seed=1)
    assert len(seen.learning_rates) < NUM_STEPS
    risen = seen.smoothed_losses - np.minimum.accumulate(seen.smoothed_losses)
    assert risen[-1] > seen.smoothed_losses[0] > risen[:-1].max()


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_cannot_learn_says_so(seed: int) -> None:
    """All weights begin at 0, so that only the output's bias could learn; but the classes are as many of each."""
    model, dataset, chain = ready("mlp")
    dull = model.model_copy(update={"network": Mlp(family="mlp", hidden=(8,), init="zero")})
    rows = (Split(r.x, np.arange(len(r)) % 2, r.rows) for r in dataset.splits().values())
    with pytest.raises(TrainingError, match="the loss of m must fall at some rate"):
        suggest_lr("m", run_sweep("m", dull, Dataset(dataset.schema, *rows), chain, seed=seed))
