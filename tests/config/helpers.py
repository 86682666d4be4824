"""A small valid params.yaml and functions that modify it."""

import copy
from typing import Any

import pytest
from ruamel.yaml import YAML

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

Tree = dict[str, Any]

TEXT = """
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
    target: yes
    split: {validation: 0.15, test: 0.15, by: stratified}
    normalize: minmax
  mixes:
    kind: table
    source: data/raw/mixes.csv
    task: regression
    target: strength
    split: {validation: 0.15, test: 0.15, by: random}
    normalize: standard
  pens:
    kind: images
    source: data/raw/pens.npz
    task: classification
    split: {validation: 0.15, test: 0.15, by: stratified}
    normalize: minmax
models:
  flat:
    dataset: cells
    depends_on: none
    select: {method: k_best, score_func: chi2, k: 2}
    network: {family: mlp, hidden: [8]}
    training: {batch_size: 4, optimizer: {lr: 2e-2}}
  line:
    dataset: mixes
    depends_on: none
    select: {method: none}
    network: {family: mlp}
    training: {optimizer: {name: sgd, lr: 0.5}}
  wide:
    dataset: pens
    depends_on: none
    select: {method: none}
    network: {family: cnn, architecture: plain, channels: [4, 8]}
    training: {}
"""

ABSENT = object()


def example() -> Tree:
    """Return the parsed example."""
    return copy.deepcopy(YAML(typ="safe", pure=True).load(TEXT))


def changed(dotted: str, value: object = ABSENT) -> Tree:
    """Return the example with one value set, or with the key removed."""
    tree = node = example()
    *above, last = dotted.split(".")
    for key in above:
        node = node[key]
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return tree


def renamed(block: str, name: object) -> Tree:
    """Return the example with a copy of the first dataset or model under another name."""
    tree = example()
    tree[block][name] = copy.deepcopy(next(iter(tree[block].values())))
    return tree


LETTERS = {
    "kind": "text",
    "source": "a.csv",
    "task": "classification",
    "target": "y",
    "text": "t",
    "max_length": 4,
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
}


def gan_tree(dataset: str = "pens", **changes: Any) -> Tree:
    """Return the example with a GAN `maker` on one of its datasets; keys with two underscores are dotted."""
    tree = example()
    tree["datasets"]["letters"] = LETTERS
    tree["models"]["maker"] = {
        "dataset": dataset,
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "gan"},
        "training": {"optimizer": {"name": "adam", "lr": 0.001}},
    }
    for key, value in changes.items():
        node, (*above, last) = tree["models"]["maker"], key.split("__")
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def gan_error(dataset: str = "pens", **changes: Any) -> str:
    """Return the error message of `gan_tree`, without the path of the model."""
    with pytest.raises(ParamsError) as error:
        parse_params(gan_tree(dataset, **changes))
    return str(error.value).removeprefix("params.yaml: models.maker.")
