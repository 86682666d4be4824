"""The search space: its values, the models that they yield, and its validation."""

import itertools
from pathlib import Path
from typing import Any

import optuna
import pytest

from fivefold.config.search import parse_ranges
from fivefold.errors import ParamsError
from fivefold.tuning.space_check import iter_corners, validate_bounds

from .helpers import SEARCH, search_space


def test_key_comes_after_those_of_its_condition(tmp_path: Path) -> None:
    keys = list(search_space(tmp_path, SEARCH).ranges)
    assert len(keys) == 7
    assert keys.index("network.norm") < keys.index("network.dropout")
    assert keys.index("training.optimizer.name") < keys.index("training.optimizer.momentum")


def test_values_of_params_yaml_are_a_point(tmp_path: Path) -> None:
    values = search_space(tmp_path, SEARCH).current_values()
    assert values == {
        "select.k": 2,
        "network.hidden": [8],
        "network.norm": "none",
        "network.dropout": 0.0,
        "training.optimizer.name": "adamw",
        "training.optimizer.lr": 0.02,
    }


@pytest.mark.parametrize(
    "lr_range",
    ["{type: float, low: 0.03, high: 0.1}", "{type: float, low: 0.001, high: 0.1, step: 0.05}"],
)
def test_values_of_params_yaml_may_be_outside(tmp_path: Path, lr_range: str) -> None:
    assert search_space(tmp_path, f"training: {{optimizer: {{lr: {lr_range}}}}}").current_values() is None


def test_values_yield_a_model(tmp_path: Path) -> None:
    model = search_space(tmp_path, SEARCH).build_model(
        {"network.hidden": [16, 8], "training.optimizer.lr": 0.05, "select.k": 1}
    )
    assert model.network.hidden == (16, 8)
    assert model.training.optimizer.lr == 0.05
    assert model.training.optimizer.weight_decay == 0.1  # inherited
    assert model.select.k == 1


def test_block_of_another_kind_loses_unknown_keys(tmp_path: Path) -> None:
    values = {"training.optimizer.name": "sgd", "training.optimizer.momentum": 0.8}
    space = search_space(tmp_path, "training: {optimizer: {name: {type: categorical, choices: [adamw, sgd]}}}")
    space.tree["models"]["flat"]["training"]["optimizer"]["beta1"] = 0.95
    optimizer = space.build_model(values).training.optimizer
    assert optimizer.model_dump() == {
        "name": "sgd", "lr": 0.02, "weight_decay": 0.1, "momentum": 0.8, "nesterov": False,
    }  # fmt: skip
    same_kind = space.build_model({"training.optimizer.name": "adamw"}).training.optimizer
    assert same_kind.beta1 == 0.95


def test_key_with_an_unmet_condition_is_left_out(tmp_path: Path) -> None:
    space = search_space(tmp_path, SEARCH)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    combinations = set()
    for _ in range(40):
        trial = study.ask()
        values = space.suggest(trial)
        assert ("network.dropout" in values) == (values["network.norm"] == "none")
        assert ("training.optimizer.momentum" in values) == (values["training.optimizer.name"] == "sgd")
        assert space.encode_values(values) == trial.params
        space.build_model(values)
        combinations.add((values["network.norm"], values["training.optimizer.name"], str(values["network.hidden"])))
    assert combinations == set(itertools.product(["none", "batch"], ["adamw", "sgd"], ["[8]", "[16, 8]"]))


def test_every_combination_of_bounds_is_checked(tmp_path: Path) -> None:
    space = search_space(tmp_path, SEARCH)
    corners = {str(sorted(values.items())) for values in iter_corners(space)}
    # k 2, hidden 2, norm and dropout 2 + 1, optimizer and momentum 1 + 2, lr 2
    assert len(corners) >= 2 * 2 * 3 * 3 * 2
    assert validate_bounds(space) >= len(corners)


