"""Values and keys as a person writes and reads them."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..config.flow import format_number
from ..config.search import CategoricalRange, FloatRange, IntRange
from .space import DISCRIMINATOR_KEYS, ParamValues

SIGNIFICANT_DIGITS = 3
"""Significant digits of a number that was drawn from a continuous range: further ones are chance."""


def round_values(ranges: Mapping[str, FloatRange | IntRange | CategoricalRange], values: ParamValues) -> ParamValues:
    """Return values that a trial tried as params.yaml is to have them."""
    return {key: _round_value(ranges.get(key), value) for key, value in values.items()}


def _round_value(param_range: FloatRange | IntRange | CategoricalRange | None, value: Any) -> Any:
    """Round a number of a continuous range, as far as it stays within; take the noise of a sum of steps away."""
    if not isinstance(param_range, FloatRange) or not isinstance(value, float):
        return value
    if param_range.step is not None:
        return float(f"{value:.12g}")
    tries = (float(f"{value:.{digits}g}") for digits in range(SIGNIFICANT_DIGITS, 17))
    return next((each for each in tries if param_range.low <= each <= param_range.high), value)


def format_yaml(value: Any) -> str:
    """Return a value as one reads it in params.yaml."""
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, list):
        return f"[{', '.join(map(format_yaml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {format_yaml(inner)}" for key, inner in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def objective_label(objective: str, metric: str) -> str:
    """Return what an objective of a study is called, with its unit."""
    return {"score": metric, "parameters": "weights", "latency": "latency, ms a row"}[objective]


def format_objective(objective: str, value: float) -> str:
    """Return the value of an objective as a person reads it: weights are counted."""
    return f"{value:,.0f}" if objective == "parameters" else f"{value:.4g}"


def shorten_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return for each dotted key as few of its last parts as tell it from the others, and as say something."""
    every = list(dict.fromkeys(keys))
    found = {}
    for key in every:
        parts = key.split(".")
        fewest = 2 if parts[-1] in DISCRIMINATOR_KEYS or len(parts[-1]) == 1 else 1
        endings = (".".join(parts[-count:]) for count in range(fewest, len(parts)))
        found[key] = next((end for end in endings if sum(f".{other}".endswith(f".{end}") for other in every) == 1), key)
    return found
