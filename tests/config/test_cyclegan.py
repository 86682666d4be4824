"""What cannot be where images are translated between two domains."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .test_adversarial import said, tree

CYCLE = {"family": "cyclegan"}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"depends_on": "wide", "network__into": "7", "network__pool": 0, "network__identity": 0.0},
        {"network__loss": {"name": "wasserstein_gp", "penalty": 1.0}, "network__critic": {"filters": 8, "layers": 2}},
        {"network__output": "sigmoid", "training__precision": "bf16", "training__patience": 5},
        {"training__batch_size": 1, "training__schedule": {"name": "cosine"}, "training__ema": 0.9},
    ],
)
def test_what_goes_together_is_taken(changes: dict[str, Any]) -> None:
    parse_params(tree(network={**CYCLE}, **changes))


@pytest.mark.parametrize(
    ("dataset", "changes", "text"),
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
            {"select": {"method": "pca", "components": 2}},
            "network.family: a cyclegan makes whole images; set select {method: none}",
        ),
        (
            "pens",
            {"network__critic": {"hidden": [3]}},
            "network.discriminator.hidden is not a known key, but holds [3]; remove",
        ),
        ("pens", {"network__blocks": 0}, "network.blocks must be greater than 0, but is 0"),
        ("pens", {"network__cycle": -1.0}, "network.lambda_cycle must be greater than or equal to 0, but is -1"),
        (
            "pens",
            {"depends_on": "nobody"},
            "depends_on: must name a model, or none, but is 'nobody'; params.yaml has flat,",
        ),
        ("pens", {"depends_on": "flat"}, "depends_on: a judge must be of pens, but flat is of cells; name another"),
        (
            "pens",
            {"training__loss": {"name": "mse"}},
            "training.loss.name: a cyclegan's loss is network.loss, so it must be auto, but is mse",
        ),
        (
            "pens",
            {"training__augment": {"rotation": 9.0}},
            "training.augment: a cyclegan would make altered records; leave it out",
        ),
        (
            "pens",
            {"training__imbalance": "sampling"},
            "training.class_balance: an epoch shows as many images of either class",
        ),
        (
            "pens",
            {"training__schedule": {"name": "plateau"}},
            "training.schedule.name: plateau follows a loss, but a cyclegan has two; choose constant or cosine",
        ),
        (
            "pens",
            {"training__patience": 3},
            "training.patience: records are looked at every 5 epochs, so it must be as much or 0, but is 3; set it",
        ),
        (
            "pens",
            {"training__precision": "bf16", "network__loss": {"name": "wasserstein_gp"}},
            "training.precision: slopes need 32 bits, but it is bf16; leave it out",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(dataset: str, changes: dict[str, Any], text: str) -> None:
    line = said(dataset, network={**CYCLE}, **changes)
    assert "\n" not in line
    assert line.startswith(text)


def test_pixels_between_0_and_1_need_minmax_and_classes_a_task_that_has_them() -> None:
    for key, value, text in (
        ("normalize", "standard", "output: sigmoid makes numbers between 0 and 1, but normalize is standard; choose"),
        ("task", "regression", "family: cyclegan translates between two classes, but the task is regression; choose"),
    ):
        found = tree(network={**CYCLE, "output": "sigmoid"})
        found["datasets"]["pens"][key] = value
        found["datasets"]["pens"]["split"]["by"] = "random"
        del found["models"]["wide"]
        with pytest.raises(ParamsError) as caught:
            parse_params(found)
        assert str(caught.value).startswith(f"params.yaml: models.maker.network.{text}")