def test_every_pair_of_keys_is_checked_in_a_large_space(tmp_path: Path) -> None:
    keys = ["gradient_clip_norm", "gradient_clip_value", "l1", "ema_decay", "checkpoint_seconds"]
    optimizer_keys = ["lr", "weight_decay", "beta1", "beta2"]
    training = "".join(f"  {key}: {{type: categorical, choices: [0.0, 0.1, 0.2, 0.3]}}\n" for key in keys)
    optimizer = ", ".join(f"{key}: {{type: categorical, choices: [0.1, 0.2, 0.3, 0.4]}}" for key in optimizer_keys)
    space = search_space(tmp_path, f"training:\n{training}  optimizer: {{{optimizer}}}\n")
    corners = [tuple(values.values()) for values in iter_corners(space)]
    assert len(corners) < 4**9 / 50
    for first, second in itertools.combinations(range(9), 2):
        assert len({(values[first], values[second]) for values in corners}) == 16


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            "network: {dropout: {type: float, low: 0.0, high: 1.5}}",
            "models.flat.search.network.dropout: every combination of range bounds must be a valid model, but"
            " network.dropout: 1.5 is not: network.dropout must be less than 1, but is 1.5",
        ),
        ("network: {droput: {type: float, low: 0.0, high: 0.5}}", "did you mean 'dropout'?"),
        (
            "{network: {residual: {type: categorical, choices: [true, false]}, hidden: {type: categorical, choices:"
            " [[8], [8, 8]]}}}",
            "residual: True",
        ),
        (
            "training: {optimizer: {beta1: {type: float, low: 0.1, high: 0.5, when: {training.optimizer.name: sgd}}}}",
            "when: training.optimizer.name must be 'sgd', but is always 'adamw'; add a range for it or remove this key",
        ),
        (
            "{network: {norm: {type: categorical, choices: [none, batch]}, dropout: {type: float, low: 0.0, high: 0.5,"
            " when: {network.norm: layer}}}}",
            "when: network.norm must be 'layer', which is not in its own range; change one of them",
        ),
        (
            "network: {dropout: {type: float, low: 0.0, high: 0.5, when: {network.nrm: batch}}}",
            "when: network.nrm must be a key of the model, but is not; fix the name",
        ),
        (
            "{network: {norm: {type: categorical, choices: [none], when: {network.dropout: 0.1}}, dropout: {type: int,"
            " low: 0, high: 0, when: {network.norm: none}}}}",
            "has a cyclic `when` condition; remove one of the conditions",
        ),
    ],
)
def test_invalid_search_space_is_refused(tmp_path: Path, search: str, message: str) -> None:
    with pytest.raises(ParamsError) as error:
        validate_bounds(search_space(tmp_path, search))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        (
            {"dataset": {"type": "int", "low": 1, "high": 2}},
            "dataset: a study searches select, network, training, but not dataset; remove it",
        ),
        ({"network": {"dropout": 0.3}}, "network.dropout: must be a range with a `type`, but is 0.3"),
        (
            {"network": {"dropout": {"low": 0.1, "high": 0.3}}},
            "network.dropout.type: must be float, int or categorical",
        ),
        ({"network": {"dropout": {"type": "float", "low": 0.1}}}, "network.dropout.high: field required"),
        ({"select": {"k": {"type": "int", "low": 1.5, "high": 3}}}, "select.k.low: input should be a valid integer"),
        ({"select": {"k": {"type": "int", "low": 4, "high": 3}}}, "select.k: high must be at least low, 4, but is 3"),
        (
            {"network": {"dropout": {"type": "float", "low": 0.0, "high": 0.5, "log": True}}},
            "network.dropout: low must be greater than 0 if log is true, but is 0; raise it",
        ),
        (
            {"network": {"dropout": {"type": "float", "low": 0.1, "high": 0.5, "log": True, "step": 0.1}}},
            "step and log cannot be combined, but step is 0.1; remove one of them",
        ),
        (
            {"network": {"dropout": {"type": "float", "low": 0.1, "high": 0.5, "step": 3.0}}},
            "network.dropout: step must be at most high - low, 0.4, but is 3, which leaves a single value; lower it",
        ),
        (
            {"network": {"hidden": {"type": "categorical", "choices": [[8], [8]]}}},
            "network.hidden: choices must be unique, but [8] occurs twice; remove one",
        ),
        (
            {"network": {"hidden": {"type": "categorical", "choices": []}}},
            "network.hidden: choices must contain at least one value, but are empty; add values",
        ),
    ],
)
def test_invalid_range_is_refused(search: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_ranges(search)
    assert message in str(error.value)


def test_step_may_equal_the_width_of_a_range() -> None:
    wide_step = {"type": "float", "low": 0.1, "high": 0.3, "step": 0.2}  # 0.3 - 0.1 is a little less than 0.2
    (param_range,) = parse_ranges({"network": {"dropout": wide_step}}).values()
    assert param_range.model_dump(include=set(wide_step)) == wide_step
    parse_ranges(
        {"network": {"dropout": wide_step | {"low": 0.3}}, "select": {"k": {"type": "int", "low": 2, "high": 2}}}
    )


def test_fixed_params_are_the_values_that_are_not_searched(tmp_path: Path) -> None:
    fixed = search_space(tmp_path, SEARCH).fixed_params()
    assert fixed["training.batch_size"] == 4
    assert fixed["network.activation"] == "relu"
    assert not {"network.dropout", "network.hidden", "training.optimizer.lr", "training.optimizer.beta1"} & set(fixed)
