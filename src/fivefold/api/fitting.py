"""Fit a model to a prepared dataset."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytorch_lightning as pl

from ..autoconfig.default_model import propose_model
from ..config.loading import parse_params
from ..config.models import Model as ModelConfig
from ..data.dataset import Dataset
from ..errors import ParamsError
from ..models.serialization import TrainedModel
from ..preprocessing.scaling import fit_scaling
from ..preprocessing.selection import fit_selection
from ..training.fit import fit as fit_model
from ..training.supervised import adapt_dataset
from .model import Model
from .preparation import Block, PreparedDataset

TRAINING_DEFAULTS: Block = {
    "optimizer": {"name": "adamw", "lr": 0.003, "weight_decay": 0.01},
    "schedule": {"name": "one_cycle"},
    "gradient_clip_norm": 1.0,
}
"""Training options of `fit` where a model block sets nothing: those of a new project's params.yaml."""


def fit(
    model: Block | ModelConfig | None,
    dataset: PreparedDataset,
    *,
    seed: int = 0,
    callbacks: Sequence[pl.Callback] = (),
    on_epoch: Callable[[int, Mapping[str, float], bool], None] | None = None,
    verbose: bool = True,
) -> Model:
    """Fit preprocessing and network on the training rows of a dataset; validation rows choose the epoch.

    Args:
        model: a model block, or parts of one, `{"network": {...}, "training": {...}, "select": {...}}`; what is missing
            is proposed for the dataset. None proposes all of it.
        dataset: as `prepare` returns it.
        seed: of weights, batches and dropout.
        callbacks: Lightning callbacks.
        on_epoch: called after each epoch with its number from 0, its metrics, and whether it is the last.
        verbose: whether to show progress.

    Raises:
        ParamsError: the block is not valid, or does not fit the dataset.
        TrainingError: a loss is not finite, or memory does not suffice.
    """
    config = _model_config(model, dataset, seed)
    scaling = fit_scaling(dataset.train.x, dataset.schema, dataset.config)
    x, y = scaling(dataset.train.x), dataset.train.y
    selected = fit_selection(x, y, dataset.schema, config.select, seed, scaling.feature_names)
    pipeline = scaling.with_steps(*selected.steps, feature_names=selected.feature_names or None)
    plain = Dataset(dataset.schema, dataset.train, dataset.validation, dataset.test, checks=dataset.checks)
    rows = adapt_dataset(config, dataset.config, plain, pipeline)
    with TemporaryDirectory() as checkpoints:
        result = fit_model(
            "model",
            config,
            *rows,
            seed=seed,
            checkpoint_folder=Path(checkpoints),
            on_epoch=on_epoch or (lambda *_: None),
            callbacks=callbacks,
            verbose=verbose,
        )
    known = {"name": "model", "fingerprint": "", "params": {"seed": seed, **config.model_dump(mode="json")}}
    trained = TrainedModel(
        result.trained_model.model,
        result.trained_model.schema,
        result.trained_model.network_config,
        result.trained_model.loss_config,
        known | result.metadata(),
    )
    return Model(trained, result.history, json.loads(result.diagnosis.to_json()), plain)


def _model_config(model: Block | ModelConfig | None, dataset: PreparedDataset, seed: int) -> ModelConfig:
    """Return a complete model block, checked against the dataset as params.yaml is."""
    block = propose_model("data", dataset)
    if isinstance(model, ModelConfig):
        block = model.model_dump(mode="json", exclude_unset=True) | {"dataset": "data", "depends_on": "none"}
    elif model is not None:
        if model.get("depends_on", "none") != "none":
            raise ParamsError("depends_on must be none here, since `fit` trains a single model; use a project for it")
        block |= {key: value for key, value in model.items() if key != "training"} | {"dataset": "data"}
        block["training"] = dict(block["training"]) | dict(model.get("training", {}))
    tree = {
        "seed": seed,
        "training": dict(TRAINING_DEFAULTS),
        "datasets": {"data": dataset.config.model_dump(mode="json", exclude_unset=True)},
        "models": {"model": block},
    }
    return parse_params(tree).models["model"]
