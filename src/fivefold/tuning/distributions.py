"""Conversion of the ranges of params.yaml to Optuna distributions."""

import json
from collections.abc import Mapping
from typing import Any

from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalChoiceType,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ..config.search import CategoricalRange, FloatRange, IntRange


def suggest_value(trial: Trial, key: str, param_range: FloatRange | IntRange | CategoricalRange) -> Any:
    """Return the value that a trial suggests for a key; a value that the trial already has is reused."""
    match param_range:
        case FloatRange():
            return trial.suggest_float(
                key, param_range.low, param_range.high, log=param_range.log, step=param_range.step
            )
        case IntRange():
            return trial.suggest_int(key, param_range.low, param_range.high, log=param_range.log, step=param_range.step)
        case CategoricalRange():
            return _decode_choice(
                param_range, trial.suggest_categorical(key, [encode_choice(choice) for choice in param_range.choices])
            )


def contains_value(param_range: FloatRange | IntRange | CategoricalRange, value: Any) -> bool:
    """Return whether a range contains a value, given in its params.yaml form."""
    if isinstance(param_range, CategoricalRange):
        return any(type(choice) is type(value) and choice == value for choice in param_range.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(param_range, IntRange) and not float(value).is_integer():
        return False
    step = param_range.step if not param_range.log else None
    steps = 0.0 if step is None else (value - param_range.low) / step
    return param_range.low <= value <= param_range.high and abs(steps - round(steps)) < 1e-9


def to_distributions(ranges: Mapping[str, FloatRange | IntRange | CategoricalRange]) -> dict[str, BaseDistribution]:
    """Return the Optuna distribution of each range, by dotted key."""
    return {key: _to_distribution(param_range) for key, param_range in ranges.items()}


def encode_choice(value: Any) -> CategoricalChoiceType:
    """Return a choice in the form that Optuna stores: lists and mappings as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _decode_choice(param_range: CategoricalRange, stored: Any) -> Any:
    """Return the choice whose Optuna form is `stored`."""
    return next(
        choice
        for choice in param_range.choices
        if type(encode_choice(choice)) is type(stored) and encode_choice(choice) == stored
    )


def _to_distribution(param_range: FloatRange | IntRange | CategoricalRange) -> BaseDistribution:
    match param_range:
        case FloatRange():
            return FloatDistribution(param_range.low, param_range.high, log=param_range.log, step=param_range.step)
        case IntRange():
            return IntDistribution(param_range.low, param_range.high, log=param_range.log, step=param_range.step)
        case CategoricalRange():
            return CategoricalDistribution([encode_choice(choice) for choice in param_range.choices])
