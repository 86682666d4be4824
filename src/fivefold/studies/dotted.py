"""Trees of plain values by dotted key: network.dropout."""

from collections.abc import Iterator, Mapping
from typing import Any


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what stands at each dotted key of a tree, blocks too."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        yield key, value
        if isinstance(value, Mapping):
            yield from flat(value, f"{key}.")


def at(tree: Any, key: str) -> Any:
    """Return what stands at a dotted key of a tree; None for nothing."""
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, Mapping) else None
    return tree


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at a dotted key of a tree; blocks that are missing are made."""
    *blocks, last = key.split(".")
    for name in blocks:
        inner = tree.get(name)
        tree[name] = inner = inner if isinstance(inner, dict) else {}
        tree = inner
    tree[last] = value


def drop(tree: dict[str, Any], key: str) -> None:
    """Take a dotted key out of a tree."""
    *blocks, last = key.split(".")
    for name in blocks:
        tree = tree[name]
    tree.pop(last, None)
