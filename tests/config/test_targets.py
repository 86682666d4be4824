"""Datasets with several targets: loss weights and validation rules."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.config.training import FixedWeights, UncertaintyWeights
from fivefold.errors import ParamsError

from .helpers import Tree, changed, example

EXTRA_TARGETS = {"mass": "regression", "kind": "classification"}


def multi_target_tree(**training: Any) -> Tree:
    """Return the example with extra targets and changed training options of its model."""
    tree = changed("datasets.cells.extra_targets", EXTRA_TARGETS)
    tree["models"]["flat"]["training"].update(training)
    return tree


def test_default_weight_of_every_target_is_1() -> None:
    params = parse_params(multi_target_tree())
    assert dict(params.datasets["cells"].extra_targets) == EXTRA_TARGETS  # type: ignore[union-attr]
    assert params.models["flat"].training.loss_weights == FixedWeights(name="fixed")


def test_weights_are_fixed_or_learned() -> None:
    weights = {"mass": 0.5, "yes": 2}
    params = parse_params(multi_target_tree(loss_weights={"name": "fixed", "weights": weights}))
    loss_weights = params.models["flat"].training.loss_weights
    assert isinstance(loss_weights, FixedWeights)
    assert loss_weights.weights == weights
    params = parse_params(multi_target_tree(loss_weights={"name": "uncertainty"}))
    assert isinstance(params.models["flat"].training.loss_weights, UncertaintyWeights)


BAD: list[tuple[str, Any, str]] = [
    (
        "loss_weights",
        {"name": "fixed", "weights": {"size": 1}},
        "loss_weights.weights.size: is not a target; the targets are yes, mass, kind",
    ),
    (
        "loss_weights",
        {"name": "fixed", "weights": {"mass": -1}},
        "loss_weights.weights.mass must be greater than or equal to 0",
    ),
    (
        "loss_weights",
        {"name": "fixed", "weights": {"yes": 0, "mass": 0, "kind": 0}},
        "loss_weights.weights: at least one weight must be greater than 0, but all are 0; raise one",
    ),
    (
        "loss_weights",
        {"name": "uncertainty", "weights": {}},
        "loss_weights.weights is not a known key, but is set to {}; remove it; params.schema.json lists the keys",
    ),
    (
        "loss_weights",
        {"name": "gradnorm"},
        "loss_weights.name must be one of 'fixed', 'uncertainty', but is 'gradnorm'; choose one",
    ),
    (
        "loss",
        {"name": "bce"},
        "loss.name: bce supports a single target, but `extra_targets` adds mass, kind; choose auto",
    ),
    ("augment", {"mixup": 0.2}, "augment.mixup: several targets cannot be mixed; remove it"),
    ("augment", {"cutmix": 0.2}, "augment.cutmix: several targets cannot be mixed; remove it"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_unsupported_training_options_are_rejected(key: str, value: object, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(multi_target_tree(**{key: value}))
    assert f"params.yaml: models.flat.training.{message}" in str(error.value)


def test_quantile_loss_needs_a_single_target() -> None:
    tree = changed("datasets.mixes.extra_targets", {"mass": "regression"})
    tree["models"]["line"]["training"]["loss"] = {"name": "quantile"}
    with pytest.raises(
        ParamsError, match=r"line.training.loss.name: quantile supports a single target, but `extra_targets` adds mass"
    ):
        parse_params(tree)


def test_loss_weights_need_several_targets() -> None:
    tree = example()
    tree["models"]["flat"]["training"]["loss_weights"] = {"name": "uncertainty"}
    with pytest.raises(
        ParamsError, match=r"flat.training.loss_weights: needs several targets, but the dataset has one; remove it"
    ):
        parse_params(tree)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"extra_targets": {"mass": "forecasting"}},
            "extra_targets.mass must be 'classification' or 'regression', but is 'forecasting'",
        ),
        (
            {"extra_targets": {"yes": "regression"}},
            "extra_targets.yes: the column is also used by `target`; remove it from one of them",
        ),
        (
            {"extra_targets": EXTRA_TARGETS, "drop": ["mass"]},
            "extra_targets.mass: the column is also used by `drop`; remove it from one of them",
        ),
        (
            {
                "extra_targets": EXTRA_TARGETS,
                "split": {"validation": 0.2, "test": 0.2, "by": "group", "column": "kind"},
            },
            "extra_targets.kind: the column is also used by `split.column`; remove it from one of them",
        ),
        (
            {"extra_targets": EXTRA_TARGETS, "columns": {"mass": {"normalize": "minmax"}}},
            "columns must not set `normalize` of the target 'mass', which is defined by `extra_targets`, but is"
            " {'mass': {'normalize': 'minmax'}}; change it",
        ),
    ],
)
def test_invalid_extra_targets_are_rejected(changes: dict[str, Any], message: str) -> None:
    tree = example()
    tree["datasets"]["cells"].update(changes)
    with pytest.raises(ParamsError) as error:
        parse_params(tree)
    assert f"params.yaml: datasets.cells.{message}" in str(error.value)


def test_extra_targets_are_for_tables_only() -> None:
    with pytest.raises(ParamsError, match=r"datasets.pens.extra_targets is not a known key"):
        parse_params(changed("datasets.pens.extra_targets", EXTRA_TARGETS))
