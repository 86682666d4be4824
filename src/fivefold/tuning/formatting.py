"""Formatting of values, objectives and keys for params.yaml, tables and plots."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..config.flow import format_number
from ..config.search import CategoricalRange, FloatRange, IntRange
from .space import DISCRIMINATOR_KEYS, ParamValues

SIGNIFICANT_DIGITS = 3
"""Significant digits of a number sampled from a continuous range; further digits are random."""


def round_values(ranges: Mapping[str, FloatRange | IntRange | CategoricalRange], values: ParamValues) -> ParamValues:
    """Return the values of a trial, rounded as they are written to params.yaml."""
    return {key: _round_value(ranges.get(key), value) for key, value in values.items()}


def _round_value(param_range: FloatRange | IntRange | CategoricalRange | None, value: Any) -> Any:
    """Round a number of a continuous range within its bounds; remove the floating-point noise of a stepped one."""
    if not isinstance(param_range, FloatRange) or not isinstance(value, float):
        return value
    if param_range.step is not None:
        return float(f"{value:.12g}")
    candidates = (float(f"{value:.{digits}g}") for digits in range(SIGNIFICANT_DIGITS, 17))
    return next((number for number in candidates if param_range.low <= number <= param_range.high), value)


def format_yaml(value: Any) -> str:
    """Return a value as text in the notation of params.yaml."""
    if isinstance(value, float):
        return format_number(value)
    if isinstance(value, list):
        return f"[{', '.join(map(format_yaml, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {format_yaml(inner)}" for key, inner in value.items()) + "}"
    return value if isinstance(value, str) else json.dumps(value)


def objective_label(objective: str, metric: str) -> str:
    """Return the label of a study objective, with its unit."""
    return {"score": metric, "parameters": "number of parameters", "latency": "latency (ms per row)"}[objective]


def format_objective(objective: str, value: float) -> str:
    """Return the value of an objective as text; numbers of parameters are written as integers."""
    return f"{value:,.0f}" if objective == "parameters" else f"{value:.4g}"


def shorten_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the shortest suffix of each dotted key that is unique among the keys.

    A last component that is ambiguous by nature (`name`, `k`) keeps the one before it.
    """
    unique_keys = list(dict.fromkeys(keys))
    short_names = {}
    for key in unique_keys:
        components = key.split(".")
        n_min = 2 if components[-1] in DISCRIMINATOR_KEYS or len(components[-1]) == 1 else 1
        suffixes = (".".join(components[-count:]) for count in range(n_min, len(components)))
        short_names[key] = next(
            (suffix for suffix in suffixes if sum(f".{other}".endswith(f".{suffix}") for other in unique_keys) == 1),
            key,
        )
    return short_names
