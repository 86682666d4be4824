"""A small project, and studies of it whose trials are put in by hand: nothing is trained."""

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
# about the project
seed: 0                      # of everything
training:
  max_epochs: 3              # passes
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
  net:                       # the one that is searched
    dataset: cells
    depends_on: none
    select: {method: none}
    network:
      family: mlp
      hidden: [8]            # units
      # share of units that are switched off
      dropout: 0.1           # in training
    training: {}             # nothing of its own
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

OWN_VALUES = {
    "network.hidden": [8],
    "network.dropout": 0.1,
    "training.optimizer.name": "adamw",
    "training.optimizer.lr": 0.003,
}
SGD = {"training.optimizer.name": "sgd", "training.optimizer.momentum": 0.87654}
WAYS = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def project(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = TEXT) -> None:
    """Make `folder` a project and go there."""
    monkeypatch.chdir(folder)
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI", "FIVEFOLD_STUDY_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    (folder / ".dvc").mkdir()
    (folder / "params.yaml").write_text(text)
    rows = np.random.default_rng(0).normal(size=(60, 2)).round(3)
    lines = [f"{a},{b},{'ab'[int(a > 0)]}" for a, b in rows]
    (folder / "cells.csv").write_text("\n".join(["u,v,y", *lines, ""]))


def opened(name: str = "net") -> tuple[Search, TrialQueue]:
    """The study of model `net`, as it is when it begins."""
    search = Search.read("net")
    return search, TrialQueue.open(name, search.identity(), search.directions())


def add(
    pair: tuple[Search, TrialQueue],
    folds: Sequence[float] = (),
    values: Mapping[str, Any] = {},
    state: str = "complete",
    reason: str = "",
    **more: Any,
) -> None:
    """Put a trial into a study: params.yaml's own values but for `values`."""
    search, trials = pair
    wanted = {**OWN_VALUES, **values}
    tried = {key: wanted[key] for key in search.space.ranges if key in wanted}
    scores = [{"accuracy": fold, **more} for fold in folds]
    attributes = {
        TRIAL_PARAMS: tried, FOLD_SCORES: scores, INTERMEDIATE_VALUES: [0.1, more.pop("curve", 0.5)], COMPUTE_SECONDS: 1.5, REASON: reason,
        IS_BASELINE: tried == OWN_VALUES, MODEL_BLOCK: {key: search.space.build_block(tried)[key] for key in SEARCHABLE_BLOCKS},
    }  # fmt: skip
    means = {"score": sum(folds) / len(folds), **more} if folds else {}
    if state == "complete":
        attributes[MEAN_SCORES] = means
    ways = to_distributions(search.space.ranges)
    done = [float(means[each]) for each in search.study.objectives] if state == "complete" else None
    trials.study.add_trial(
        create_trial(
            state=WAYS[state], values=done, params=search.space.encode_values(tried),
            distributions={key: ways[key] for key in tried}, user_attrs=attributes,
        )
    )  # fmt: skip
