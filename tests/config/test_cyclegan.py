"""Validation rules of CycleGAN."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .helpers import gan_error, gan_tree

CYCLE = {"family": "cyclegan"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depends_on": "wide", "network__target_class": "7", "network__pool_size": 0, "network__lambda_identity": 0.0},
        {
            "network__loss": {"name": "wasserstein_gp", "lambda_gp": 1.0},
            "network__discriminator": {"filters": 8, "layers": 2},
        },
        {"network__output_activation": "sigmoid", "training__precision": "bf16", "training__patience": 5},
        {"training__batch_size": 1, "training__schedule": {"name": "cosine"}, "training__ema_decay": 0.9},
    ],
)
def test_compatible_options_are_accepted(changes: dict[str, Any]) -> None:
    parse_params(gan_tree(network={**CYCLE}, **changes))


@pytest.mark.parametrize(
    ("dataset", "changes", "message"),
    [
        (
            "cells",
            {},
            "network.family: cyclegan translates images, but cells is of kind table; choose another family",
        ),
        (
            "letters",
            {},
            "network.family: cyclegan translates images, but letters is of kind text; choose another family",
        ),
        (
            "pens",
            {"select": {"method": "pca", "n_components": 2}},
            "network.family: a cyclegan translates complete images; set select {method: none}",
        ),
        (
            "pens",
            {"network__discriminator": {"hidden": [3]}},
            "network.discriminator.hidden is not a known key, but is set to [3]; remove it; params.schema.json lists"
            " the keys",
        ),
        ("pens", {"network__blocks": 0}, "network.blocks must be greater than 0, but is 0"),
        ("pens", {"network__lambda_cycle": -1.0}, "network.lambda_cycle must be greater than or equal to 0, but is -1"),
        (
            "pens",
            {"depends_on": "nobody"},
            "depends_on: must name a model, or none, but is 'nobody'; params.yaml has flat,",
        ),
        (
            "pens",
            {"depends_on": "flat"},
            "depends_on: the reference model must be trained on pens, but flat is trained on cells; choose another",
        ),
        (
            "pens",
            {"training__loss": {"name": "mse"}},
            "training.loss.name: the loss of a cyclegan is network.loss, so this must be auto, but is mse; remove it",
        ),
        (
            "pens",
            {"training__augment": {"rotation": 9.0}},
            "training.augment: a cyclegan would generate augmented samples; remove it",
        ),
        (
            "pens",
            {"training__class_balance": "weighted_sampler"},
            "training.class_balance: an epoch uses equally many images of both classes anyway; remove it",
        ),
        (
            "pens",
            {"training__schedule": {"name": "plateau"}},
            "training.schedule.name: plateau monitors a single loss, but a cyclegan has two; choose constant or cosine",
        ),
        (
            "pens",
            {"training__patience": 3},
            "training.patience: must be 0 or at least network.validate_every, 5, but is 3; raise it, or lower"
            " network.validate_every",
        ),
        (
            "pens",
            {"training__precision": "bf16", "network__loss": {"name": "wasserstein_gp"}},
            "training.precision: gradient penalties need precision 32, but it is bf16; remove it",
        ),
    ],
)
def test_incompatible_options_are_rejected_in_one_line(dataset: str, changes: dict[str, Any], message: str) -> None:
    error = gan_error(dataset, network={**CYCLE}, **changes)
    assert "\n" not in error
    assert error.startswith(message)


def test_sigmoid_needs_minmax_and_translation_needs_classes() -> None:
    for key, value, message in (
        (
            "normalize",
            "standard",
            "output_activation: sigmoid outputs values between 0 and 1, but normalize is standard",
        ),
        ("task", "regression", "family: cyclegan translates between two classes, but the task is regression; choose"),
    ):
        tree = gan_tree(network={**CYCLE, "output_activation": "sigmoid"})
        tree["datasets"]["pens"][key] = value
        tree["datasets"]["pens"]["split"]["by"] = "random"
        del tree["models"]["wide"]
        with pytest.raises(ParamsError) as error:
            parse_params(tree)
        assert str(error.value).startswith(f"params.yaml: models.maker.network.{message}")
