"""A small params.yaml that the tests of this room break in every way."""

import copy
from typing import Any

from ruamel.yaml import YAML

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
    select: {method: k_best, score: chi2, k: 2}
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
    return copy.deepcopy(YAML(typ="safe", pure=True).load(TEXT))


def changed(dotted: str, value: object = ABSENT) -> Tree:
    """The example with one value set, or with the key taken out."""
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
    """The example with one more dataset or model, a copy of the first under another name."""
    tree = example()
    tree[block][name] = copy.deepcopy(next(iter(tree[block].values())))
    return tree
