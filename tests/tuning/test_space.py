"""The space of a study: what it may try, what that makes, and every corner of it valid."""

import itertools
from pathlib import Path
from typing import Any

import optuna
import pytest
from ruamel.yaml import YAML

from fivefold.config.search import parse_ranges
from fivefold.errors import ParamsError
from fivefold.tuning.space import SearchSpace
from fivefold.tuning.space_check import iter_corners, validate_bounds

from ..config.example import TEXT


def space(tmp_path: Path, search: str, model: str = "flat") -> SearchSpace:
    tree = YAML(typ="safe", pure=True).load(TEXT)
    tree["models"][model]["search"] = YAML(typ="safe", pure=True).load(search)
    path = tmp_path / "params.yaml"
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(tree, file)
    return SearchSpace.read(model, path)


SEARCH = """
select: {k: {type: int, low: 1, high: 2}}
network:
  hidden: {type: categorical, choices: [[8], [16, 8]]}
  norm: {type: categorical, choices: [none, batch]}
  dropout: {type: float, low: 0.0, high: 0.5, when: {network.norm: none}}
training:
  optimizer:
    momentum: {type: float, low: 0.5, high: 0.99, when: {training.optimizer.name: sgd}}
    name: {type: categorical, choices: [adamw, sgd]}
    lr: {type: float, low: 0.001, high: 0.1, log: true}
"""


def test_a_key_stands_behind_those_that_it_depends_on(tmp_path: Path) -> None:
    keys = list(space(tmp_path, SEARCH).ranges)
    assert len(keys) == 7
    assert keys.index("network.norm") < keys.index("network.dropout")
    assert keys.index("training.optimizer.name") < keys.index("training.optimizer.momentum")


def test_what_params_yaml_has_now_is_a_point(tmp_path: Path) -> None:
    found = space(tmp_path, SEARCH).current_values()
    assert found == {
        "select.k": 2,
        "network.hidden": [8],
        "network.norm": "none",
        "network.dropout": 0.0,
        "training.optimizer.name": "adamw",
        "training.optimizer.lr": 0.02,
    }


@pytest.mark.parametrize(
    "range_of_rates",
    ["{type: float, low: 0.03, high: 0.1}", "{type: float, low: 0.001, high: 0.1, step: 0.05}"],
)
def test_what_params_yaml_has_now_may_lie_outside(tmp_path: Path, range_of_rates: str) -> None:
    assert space(tmp_path, f"training: {{optimizer: {{lr: {range_of_rates}}}}}").current_values() is None


def test_values_make_a_model(tmp_path: Path) -> None:
    model = space(tmp_path, SEARCH).build_model(
        {"network.hidden": [16, 8], "training.optimizer.lr": 0.05, "select.k": 1}
    )
    assert model.network.hide_target == (16, 8)
    assert model.training.optimizer.lr == 0.05
    assert model.training.optimizer.weight_decay == 0.1  # inherited
    assert model.select.max_features == 1


def test_a_block_of_another_kind_loses_the_keys_that_this_kind_has_not(tmp_path: Path) -> None:
    values = {"training.optimizer.name": "sgd", "training.optimizer.momentum": 0.8}
    found = space(tmp_path, "training: {optimizer: {name: {type: categorical, choices: [adamw, sgd]}}}")
    found.tree["models"]["flat"]["training"]["optimizer"]["beta1"] = 0.95
    optimizer = found.build_model(values).training.optimizer
    assert optimizer.model_dump() == {
        "name": "sgd", "lr": 0.02, "weight_decay": 0.1, "momentum": 0.8, "nesterov": False,
    }  # fmt: skip
    kept = found.build_model({"training.optimizer.name": "adamw"}).training.optimizer
    assert kept.beta1 == 0.95


def test_a_condition_that_is_not_met_leaves_its_key_out(tmp_path: Path) -> None:
    tried = space(tmp_path, SEARCH)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(40):
        trial = study.ask()
        values = tried.suggest(trial)
        assert ("network.dropout" in values) == (values["network.norm"] == "none")
        assert ("training.optimizer.momentum" in values) == (values["training.optimizer.name"] == "sgd")
        assert tried.encode_values(values) == trial.params
        tried.build_model(values)
        seen.add((values["network.norm"], values["training.optimizer.name"], str(values["network.hidden"])))
    assert seen == set(itertools.product(["none", "batch"], ["adamw", "sgd"], ["[8]", "[16, 8]"]))


def test_every_corner_is_looked_at(tmp_path: Path) -> None:
    tried = space(tmp_path, SEARCH)
    every = {str(sorted(values.items())) for values in iter_corners(tried)}
    # k 2, hidden 2, norm and dropout 2 + 1, optimiser and momentum 1 + 2, rate 2
    assert len(every) >= 2 * 2 * 3 * 3 * 2
    assert validate_bounds(tried) >= len(every)


