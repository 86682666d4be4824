"""Tokens back to a text, as it is usually set."""

from collections.abc import Sequence

BEHIND = frozenset(".,;:!?…%)]}’”»")
"""Signs that stand at the word before them."""
BEFORE = frozenset("([{“‘«$£€")
"""Signs that stand at the word after them."""
BETWEEN = frozenset("-–—/")
"""Signs that stand at both."""
TURNING = frozenset("\"'")
"""Signs that stand at the word after them and at the word before them in turn."""


def gap(before: Sequence[str], token: str, tokens: str) -> str:
    """Return what stands between the tokens `before` and the next one; `tokens` is that of `Schema`."""
    if tokens.endswith("character") or not before or token in BEHIND | BETWEEN:
        return ""
    last = before[-1]
    opened = last in TURNING and before.count(last) % 2 == 1
    closes = token in TURNING and before.count(token) % 2 == 1
    return "" if last in BEFORE | BETWEEN or opened or closes else " "
