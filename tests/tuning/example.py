"""A small project, and studies of it to which trials are added without training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial

from fivefold.config.search import SEARCHABLE_BLOCKS
from fivefold.tuning.distributions import to_distributions
from fivefold.tuning.execution.trials import TrialQueue
from fivefold.tuning.identity import (
    COMPUTE_SECONDS,
    FOLD_SCORES,
    INTERMEDIATE_VALUES,
    IS_BASELINE,
    MEAN_SCORES,
    MODEL_BLOCK,
    REASON,
    TRIAL_PARAMS,
)
from fivefold.tuning.search import Search

TEXT = """\
# an example
seed: 0                      # all random numbers
training:
  max_epochs: 3              # epochs
  optimizer: {name: adamw, lr: 0.003, weight_decay: 0.01}
datasets:
  cells:
    kind: table
    source: cells.csv
    task: classification
    target: y
    split: {validation: 0.2, test: 0.2, by: random}
    normalize: standard
models:
  net:                       # the searched model
    dataset: cells
    depends_on: none
    select: {method: none}
    network:
      family: mlp
      hidden: [8]            # units
      # probability of dropping a unit
      dropout: 0.1           # training only
    training: {}             # no overrides
    study: {folds: 3, metric: accuracy}
    search:
      network:
        hidden: {type: categorical, choices: [[8], [16, 8]]}
        dropout: {type: float, low: 0.0, high: 0.5}
      training:
        optimizer:
          name: {type: categorical, choices: [adamw, sgd]}
          lr: {type: float, low: 0.0003, high: 0.03, log: true}
          momentum: {type: float, low: 0.5, high: 0.99, when: {training.optimizer.name: sgd}}
  other:
    dataset: cells
    depends_on: none
    select: {method: none}
    network: {family: mlp, hidden: [8]}
    training: {}
"""

BASELINE_VALUES = {
    "network.hidden": [8],
    "network.dropout": 0.1,
    "training.optimizer.name": "adamw",
    "training.optimizer.lr": 0.003,
}
SGD = {"training.optimizer.name": "sgd", "training.optimizer.momentum": 0.87654}
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def create_project(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = TEXT) -> None:
    """Create a project in `folder` and change to it."""
    monkeypatch.chdir(folder)
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "FIVEFOLD_STUDY_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    (folder / ".dvc").mkdir()
    (folder / "params.yaml").write_text(text)
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    lines = [f"{a},{b},{'ab'[int(a > 0)]}" for a, b in rows]
    (folder / "cells.csv").write_text("\n".join(["u,v,y", *lines, ""]))


def open_example(name: str = "net") -> tuple[Search, TrialQueue]:
    """Return the search of model `net` and its study, which is created if it does not exist."""
    search = Search.read("net")
    return search, TrialQueue.open(name, search.identity(), search.directions())


def add_trial(
    study: tuple[Search, TrialQueue],
    folds: Sequence[float] = (),
    values: Mapping[str, Any] = {},
    state: str = "complete",
    reason: str = "",
    **metrics: Any,
) -> None:
    """Add a trial to a study; its values are those of params.yaml, updated by `values`."""
    search, trials = study
    all_values = {**BASELINE_VALUES, **values}
    params = {key: all_values[key] for key in search.space.ranges if key in all_values}
    scores = [{"accuracy": fold, **metrics} for fold in folds]
    block = search.space.build_block(params)
    attributes = {
        TRIAL_PARAMS: params,
        FOLD_SCORES: scores,
        INTERMEDIATE_VALUES: [0.1, metrics.pop("curve", 0.5)],
        COMPUTE_SECONDS: 1.5,
        REASON: reason,
        IS_BASELINE: params == BASELINE_VALUES,
        MODEL_BLOCK: {key: block[key] for key in SEARCHABLE_BLOCKS},
    }
    means = {"score": sum(folds) / len(folds), **metrics} if folds else {}
    if state == "complete":
        attributes[MEAN_SCORES] = means
    distributions = to_distributions(search.space.ranges)
    objectives = [float(means[name]) for name in search.study.objectives] if state == "complete" else None
    trials.study.add_trial(
        create_trial(
            state=STATES[state], values=objectives, params=search.space.encode_values(params),
            distributions={key: distributions[key] for key in params}, user_attrs=attributes,
        )
    )  # fmt: skip
