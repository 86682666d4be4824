"""Search spaces, models and waiting, shared by the tests of studies."""

import time
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML

from fivefold.tuning.space import SearchSpace

PARAMS = """
seed: 0
training:
  max_epochs: 10
  batch_size: 16
  optimizer: {name: adamw, lr: 1e-3, weight_decay: 0.1}
datasets:
  cells:
    kind: table
    source: data/raw/cells.csv
    task: classification
    target: infected
    split: {validation: 0.15, test: 0.15, by: stratified}
    normalize: minmax
models:
  flat:
    dataset: cells
    depends_on: none
    select: {method: k_best, score_func: chi2, k: 2}
    network: {family: mlp, hidden: [8]}
    training: {batch_size: 4, optimizer: {lr: 2e-2}}
"""

SEARCH = """
select: {k: {type: int, low: 1, high: 2}}
network:
  hidden: {type: categorical, choices: [[8], [16, 8]]}
  norm: {type: categorical, choices: [none, batch]}
  dropout: {type: float, low: 0.0, high: 0.5, when: {network.norm: none}}
training:
  optimizer:
    momentum: {type: float, low: 0.5, high: 0.99, when: {training.optimizer.name: sgd}}
    name: {type: categorical, choices: [adamw, sgd]}
    lr: {type: float, low: 0.001, high: 0.1, log: true}
"""

LR_SEARCH = {"training": {"optimizer": {"lr": {"type": "float", "low": 0.001, "high": 0.03, "log": True}}}}


def search_space(tmp_path: Path, search: str) -> SearchSpace:
    """Return the search space of model `flat` with the given `search` block."""
    tree = YAML(typ="safe", pure=True).load(PARAMS)
    tree["models"]["flat"]["search"] = YAML(typ="safe", pure=True).load(search)
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)
    return SearchSpace.read("flat", path)


def wait_until(condition: Callable[[], object], seconds: float = 90) -> None:
    """Wait until a condition is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timeout"
        time.sleep(0.05)