def test_of_too_many_corners_every_pair_is_looked_at(tmp_path: Path) -> None:
    keys = ["gradient_clip_norm", "gradient_clip_value", "l1", "ema_decay", "checkpoint_seconds"]
    rates = ["lr", "weight_decay", "beta1", "beta2"]
    many = "".join(f"  {key}: {{type: categorical, choices: [0.0, 0.1, 0.2, 0.3]}}\n" for key in keys)
    more = ", ".join(f"{key}: {{type: categorical, choices: [0.1, 0.2, 0.3, 0.4]}}" for key in rates)
    tried = space(tmp_path, f"training:\n{many}  optimizer: {{{more}}}\n")
    seen = [tuple(values.values()) for values in iter_corners(tried)]
    assert len(seen) < 4**9 / 50
    for one, other in itertools.combinations(range(9), 2):
        assert len({(values[one], values[other]) for values in seen}) == 16


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            "network: {dropout: {type: float, low: 0.0, high: 1.5}}",
            "models.flat.search.network.dropout: every corner must be a valid model, but with network.dropout: 1.5 it"
            " is none: network.dropout must be less than 1, but is 1.5",
        ),
        ("network: {droput: {type: float, low: 0.0, high: 0.5}}", "did you mean 'dropout'?"),
        (
            "{network: {residual: {type: categorical, choices: [true, false]}, hidden: {type: categorical, choices:"
            " [[8], [8, 8]]}}}",
            "residual: True",
        ),
        (
            "training: {optimizer: {beta1: {type: float, low: 0.1, high: 0.5, when: {training.optimizer.name: sgd}}}}",
            "when: training.optimizer.name must be 'sgd', but is always 'adamw'; give it a range, or take the key out",
        ),
        (
            "{network: {norm: {type: categorical, choices: [none, batch]}, dropout: {type: float, low: 0.0, high: 0.5,"
            " when: {network.norm: layer}}}}",
            "when: network.norm is never 'layer' in its own range; mend one of them",
        ),
        (
            "network: {dropout: {type: float, low: 0.0, high: 0.5, when: {network.nrm: batch}}}",
            "when: network.nrm is no key of the model; mend it",
        ),
        (
            "{network: {norm: {type: categorical, choices: [none], when: {network.dropout: 0.1}}, dropout: {type: int,"
            " low: 0, high: 0, when: {network.norm: none}}}}",
            "depends on itself by way of `when`; break the circle",
        ),
    ],
)
def test_a_space_that_is_not_in_order_is_refused(tmp_path: Path, search: str, said: str) -> None:
    with pytest.raises(ParamsError) as error:
        validate_bounds(space(tmp_path, search))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        (
            {"dataset": {"type": "int", "low": 1, "high": 2}},
            "dataset: a study tries values of select, network, training",
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
            "network.dropout: low must be above 0 where log is true, but is 0; raise it",
        ),
        (
            {"network": {"dropout": {"type": "float", "low": 0.1, "high": 0.5, "log": True, "step": 0.1}}},
            "step and log exclude each other",
        ),
        (
            {"network": {"dropout": {"type": "float", "low": 0.1, "high": 0.5, "step": 3.0}}},
            "network.dropout: step must be at most from low to high, 0.4, but is 3: nothing but low would be",
        ),
        (
            {"network": {"hidden": {"type": "categorical", "choices": [[8], [8]]}}},
            "network.hidden: choices must differ, but [8] stands there twice; take one out",
        ),
        (
            {"network": {"hidden": {"type": "categorical", "choices": []}}},
            "network.hidden: choices must be one value or more, but are none; write some",
        ),
    ],
)
def test_a_range_that_breaks_a_rule_is_refused(search: dict[str, Any], said: str) -> None:
    with pytest.raises(ParamsError) as error:
        parse_ranges(search)
    assert said in str(error.value)


def test_a_step_may_take_a_range_at_once() -> None:
    whole = {"type": "float", "low": 0.1, "high": 0.3, "step": 0.2}  # 0.3 - 0.1 is a little less than 0.2
    (found,) = parse_ranges({"network": {"dropout": whole}}).values()
    assert found.model_dump(include=set(whole)) == whole
    parse_ranges({"network": {"dropout": whole | {"low": 0.3}}, "select": {"k": {"type": "int", "low": 2, "high": 2}}})


def test_what_is_not_tried_is_what_a_study_is_known_by(tmp_path: Path) -> None:
    fixed = space(tmp_path, SEARCH).fixed_params()
    assert fixed["training.batch_size"] == 4
    assert fixed["network.activation"] == "relu"
    assert not {"network.dropout", "network.hidden", "training.optimizer.lr", "training.optimizer.beta1"} & set(fixed)
