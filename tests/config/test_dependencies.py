"""What a model may use of another one."""

from typing import Any

import pytest

from fivefold.config.loading import parse_params
from fivefold.errors import ParamsError

from .example import Tree, example

NONE = {"method": "none"}
ENCODED = {"method": "autoencoder"}
MLP = {"family": "mlp"}
GAN = {"family": "gan"}
MADE = {"family": "autoencoder", "variant": {"name": "variational"}, "mode": {"name": "generation"}}
SMALL = {"family": "autoencoder", "latent": 2}


def tree(uses: str = "none", select: Any = NONE, network: Any = MLP, dataset: str = "pens", name: str = "user") -> Tree:
    """The example with an autoencoder `small` of pens, and a model that uses another one."""
    found = example()
    rest = {"dataset": dataset, "training": {}}
    found["models"]["small"] = {**rest, "dataset": "pens", "depends_on": "none", "select": NONE, "network": SMALL}
    found["models"][name] = {**rest, "depends_on": uses, "select": select, "network": network}
    return found


@pytest.mark.parametrize(
    "made",
    [tree(), tree("small", ENCODED), tree("wide", network=GAN), tree(network=GAN), tree("wide", network=MADE)],
    ids=lambda made: str(made)[-60:],
)
def test_an_encoder_or_a_judge_or_nothing_is_used(made: Tree) -> None:
    assert (parse_params(made).models["user"].source_model is None) == (made["models"]["user"]["depends_on"] == "none")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (tree("none", ENCODED), "select.method autoencoder takes a model's encoder, but it names none; name an"),
        (tree("nobody", ENCODED), "must name a model, or none, but is 'nobody'; params.yaml has flat, line, wide,"),
        (tree("wide", ENCODED), "must name an autoencoder, but wide is of family cnn; name another"),
        (tree("small", ENCODED, dataset="mixes"), "must name an autoencoder of mixes, but small is of pens; name"),
        (
            tree("small"),
            "an encoder is used by select {method: autoencoder}, and a judge by what makes records: a gan,",
        ),
        (tree("user", ENCODED), "a model must not wait for itself, but user uses user; set one to none"),
        (tree("wide", network=SMALL), "an encoder is used by select {method: autoencoder}, and a judge by what makes"),
        (tree("flat", network=GAN), "a judge must be of pens, but flat is of cells; name another"),
        (tree("small", network=GAN), "a judge must be a classifier, but small is of family autoencoder; name another"),
        (tree("line", network=GAN, dataset="mixes"), "a judge must be a classifier, but line tells values; name"),
        (tree(name="none"), "none is what `uses` says for no model, so no model can have that name; rename it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_refused(made: Tree, text: str) -> None:
    with pytest.raises(ParamsError) as caught:
        parse_params(made)
    name = "none" if "none" in made["models"] else "user"
    assert str(caught.value).startswith(f"params.yaml: models.{name}.depends_on: {text}")


def test_models_that_wait_for_each_other_are_told_in_order() -> None:
    made = tree("second", ENCODED)
    made["models"]["second"] = {**made["models"]["user"], "depends_on": "user"}
    with pytest.raises(ParamsError, match="must not wait for itself, but user uses second uses user; set one to none"):
        parse_params(made)


def test_a_model_that_does_not_say_what_it_uses_is_refused_since_dvc_asks_for_it() -> None:
    made = tree()
    del made["models"]["user"]["depends_on"]
    with pytest.raises(ParamsError, match=r"models\.user\.uses is required, but is missing; add it"):
        parse_params(made)
