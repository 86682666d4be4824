"""The rate that is suggested for the default models, and what is learnt with it."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from fivefold.data.prepared import prepare
from fivefold.data.records import Dataset, Records
from fivefold.errors import TrainingError
from fivefold.params.load import load_params
from fivefold.params.models import Model
from fivefold.preprocessing.chain import Chain
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import fit_selection
from fivefold.rates.suggestion import suggestion
from fivefold.rates.sweep import LOWEST, STEPS, sweep
from fivefold.training.fit import fit

ROOT = Path(__file__).parents[2]
MODELS = ("mlp", "mlp_regression", "cnn")


@cache
def ready(name: str) -> tuple[Model, Dataset, Chain]:
    """A model with what the stages before training make for it."""
    params = load_params(ROOT / "params.yaml")
    model = params.model(name)
    block = params.dataset(model.dataset)
    dataset, _ = prepare(block.model_copy(update={"source": str(ROOT / block.source)}), params.seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, block)
    x = scaling(dataset.train.x)
    selected = fit_selection(x, dataset.train.y, dataset.schema, model.select, params.seed, scaling.names)
    return model, dataset, scaling.then(*selected.steps)


def changed(model: Model, **training: object) -> Model:
    tree = model.model_dump(mode="json")
    tree["training"] |= training
    return Model.model_validate_json(json.dumps(tree))


@pytest.mark.parametrize("name", MODELS)
def test_the_suggestion_is_sane_and_teaches(name: str, tmp_path: Path) -> None:
    model, dataset, chain = ready(name)
    seen = sweep(name, model, dataset, chain, seed=42)
    assert seen.rates[0] == LOWEST
    assert len(seen.rates) == len(seen.losses) <= STEPS
    rate = suggestion(name, seen)
    assert 5e-4 <= rate <= 0.1
    optimizer = model.training.optimizer.model_dump() | {"lr": rate}
    better = changed(model, optimizer=optimizer, max_epochs=8)
    fitted = fit(name, better, dataset, chain, seed=42, checkpoints=tmp_path, on_epoch=lambda *_: None)
    assert fitted.history["val/loss"].min() < 0.5 * seen.losses[:20].mean()


def test_a_sweep_repeats_itself_and_leaves_the_schedule_out() -> None:
    model, dataset, chain = ready("mlp")
    assert model.training.schedule.name == "one_cycle"
    one = sweep("mlp", model, dataset, chain, seed=1)
    other = sweep("mlp", changed(model, schedule={"name": "constant"}, devices=2), dataset, chain, seed=1)
    np.testing.assert_array_equal(one.losses, other.losses)


def test_a_sweep_ends_where_the_loss_explodes() -> None:
    model, dataset, chain = ready("mlp_regression")
    seen = sweep("m", model, dataset, chain, seed=1)
    assert len(seen.rates) < STEPS
    risen = seen.smoothed - np.minimum.accumulate(seen.smoothed)
    assert risen[-1] > seen.smoothed[0] > risen[:-1].max()


def test_a_network_that_cannot_learn_says_so() -> None:
    model, dataset, chain = ready("mlp")
    y = torch.arange(len(dataset.train)).numpy() % 2  # the classes say nothing, and are as many of each
    blind = Dataset(
        dataset.schema, *(Records(np.zeros_like(r.x), y[: len(r)], r.rows) for r in dataset.splits().values())
    )
    with pytest.raises(TrainingError, match="the loss of m must fall at some rate"):
        suggestion("m", sweep("m", model, blind, chain, seed=1))
