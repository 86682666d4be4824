"""What cannot be where two networks learn from each other."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.config.networks.gan import Gan
from fivefold.errors import ParamsError

from .example import Tree, example

LETTERS = {
    "kind": "text",
    "source": "a.csv",
    "task": "classification",
    "target": "y",
    "text": "t",
    "length": 4,
    "split": {"validation": 0.1, "test": 0.1, "by": "stratified"},
}


def tree(dataset: str = "pens", **changes: Any) -> Tree:
    """The example with a gan on one of its datasets; keys with two underscores are dotted."""
    found = example()
    found["datasets"]["letters"] = LETTERS
    found["models"]["maker"] = {
        "dataset": dataset,
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "gan"},
        "training": {"optimizer": {"name": "adam", "lr": 0.001}},
    }
    for key, value in changes.items():
        node, (*above, last) = found["models"]["maker"], key.split("__")
        for part in above:
            node = node.setdefault(part, {})
        node[last] = value
    return found


def said(dataset: str = "pens", **changes: Any) -> str:
    with pytest.raises(ParamsError) as caught:
        parse_params(tree(dataset, **changes))
    return str(caught.value).removeprefix("params.yaml: models.maker.")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depends_on": "wide", "network__condition": "projection"},
        {"network__design": "dcgan", "network__augment": {}, "network__output": "sigmoid"},
        {"network__loss": {"name": "wasserstein_gp", "penalty": 1.0}, "network__norm": "spectral"},
        {"dataset": "cells", "network__condition": "label"},
        {"dataset": "mixes"},
        {"dataset": "cells", "network__condition": "label", "training__imbalance": "sampling", "network__pac": 2},
    ],
)
def test_what_goes_together_is_taken(changes: dict[str, Any]) -> None:
    parse_params(tree(**changes))


@pytest.mark.parametrize(
    ("dataset", "changes", "text"),
    [
        ("letters", {}, "network.family: gan makes images and rows of tables, but letters is of kind text; choose"),
        (
            "mixes",
            {"network__condition": "label"},
            "network.conditioning: label needs classes, but the task is regression",
        ),
        (
            "cells",
            {"network__design": "dcgan"},
            "network.architecture: dcgan makes images, but cells is of kind table; choose",
        ),
        ("cells", {"network__augment": {}}, "network.augment: it alters images, but cells is of kind table; leave it"),
        (
            "mixes",
            {"network__output": "sigmoid"},
            "network.output_activation: sigmoid makes pixels, but a table has numbers of any size; choose linear",
        ),
        (
            "pens",
            {"select": {"method": "pca", "components": 2}},
            "network.family: a gan makes whole records; set select",
        ),
        (
            "pens",
            {"network__loss": {"name": "hinge", "label_smoothing": 0.1}},
            "network.loss.label_smoothing is not a known key",
        ),
        ("pens", {"network__loss": {"name": "minimax", "penalty": 1.0}}, "network.loss.lambda_gp is not a known key"),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_gp", "clip": 0.1}},
            "network.loss.clip_value is not a known key",
        ),
        ("pens", {"network__augment": {"zoom": 0.1}}, "network.augment.zoom is not a known key, but holds 0.1; remove"),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_gp"}, "network__norm": "batch"},
            "network.norm: the penalty is of each record alone, but batch norm mixes them; choose none or spectral",
        ),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_clip"}, "network__norm": "spectral"},
            "network.norm: spectral holds the critic as clipping does; choose none, or another loss",
        ),
        (
            "pens",
            {"training__loss": {"name": "mse"}},
            "training.loss.name: a gan's loss is network.loss, so it must be",
        ),
        (
            "cells",
            {"training__imbalance": "sampling"},
            "training.class_balance: a gan can be shown classes alike, by sampling where condition asks for them, but it is"
            " sampling and condition none; leave it out",
        ),
        (
            "cells",
            {"training__imbalance": "weights", "network__condition": "label"},
            "training.class_balance: a gan can be shown classes alike, by sampling",
        ),
        (
            "cells",
            {"network__pac": 7},
            "training.batch_size: it must be a multiple of pac times accumulate times devices, 7, but is",
        ),
        ("pens", {"training__compile": True}, "training.compile: is not of two networks that learn from each other;"),
        (
            "pens",
            {"training__start": {"model": "wide"}},
            "training.pretrained: is not of two networks that learn from each",
        ),
        ("pens", {"training__augment": {"rotation": 9.0}}, "training.augment: a gan would make altered records; leave"),
        (
            "pens",
            {"training__schedule": {"name": "plateau"}},
            "training.schedule.name: plateau follows a loss, but a gan",
        ),
        (
            "pens",
            {"network__numbers": "scaled"},
            "network.numeric_transform: it is of tables, but pens is of kind images; leave",
        ),
        (
            "pens",
            {"training__patience": 3},
            "training.patience: records are looked at every 5 epochs, so it must be as much or 0, but is 3; set it so,"
            " or lower network.validate_every",
        ),
        (
            "pens",
            {"network__evaluate_every": 50},
            "training.patience: records are looked at every 50 epochs, so it must be as much or 0, but is 10, the"
            " default; set it so, or lower network.validate_every",
        ),
        (
            "pens",
            {"training__precision": "bf16", "network__r1": 1.0},
            "training.precision: slopes need 32 bits, but it is bf16; leave it out",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(dataset: str, changes: dict[str, Any], text: str) -> None:
    line = said(dataset, **changes)
    assert "\n" not in line
    assert line.removeprefix("network.").startswith(text.removeprefix("network."))


@pytest.mark.parametrize(
    ("chosen", "norm"),
    [
        ({}, "none"),
        ({"architecture": "dcgan"}, "batch"),
        ({"architecture": "resnet"}, "spectral"),
        ({"architecture": "stylegan"}, "none"),
        ({"architecture": "dcgan", "loss": {"name": "wasserstein_gp"}}, "none"),
        ({"architecture": "dcgan", "loss": {"name": "wasserstein_clip"}}, "none"),
        ({"architecture": "resnet", "norm": "batch"}, "batch"),
        ({"architecture": "resnet", "loss": {"name": "wasserstein_gp"}, "norm": "spectral"}, "spectral"),
    ],
)
def test_the_critic_s_norm_is_that_of_its_source_if_nothing_else_is_asked_for(
    chosen: dict[str, Any], norm: str
) -> None:
    assert Gan(family="gan", **chosen).discriminator_norm == norm


def test_without_a_target_there_is_no_class_to_ask_for_and_no_judge() -> None:
    found = tree("mixes")
    found["datasets"]["mixes"] |= {"task": "unsupervised"}
    del found["datasets"]["mixes"]["target"], found["models"]["line"]
    assert parse_params(found).models["maker"].dataset == "mixes"
    found["models"]["maker"]["depends_on"] = "flat"
    text = (
        "models.maker.depends_on: a judge must be a classifier of mixes, but its task is unsupervised; set it to none"
    )
    with pytest.raises(ParamsError, match=text):
        parse_params(found)
    found["models"]["maker"] |= {"depends_on": "none", "network": {"family": "gan", "condition": "label"}}
    with pytest.raises(
        ParamsError, match=r"conditioning: label needs classes, but the task is unsupervised; choose none"
    ):
        parse_params(found)
