"""One thing that somebody should know about the data, and how serious it is."""

from collections.abc import Iterable, Mapping
from itertools import groupby

from ..config.base import Level, Rule, Strict
from ..errors import CheckError


class Finding(Strict):
    """What a rule found."""

    rule: Rule
    level: Level
    text: str
    column: str = ""
    """The column that it is about, where it is about one alone."""


SINGLE = 3
"""Findings of one rule, of a column each, that a screen shows one by one; of more the first, and names."""

NAMED = 5
"""Names that stand behind it at most."""


def folded(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings as a screen shows them: many of one rule that follow each other become one with their columns."""
    shown = []
    for _, group in groupby(findings, key=lambda finding: (finding.rule, finding.level, bool(finding.column))):
        first, *others = group
        if not first.column or len(others) < SINGLE:
            shown += [first, *others]
            continue
        names = ", ".join(finding.column for finding in others[:NAMED]) + (", ..." if len(others) > NAMED else "")
        shown.append(first.model_copy(update={"text": f"{first.text}; the same of {len(others)} more: {names}"}))
    return shown


def graded(findings: Iterable[Finding], levels: Mapping[Rule, Level]) -> list[Finding]:
    """Return findings, worst first, with the levels that params.yaml gives to their rules, without those that are off.

    Raises:
        CheckError: findings are errors; tells all of them, up to ten.
    """
    order: tuple[Level, ...] = ("error", "warning", "note")
    given = [f.model_copy(update={"level": levels.get(f.rule, f.level)}) for f in findings]
    found = sorted((f for f in given if f.level != "off"), key=lambda f: order.index(f.level))
    errors = [f for f in found if f.level == "error"]
    if errors:
        raise CheckError([f"{f.rule}: {f.text}" for f in errors], [f.rule for f in errors])
    return found
