"""Validation rules of GANs."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.config.networks.gan import Gan
from fivefold.errors import ParamsError

from .helpers import gan_error, gan_tree


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depends_on": "wide", "network__conditioning": "projection"},
        {"network__architecture": "dcgan", "network__augment": {}, "network__output_activation": "sigmoid"},
        {"network__loss": {"name": "wasserstein_gp", "lambda_gp": 1.0}, "network__norm": "spectral"},
        {"dataset": "cells", "network__conditioning": "label"},
        {"dataset": "mixes"},
        {
            "dataset": "cells",
            "network__conditioning": "label",
            "training__class_balance": "weighted_sampler",
            "network__pac": 2,
        },
    ],
)
def test_compatible_options_are_accepted(changes: dict[str, Any]) -> None:
    parse_params(gan_tree(**changes))


@pytest.mark.parametrize(
    ("dataset", "changes", "message"),
    [
        (
            "letters",
            {},
            "network.family: gan generates images and table rows, but letters is of kind text; choose another family",
        ),
        (
            "mixes",
            {"network__conditioning": "label"},
            "network.conditioning: label needs classes, but the task is regression",
        ),
        (
            "cells",
            {"network__architecture": "dcgan"},
            "network.architecture: dcgan generates images, but cells is of kind table; choose dense",
        ),
        (
            "cells",
            {"network__augment": {}},
            "network.augment: applies to images, but cells is of kind table; remove it",
        ),
        (
            "mixes",
            {"network__output_activation": "sigmoid"},
            "network.output_activation: sigmoid is for pixels, but table columns are unbounded; choose linear",
        ),
        (
            "pens",
            {"select": {"method": "pca", "n_components": 2}},
            "network.family: a gan generates complete samples; set select {method: none}",
        ),
        (
            "pens",
            {"network__loss": {"name": "hinge", "label_smoothing": 0.1}},
            "network.loss.label_smoothing is not a known key",
        ),
        ("pens", {"network__loss": {"name": "minimax", "lambda_gp": 1.0}}, "network.loss.lambda_gp is not a known key"),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_gp", "clip_value": 0.1}},
            "network.loss.clip_value is not a known key",
        ),
        (
            "pens",
            {"network__augment": {"zoom": 0.1}},
            "network.augment.zoom is not a known key, but is set to 0.1; remove it; params.schema.json lists the keys",
        ),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_gp"}, "network__norm": "batch"},
            "network.norm: the gradient penalty is per sample, but batch norm mixes samples; choose none or spectral",
        ),
        (
            "pens",
            {"network__loss": {"name": "wasserstein_clip"}, "network__norm": "spectral"},
            "network.norm: spectral and wasserstein_clip both constrain the critic; choose none, or another loss",
        ),
        (
            "pens",
            {"training__loss": {"name": "mse"}},
            "training.loss.name: the loss of a gan is network.loss, so this must be auto, but is mse; remove it",
        ),
        (
            "cells",
            {"training__class_balance": "weighted_sampler"},
            "training.class_balance: a gan supports weighted_sampler with conditioning only, but class_balance is"
            " weighted_sampler and network.conditioning none; remove it",
        ),
        (
            "cells",
            {"training__class_balance": "weighted_loss", "network__conditioning": "label"},
            "training.class_balance: a gan supports weighted_sampler with conditioning only, but class_balance is"
            " weighted_loss and network.conditioning label; remove it",
        ),
        (
            "cells",
            {"network__pac": 7},
            "training.batch_size: must be a multiple of network.pac x accumulate_grad_batches x devices, 7, but is"
            " 16; change it",
        ),
        ("pens", {"training__compile": True}, "training.compile: is not supported by a gan; remove it"),
        (
            "pens",
            {"training__pretrained": {"model": "wide"}},
            "training.pretrained: is not supported by a gan; remove it",
        ),
        (
            "pens",
            {"training__augment": {"rotation": 9.0}},
            "training.augment: a gan would generate augmented samples; remove it, or use network.augment",
        ),
        (
            "pens",
            {"training__schedule": {"name": "plateau"}},
            "training.schedule.name: plateau monitors a single loss, but a gan has two; choose constant or cosine",
        ),
        (
            "pens",
            {"network__numeric_transform": "none"},
            "network.numeric_transform: applies to tables, but pens is of kind images; remove it",
        ),
        (
            "pens",
            {"training__patience": 3},
            "training.patience: must be 0 or at least network.validate_every, 5, but is 3; raise it, or lower"
            " network.validate_every",
        ),
        (
            "pens",
            {"network__validate_every": 50},
            "training.patience: must be 0 or at least network.validate_every, 50, but is 10, the default; raise it,"
            " or lower network.validate_every",
        ),
        (
            "pens",
            {"training__precision": "bf16", "network__r1": 1.0},
            "training.precision: gradient penalties need precision 32, but it is bf16; remove it",
        ),
    ],
)
def test_incompatible_options_are_rejected_in_one_line(dataset: str, changes: dict[str, Any], message: str) -> None:
    error = gan_error(dataset, **changes)
    assert "\n" not in error
    assert error.startswith(message)


@pytest.mark.parametrize(
    ("options", "norm"),
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
def test_default_norm_of_the_discriminator_follows_the_paper(options: dict[str, Any], norm: str) -> None:
    assert Gan(family="gan", **options).discriminator_norm == norm


def test_unsupervised_dataset_supports_neither_conditioning_nor_a_reference_model() -> None:
    tree = gan_tree("mixes")
    tree["datasets"]["mixes"] |= {"task": "unsupervised"}
    del tree["datasets"]["mixes"]["target"], tree["models"]["line"]
    assert parse_params(tree).models["maker"].dataset == "mixes"
    tree["models"]["maker"]["depends_on"] = "flat"
    message = (
        "models.maker.depends_on: a reference model needs classes, but the task of mixes is unsupervised;"
        " set it to none"
    )
    with pytest.raises(ParamsError, match=message):
        parse_params(tree)
    tree["models"]["maker"] |= {"depends_on": "none", "network": {"family": "gan", "conditioning": "label"}}
    with pytest.raises(
        ParamsError, match=r"conditioning: label needs classes, but the task is unsupervised; choose none"
    ):
        parse_params(tree)
