"""Transfer of weights: all matching layers from the input on, never those with another meaning."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fivefold.config.networks.mlp import Mlp
from fivefold.errors import ParamsError
from fivefold.models.factory import build_network
from fivefold.models.inference import InferenceModel, Preprocess
from fivefold.models.serialization import build_input_spec
from fivefold.models.transfer import PretrainedModel, TransferReport, layer_groups, load_matching_weights
from fivefold.preprocessing.pipeline import Pipeline, Step

from .helpers import (
    CASES,
    LOSS,
    STARTED,
    TABLE,
    Case,
    features,
    network_of,
    outputs,
    pipeline_of,
    saved_of,
    schema_for,
)

PLAIN = Case(Mlp(family="mlp", hidden=(8, 6), dropout=0.2), TABLE)
DIFFER = r"\Aa network initialized from fivefold-m version 3 must have the same architecture and features, but "


def source_of(case: Case) -> PretrainedModel:
    return PretrainedModel("fivefold-m", 3, "digest", saved_of(case))


def transfer(
    source: PretrainedModel, case: Case, *, last: bool = True, pipeline: Pipeline | None = None
) -> TransferReport:
    return load_matching_weights(
        source,
        network_of(case, seed=1),
        case.params,
        schema_for(case),
        pipeline or pipeline_of(case),
        include_last=last,
    )


def changed(**network: Any) -> Case:
    return PLAIN._replace(params=Mlp(**{**PLAIN.params.model_dump(), **network}))


@pytest.mark.parametrize("case", STARTED.values(), ids=STARTED)
class TestFamily:
    def test_equal_networks_transfer_all_layers(self, case: Case) -> None:
        source, network = source_of(case), network_of(case, seed=1)
        report = load_matching_weights(source, network, case.params, schema_for(case), pipeline_of(case))
        assert report.initialized == []
        assert report.transferred_hidden == layer_groups(network)[:-1]
        assert torch.equal(
            outputs(network, features(case)), outputs(source.trained_model.model.network, features(case))
        )

    def test_with_other_outputs_the_last_layer_is_not_transferred(self, case: Case) -> None:
        other = case._replace(classes=case.classes and case.classes + 2, values=case.values + 1)
        network, scratch = network_of(other, seed=1), network_of(other, seed=1)
        report = load_matching_weights(source_of(case), network, other.params, schema_for(other), pipeline_of(other))
        *body, head = layer_groups(network)
        assert (
            [layer.name for layer in report.transferred]
            == [layer.name for layer in body]
            == [i.name for i in report.transferred_hidden]
        )
        assert [layer.name for layer in report.initialized] == [head.name]
        for (_, value), (_, expected) in zip(
            head.named_tensors(), layer_groups(scratch)[-1].named_tensors(), strict=True
        ):
            assert torch.equal(value, expected)


def test_dropout_may_differ_although_it_changes_the_names_of_layers() -> None:
    report = transfer(source_of(PLAIN), changed(dropout=0.0, init="kaiming"))
    assert str(report) == "3 of 3 layers transferred (layers.1, layers.3, layers.5); newly initialized: none"


def test_the_last_layer_is_not_transferred_to_other_classes() -> None:
    schema = schema_for(PLAIN)
    others = schema.model_copy(update={"classes": tuple(f"other{i}" for i in range(10))})
    report = load_matching_weights(source_of(PLAIN), network_of(PLAIN), PLAIN.params, others, pipeline_of(PLAIN))
    assert str(report) == "2 of 3 layers transferred (layers.1, layers.4); newly initialized: layers.7"


def test_without_the_last_layer_all_others_are_transferred() -> None:
    assert [layer.name for layer in transfer(source_of(PLAIN), PLAIN, last=False).initialized] == ["layers.7"]


def test_layers_after_one_that_differs_are_not_transferred() -> None:
    report = transfer(source_of(changed(hidden=(8, 6, 5, 5))), changed(hidden=(8, 7, 5, 5)))
    assert [layer.name for layer in report.transferred] == ["layers.1"]
    assert str(report) == "1 of 5 layers transferred (layers.1); newly initialized: layers.4, layers.7, ... layers.13"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (changed(activation="tanh"), "network.activation is tanh here and relu there; make them equal, or remove"),
        (CASES["tutorial of 8x8"], "network.family is cnn here and"),
        (PLAIN._replace(kind="sequences", shape=(7, 3)), "the data kind is sequences here and table there"),
        (PLAIN._replace(shape=(13,)), "the columns are a, b, ... m here and a, b, ... l there; make them equal"),
    ],
)
def test_another_architecture_or_kind_of_data_is_rejected(case: Case, message: str) -> None:
    with pytest.raises(ParamsError, match=DIFFER + message):
        transfer(source_of(PLAIN), case)


def test_a_first_layer_of_another_shape_is_rejected_with_both_shapes() -> None:
    message = (
        "the first layer must have the same shapes as in fivefold-m version 3, weight 8x12, bias 8, but has"
        " weight 9x12, bias 9; change network or features accordingly, or remove training.pretrained"
    )
    with pytest.raises(ParamsError) as error:
        transfer(source_of(PLAIN), changed(hidden=(9, 6)))
    assert str(error.value) == message


def test_another_vocabulary_of_equal_size_is_rejected() -> None:
    case = CASES["mlp of tokens, their mean"]
    schema = schema_for(case)
    others = schema.model_copy(update={"vocabulary": schema.vocabulary[::-1]})
    with pytest.raises(ParamsError, match=DIFFER + "the vocabulary has 30 tokens here and 30 different ones there"):
        load_matching_weights(source_of(case), network_of(case), case.params, others, pipeline_of(case))


@pytest.mark.parametrize(("columns", "fits"), [((0, 2, 5), True), ((0, 2, 6), False)])
def test_selected_columns_must_match_but_scales_need_not(columns: tuple[int, ...], fits: bool) -> None:
    def make_pipeline(*selected: int, scale: float, fill: bool = False) -> Pipeline:
        steps = [Step("impute", {"fill": np.zeros(12)})] * fill
        steps += [Step("affine", {"shift": np.zeros(12), "scale": np.full(12, scale)})]
        return Pipeline("float64", ()).with_steps(*steps, Step("take", {"index": np.array(selected)}))

    saved = saved_of(PLAIN)
    there, here = make_pipeline(0, 2, 5, scale=1.0), make_pipeline(*columns, scale=3.0, fill=True)
    network = build_network(PLAIN.params, build_input_spec(saved.schema, there, LOSS))
    model = InferenceModel(Preprocess(there), network, saved.model.head)
    source = PretrainedModel("fivefold-m", 3, "digest", replace(saved, model=model))
    network_to_initialize = build_network(PLAIN.params, build_input_spec(saved.schema, here, LOSS))
    if fits:
        assert load_matching_weights(source, network_to_initialize, PLAIN.params, saved.schema, here).initialized == []
        return
    with pytest.raises(ParamsError, match=DIFFER + "preprocessing and `select` leave other features than there"):
        load_matching_weights(source, network_to_initialize, PLAIN.params, saved.schema, here)
