"""Validation rules of autoencoders."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .helpers import example

VAE = {"variant": {"name": "variational"}}


def autoencoder_tree(
    dataset: str = "pens", training: dict[str, Any] | None = None, select: str = "none", **network: Any
) -> Any:
    """Return the example with an autoencoder `auto` on one of its datasets."""
    tree = example()
    tree["models"]["auto"] = {
        "dataset": dataset,
        "depends_on": "none",
        "select": {"method": "none"} if select == "none" else {"method": "pca", "n_components": 2},
        "network": {"family": "autoencoder", **network},
        "training": training or {},
    }
    return tree


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"architecture": "conv", "hidden": [4], "output_activation": "sigmoid"},
        {**VAE, "mode": {"name": "generation"}},
        {"variant": {"name": "denoising"}, "mode": {"name": "denoising"}},
        {"variant": {"name": "denoising", "amount": 1.5}},
        {"variant": {"name": "denoising", "noise": "masking", "amount": 1.0}},
        {"mode": {"name": "anomaly", "normal_classes": ["a"]}},
        {"latent_activation": "sigmoid", "variant": {"name": "sparse", "penalty": "kl"}},
    ],
)
def test_compatible_options_are_accepted(network: dict[str, Any]) -> None:
    params = parse_params(autoencoder_tree(**network))
    assert params.models["auto"].network.family == "autoencoder"


@pytest.mark.parametrize(
    ("network", "training", "dataset", "message"),
    [
        (
            {"architecture": "recurrent"},
            {},
            "pens",
            "network.architecture: recurrent does not support pens, which is of kind images; choose dense or conv",
        ),
        (
            {"architecture": "conv"},
            {},
            "cells",
            "network.architecture: conv does not support cells, which is of kind table; choose dense",
        ),
        (
            {"output_activation": "sigmoid"},
            {},
            "mixes",
            "network.output_activation: sigmoid outputs values between 0 and 1, but normalize is standard; choose"
            " minmax",
        ),
        (
            {"variant": {"name": "denoising", "noise": "masking", "amount": 1.5}},
            {},
            "pens",
            "network.variant.amount: must be at most 1 for masking, a fraction of the features, but is 1.5; lower it",
        ),
        (
            {"variant": {"name": "denoising", "noise": "salt_and_pepper", "amount": 3.0}},
            {},
            "pens",
            "network.variant.amount: must be at most 1 for salt_and_pepper, a fraction of the features, but is 3;"
            " lower it",
        ),
        (
            {"mode": {"name": "generation"}},
            {},
            "pens",
            "network.mode.name: generation needs variant variational, but variant is plain; choose it",
        ),
        (
            {"mode": {"name": "denoising"}},
            {},
            "pens",
            "network.mode.name: denoising needs variant denoising, but variant is plain; choose it",
        ),
        (
            {"variant": {"name": "sparse", "penalty": "kl"}},
            {},
            "pens",
            "network.variant.penalty: kl needs activations between 0 and 1, but latent_activation is linear; set it"
            " to sigmoid",
        ),
        (
            {**VAE, "latent_activation": "relu"},
            {},
            "pens",
            "network.latent_activation: must be linear for the variational variant, but is relu; remove it",
        ),
        (
            VAE,
            {"loss": {"name": "mae"}},
            "pens",
            "training.loss.name: the variational variant needs a likelihood, mse or bce, but it is mae; choose one",
        ),
        (
            {},
            {"loss": {"name": "bce"}},
            "pens",
            "training.loss.name: bce needs outputs between 0 and 1; set network.output_activation to sigmoid",
        ),
        (
            {},
            {"loss": {"name": "focal"}},
            "pens",
            "training.loss.name: must be one of auto, mse, mae, huber, bce for an autoencoder, but is focal; choose"
            " one",
        ),
        (
            {},
            {"class_balance": "weighted_loss"},
            "pens",
            "training.class_balance: applies to supervised models only, not to an autoencoder; remove it",
        ),
        (
            {},
            {"augment": {"rotation": 5}},
            "pens",
            "training.augment: an autoencoder would reconstruct augmented samples; remove it, or choose variant"
            " denoising",
        ),
        (
            {"mode": {"name": "anomaly", "normal_classes": ["a"]}},
            {},
            "mixes",
            "network.mode.normal_classes: needs classes, but the task is regression; remove it",
        ),
        (
            {},
            {"accumulate_grad_batches": 99},
            "pens",
            "training.accumulate_grad_batches: accumulate_grad_batches x devices must be at most batch_size, 16, but"
            " is 99; raise batch_size",
        ),
    ],
)
def test_incompatible_options_are_rejected(network: dict[str, Any], training: Any, dataset: str, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(autoencoder_tree(dataset, training, **network))
    assert message in str(error.value)
    assert "models.auto." in str(error.value)


def test_feature_selection_is_rejected() -> None:
    with pytest.raises(
        ParamsError, match=r"models\.auto\.network\.family: an autoencoder learns its own features; set"
    ):
        parse_params(autoencoder_tree(select="pca"))


def test_supervised_selection_needs_a_target() -> None:
    tree = autoencoder_tree()
    tree["datasets"]["pens"] |= {"task": "unsupervised", "split": {"validation": 0.2, "test": 0.2, "by": "random"}}
    tree["models"] = {"auto": tree["models"]["auto"]}
    assert parse_params(tree).datasets["pens"].task == "unsupervised"
    tree["models"]["auto"]["select"] = {"method": "rfe", "n_features_to_select": 3}
    message = r"models\.auto\.select\.method: rfe needs a target, but the task of pens is unsupervised; choose none"
    with pytest.raises(ParamsError, match=message):
        parse_params(tree)
