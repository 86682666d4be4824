"""Further targets in params.yaml: what is inherited, and what cannot be together."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.config.training import FixedWeights, UncertaintyWeights
from fivefold.errors import ParamsError

from .example import Tree, changed, example

ALSO = {"mass": "regression", "kind": "classification"}


def several(**training: Any) -> Tree:
    tree = changed("datasets.cells.extra_targets", ALSO)
    tree["models"]["flat"]["training"].update(training)
    return tree


def test_every_target_counts_1_if_nothing_is_said() -> None:
    params = parse_params(several())
    assert dict(params.datasets["cells"].extra_targets) == ALSO  # type: ignore[union-attr]
    assert params.models["flat"].training.loss_weights == FixedWeights(name="fixed")


def test_weights_are_given_or_learnt() -> None:
    weights = {"mass": 0.5, "yes": 2}
    tasks = parse_params(several(tasks={"name": "fixed", "weights": weights})).models["flat"].training.loss_weights
    assert isinstance(tasks, FixedWeights)
    assert tasks.weights == weights
    assert isinstance(
        parse_params(several(tasks={"name": "uncertainty"})).models["flat"].training.loss_weights, UncertaintyWeights
    )


BAD: list[tuple[str, Any, str]] = [
    (
        "loss_weights",
        {"name": "fixed", "weights": {"size": 1}},
        "tasks.weights.size: no target has this name; choose of yes",
    ),
    (
        "loss_weights",
        {"name": "fixed", "weights": {"mass": -1}},
        "tasks.weights.mass must be greater than or equal to 0",
    ),
    (
        "loss_weights",
        {"name": "fixed", "weights": {"yes": 0, "mass": 0, "kind": 0}},
        "tasks.weights: one target must count at least, but all weights are 0; raise one",
    ),
    ("loss_weights", {"name": "uncertainty", "weights": {}}, "tasks.weights is not a known key, but holds {}"),
    (
        "loss_weights",
        {"name": "gradnorm"},
        "tasks.name must be one of 'fixed', 'uncertainty', but is 'gradnorm'; choose one",
    ),
    ("loss", {"name": "bce"}, "loss.name: bce tells one target, but mass, kind are to be told too; choose auto"),
    ("augment", {"mixup": 0.2}, "augment.mixup: several targets cannot be blended; leave it out"),
    ("augment", {"cutmix": 0.2}, "augment.cutmix: several targets cannot be blended; leave it out"),
]


@pytest.mark.parametrize(("key", "value", "line"), BAD)
def test_what_training_cannot_do_is_refused(key: str, value: object, line: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(several(**{key: value}))
    assert f"params.yaml: models.flat.training.{line}" in str(error.value)


def test_quantiles_are_of_one_target() -> None:
    tree = changed("datasets.mixes.extra_targets", {"mass": "regression"})
    tree["models"]["line"]["training"]["loss"] = {"name": "quantile"}
    with pytest.raises(ParamsError, match=r"line.training.loss.name: quantile tells one target, but mass are to be"):
        parse_params(tree)


def test_weights_of_one_target_are_refused() -> None:
    tree = example()
    tree["models"]["flat"]["training"]["loss_weights"] = {"name": "uncertainty"}
    with pytest.raises(
        ParamsError, match=r"flat.training.loss_weights: weights are of several targets, but the dataset has"
    ):
        parse_params(tree)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"also": {"mass": "forecasting"}}, "also.mass must be 'classification' or 'regression', but is 'forecasting'"),
        ({"also": {"yes": "regression"}}, "also.yes: a column has one part to play, but `target` names it too; take"),
        ({"also": ALSO, "drop": ["mass"]}, "also.mass: a column has one part to play, but `drop` names it too; take"),
        (
            {"also": ALSO, "split": {"validation": 0.2, "test": 0.2, "by": "group", "column": "kind"}},
            "also.kind: a column has one part to play, but `split.column` names it too; take one of them out",
        ),
        (
            {"also": ALSO, "columns": {"mass": {"normalize": "minmax"}}},
            "columns must say no `normalize` of the target 'mass', since `also` says what it is, but is",
        ),
    ],
)
def test_what_a_table_cannot_be_is_refused(more: dict[str, Any], line: str) -> None:
    tree = example()
    tree["datasets"]["cells"].update(more)
    with pytest.raises(ParamsError) as error:
        parse_params(tree)
    assert f"params.yaml: datasets.cells.{line}" in str(error.value)


def test_other_kinds_have_one_target() -> None:
    with pytest.raises(ParamsError, match=r"datasets.pens.extra_targets is not a known key"):
        parse_params(changed("datasets.pens.extra_targets", ALSO))
