"""Flow-style collections in params.yaml: formatting of values, and editing of items with the text between them."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node

MIN_DECIMAL = 1e-6
"""Smaller numbers are written with an exponent."""


class Item(NamedTuple):
    """Character positions of an item of a collection: its key, if it has one, and its value."""

    key_start: int
    key_end: int
    start: int
    end: int
    node: Node


def format_flow(value: Any) -> str:
    """Return a value in flow style."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{format_flow(key)}: {format_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(format_flow, value))}]"
    if isinstance(value, float):
        return format_number(value)
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = True
    yaml.width = 1 << 30
    text = StringIO()
    yaml.dump([value], text)
    return text.getvalue().strip()[1:-1]


def format_number(value: float) -> str:
    """Return a number in positional notation where it is short: 0.0001, not 1e-04."""
    text = repr(value)
    return f"{Decimal(text):f}" if "e-" in text and abs(value) >= MIN_DECIMAL else text


def join_items(gaps: Sequence[str], items: Sequence[str | None], new_items: Sequence[str], newline: str) -> str:
    """Return the text of a collection: `items` except None, followed by `new_items`, with commas and comments.

    gaps: text before each item and after the last one.
    """
    trailing = bool(items) and _count_commas(gaps[-1]) > 0
    remaining, spaces = list[str](), [gaps[0]]
    for item, gap in zip(items, gaps[1:], strict=True):
        if item is None:
            spaces[-1] = _merge_gaps(spaces[-1], gap)
        else:
            remaining.append(item)
            spaces.append(gap)
    spaces[0] = _set_commas(spaces[0], 0)
    if remaining:
        spaces[1:-1] = [_set_commas(gap, 1) for gap in spaces[1:-1]]
        spaces[-1] = _set_commas(spaces[-1], int(trailing))
    for item in new_items:
        spaces[-1:] = (
            _gaps_around_new_item(spaces, item, newline, trailing=trailing) if remaining else ["", *spaces[-1:]]
        )
        remaining.append(item)
    return "".join(part for pair in zip(spaces, [*remaining, ""], strict=True) for part in pair)


def _merge_gaps(left: str, right: str) -> str:
    """Return the remaining gap around a deleted item, without the comment at the end of its line."""
    line, line_end, rest = right.partition("\n")
    if not line_end:
        return left if "," in right or "\n" in left else right
    if "\n" not in left:
        return right
    if left.rpartition("\n")[2].strip():
        return left.rpartition("\n")[0] + "\n" + right
    return left.rpartition("\n")[0].removesuffix("\r") + ("\r\n" if line.endswith("\r") else "\n") + rest


def _gaps_around_new_item(spaces: Sequence[str], item: str, newline: str, *, trailing: bool) -> list[str]:
    """Return the gaps before and after an item appended to the last one, on a separate line if the others are."""
    last = spaces[-1]
    if "\n" not in last:
        return [", ", last.replace(",", "", 1) + ("," if trailing else "")] if trailing else [", ", last]
    line, _, rest = last.partition("\n")
    lines = [gap.rpartition("\n")[2] for gap in spaces[:-1] if "\n" in gap]
    indent = lines[-1] if lines else " " * (len(rest) - len(rest.lstrip()) + 2)
    return [_set_commas(line.removesuffix("\r"), 1) + newline + indent, ("," if trailing else "") + newline + rest]


def _split_comments(gap: str) -> list[str]:
    """Return a gap split into comments and the text between them."""
    return re.split(r"(#[^\n]*)", gap)


def _count_commas(gap: str) -> int:
    return sum(part.count(",") for part in _split_comments(gap) if not part.startswith("#"))


def _set_commas(gap: str, count: int) -> str:
    """Return a gap with exactly `count` commas, 0 or 1."""
    parts, n_commas = _split_comments(gap), 0
    for i, part in enumerate(parts):
        if part.startswith("#"):
            continue
        n_needed = max(0, count - n_commas)
        head, *others = part.split(",")
        n_commas += min(n_needed, len(others))
        parts[i] = head + "".join(("," if j < n_needed else "") + other for j, other in enumerate(others))
    return "".join(parts) if n_commas >= count else "," + "".join(parts)
