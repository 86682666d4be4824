"""Validation rules of `depends_on`."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .helpers import Tree, example

NONE = {"method": "none"}
ENCODED = {"method": "autoencoder"}
MLP = {"family": "mlp"}
GAN = {"family": "gan"}
GENERATOR = {"family": "autoencoder", "variant": {"name": "variational"}, "mode": {"name": "generation"}}
SMALL = {"family": "autoencoder", "latent_dim": 2}


def dependent_tree(
    depends_on: str = "none", select: Any = NONE, network: Any = MLP, dataset: str = "pens", name: str = "user"
) -> Tree:
    """Return the example with an autoencoder `small` on pens, and a model that depends on another one."""
    tree = example()
    rest = {"dataset": dataset, "training": {}}
    tree["models"]["small"] = {**rest, "dataset": "pens", "depends_on": "none", "select": NONE, "network": SMALL}
    tree["models"][name] = {**rest, "depends_on": depends_on, "select": select, "network": network}
    return tree


@pytest.mark.parametrize(
    "tree",
    [
        dependent_tree(),
        dependent_tree("small", ENCODED),
        dependent_tree("wide", network=GAN),
        dependent_tree(network=GAN),
        dependent_tree("wide", network=GENERATOR),
    ],
    ids=lambda tree: str(tree)[-60:],
)
def test_encoder_reference_model_or_no_dependency_is_accepted(tree: Tree) -> None:
    assert (parse_params(tree).models["user"].source_model is None) == (tree["models"]["user"]["depends_on"] == "none")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            dependent_tree("none", ENCODED),
            "select {method: autoencoder} needs the encoder of a model, but this is none; name an autoencoder",
        ),
        (
            dependent_tree("nobody", ENCODED),
            "must name a model, or none, but is 'nobody'; params.yaml has flat, line, wide,",
        ),
        (dependent_tree("wide", ENCODED), "must be an autoencoder, but wide is of family cnn; choose another"),
        (
            dependent_tree("small", ENCODED, dataset="mixes"),
            "must be an autoencoder trained on mixes, but small is trained on pens; choose another",
        ),
        (
            dependent_tree("small"),
            "is for models with select {method: autoencoder}, which use its encoder, and for generators, which use it"
            " as reference classifier, but user is neither; set it to none",
        ),
        (dependent_tree("user", ENCODED), "a model must not depend on itself, but user -> user; set one to none"),
        (
            dependent_tree("wide", network=SMALL),
            "is for models with select {method: autoencoder}, which use its encoder, and for generators, which use it"
            " as reference classifier, but user is neither; set it to none",
        ),
        (
            dependent_tree("flat", network=GAN),
            "the reference model must be trained on pens, but flat is trained on cells; choose another",
        ),
        (
            dependent_tree("small", network=GAN),
            "the reference model must be a classifier, but small is of family autoencoder; choose another",
        ),
        (
            dependent_tree("line", network=GAN, dataset="mixes"),
            "the reference model must be a classifier, but line is a regressor; choose another, or none",
        ),
        (dependent_tree(name="none"), "'none' means no dependency, so no model can have this name; rename the model"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_unsuitable_dependency_is_rejected(tree: Tree, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_params(tree)
    name = "none" if "none" in tree["models"] else "user"
    assert str(error.value).startswith(f"params.yaml: models.{name}.depends_on: {message}")


def test_cyclic_dependency_is_listed_in_order() -> None:
    tree = dependent_tree("second", ENCODED)
    tree["models"]["second"] = {**tree["models"]["user"], "depends_on": "user"}
    with pytest.raises(ParamsError, match="must not depend on itself, but user -> second -> user; set one to none"):
        parse_params(tree)


def test_depends_on_is_required() -> None:
    tree = dependent_tree()
    del tree["models"]["user"]["depends_on"]
    with pytest.raises(ParamsError, match=r"models\.user\.depends_on is required, but is missing; add it"):
        parse_params(tree)
