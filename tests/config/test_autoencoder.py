"""What cannot be of an autoencoder is said before anything runs."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .example import example

VAE = {"variant": {"name": "variational"}}


def block(dataset: str = "pens", training: dict[str, Any] | None = None, select: str = "none", **network: Any) -> Any:
    tree = example()
    tree["models"]["auto"] = {
        "dataset": dataset,
        "depends_on": "none",
        "select": {"method": "none"} if select == "none" else {"method": "pca", "components": 2},
        "network": {"family": "autoencoder", **network},
        "training": training or {},
    }
    return tree


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"architecture": "conv", "hidden": [4], "output": "sigmoid"},
        {**VAE, "mode": {"name": "generation"}},
        {"variant": {"name": "denoising"}, "mode": {"name": "denoising"}},
        {"variant": {"name": "denoising", "amount": 1.5}},
        {"variant": {"name": "denoising", "noise": "masking", "amount": 1.0}},
        {"mode": {"name": "anomaly", "normal": ["a"]}},
        {"code": "sigmoid", "variant": {"name": "sparse", "penalty": "kl"}},
    ],
)
def test_what_suits_is_taken(network: dict[str, Any]) -> None:
    params = parse_params(block(**network))
    assert params.models["auto"].network.family == "autoencoder"


@pytest.mark.parametrize(
    ("network", "training", "dataset", "text"),
    [
        (
            {"architecture": "recurrent"},
            {},
            "pens",
            "network.architecture: recurrent does not suit pens, which is of kind images",
        ),
        (
            {"architecture": "conv"},
            {},
            "cells",
            "network.architecture: conv does not suit cells, which is of kind table; choose",
        ),
        (
            {"output": "sigmoid"},
            {},
            "mixes",
            "network.output_activation: sigmoid tells numbers between 0 and 1, but normalize is",
        ),
        (
            {"variant": {"name": "denoising", "noise": "masking", "amount": 1.5}},
            {},
            "pens",
            "network.variant.amount: masking spoils a share of the features, so it must be at most 1, but is 1.5;",
        ),
        (
            {"variant": {"name": "denoising", "noise": "salt_and_pepper", "amount": 3.0}},
            {},
            "pens",
            "network.variant.amount: salt_and_pepper spoils a share of the features, so it must be at most 1, but is 3",
        ),
        ({"mode": {"name": "generation"}}, {}, "pens", "generation draws codes, which variant plain cannot; choose"),
        (
            {"mode": {"name": "denoising"}},
            {},
            "pens",
            "denoising is learnt from noise, but variant is plain; choose",
        ),
        ({"variant": {"name": "sparse", "penalty": "kl"}}, {}, "pens", "kl is of codes between 0 and 1, but code is"),
        ({**VAE, "code": "relu"}, {}, "pens", "a variational code is a normal distribution's, so linear, but is relu"),
        (VAE, {"loss": {"name": "mae"}}, "pens", "training.loss.name: a likelihood is mse or bce, but not mae; choose"),
        (
            {},
            {"loss": {"name": "bce"}},
            "pens",
            "bce is of numbers between 0 and 1; set network.output_activation to sigmoid",
        ),
        ({}, {"loss": {"name": "focal"}}, "pens", "records can have auto, mse, mae, huber, bce, but not focal; choose"),
        ({}, {"class_balance": "weights"}, "pens", "training.class_balance: is of networks that learn targets, but an"),
        (
            {},
            {"augment": {"rotation": 5}},
            "pens",
            "training.augment: an autoencoder would tell altered records",
        ),
        (
            {"mode": {"name": "anomaly", "normal": ["a"]}},
            {},
            "mixes",
            "normal: names classes, but the task is",
        ),
        (
            {},
            {"accumulate_grad_batches": 99},
            "pens",
            "training.accumulate_grad_batches: a batch of 16 rows cannot go through in 99 parts",
        ),
    ],
)
def test_what_does_not_suit_is_refused(network: dict[str, Any], training: Any, dataset: str, text: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(block(dataset, training, **network))
    assert text in str(error.value)
    assert "models.auto." in str(error.value)


def test_features_are_not_selected_twice() -> None:
    with pytest.raises(ParamsError, match=r"models\.auto\.network\.family: an autoencoder finds its own features; set"):
        parse_params(block(select="pca"))


def test_a_selection_that_looks_at_a_target_needs_one() -> None:
    tree = block()
    tree["datasets"]["pens"] |= {"task": "unsupervised", "split": {"validation": 0.2, "test": 0.2, "by": "random"}}
    tree["models"] = {"auto": tree["models"]["auto"]}
    assert parse_params(tree).datasets["pens"].task == "unsupervised"
    tree["models"]["auto"]["select"] = {"method": "rfe", "k": 3}
    text = r"models\.auto\.select\.method: rfe looks at a target, but pens has none, since its task is unsupervised;"
    with pytest.raises(ParamsError, match=text):
        parse_params(tree)
