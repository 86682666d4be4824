"""Ranges of params.yaml as Optuna has them."""

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

from ..config.search import Categorical, Float, Int


def suggested(trial: Trial, key: str, found: Float | Int | Categorical) -> Any:
    """Return the value of a key that a trial is to try; the one that it has already stays."""
    match found:
        case Float():
            return trial.suggest_float(key, found.low, found.high, log=found.log, step=found.step)
        case Int():
            return trial.suggest_int(key, found.low, found.high, log=found.log, step=found.step)
        case Categorical():
            return _decoded(found, trial.suggest_categorical(key, [encoded(choice) for choice in found.choices]))


def holds(found: Float | Int | Categorical, value: Any) -> bool:
    """Return whether a range holds a value as params.yaml has it."""
    if isinstance(found, Categorical):
        return any(type(choice) is type(value) and choice == value for choice in found.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(found, Int) and not float(value).is_integer():
        return False
    step = found.step if not found.log else None
    steps = 0.0 if step is None else (value - found.low) / step
    return found.low <= value <= found.high and abs(steps - round(steps)) < 1e-9


def distributions_of(ranges: Mapping[str, Float | Int | Categorical]) -> dict[str, BaseDistribution]:
    """Return ranges as Optuna has them."""
    return {key: _distribution(found) for key, found in ranges.items()}


def encoded(value: Any) -> CategoricalChoiceType:
    """Return a choice as Optuna keeps it: lists and blocks as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value


def _decoded(found: Categorical, kept: Any) -> Any:
    """Return the choice that Optuna keeps as `kept`."""
    return next(choice for choice in found.choices if type(encoded(choice)) is type(kept) and encoded(choice) == kept)


def _distribution(found: Float | Int | Categorical) -> BaseDistribution:
    match found:
        case Float():
            return FloatDistribution(found.low, found.high, log=found.log, step=found.step)
        case Int():
            return IntDistribution(found.low, found.high, log=found.log, step=found.step)
        case Categorical():
            return CategoricalDistribution([encoded(choice) for choice in found.choices])
