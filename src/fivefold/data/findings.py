"""One thing that somebody should know about the data, and how serious it is."""

from collections.abc import Iterable, Mapping

from ..errors import DataError
from ..params.base import Strict
from ..params.checks import Level, Rule


class Finding(Strict):
    """What a rule found."""

    rule: Rule
    level: Level
    text: str
    column: str = ""
    """The column that it is about, where it is about one alone."""


def graded(findings: Iterable[Finding], levels: Mapping[Rule, Level]) -> list[Finding]:
    """Return findings, worst first, with the levels that params.yaml gives to their rules, without those that are off.

    Raises:
        DataError: a finding is an error; the first is told, and how many there are.
    """
    order: tuple[Level, ...] = ("error", "warning", "note")
    given = [f.model_copy(update={"level": levels.get(f.rule, f.level)}) for f in findings]
    found = sorted((f for f in given if f.level != "off"), key=lambda f: order.index(f.level))
    errors = [f for f in found if f.level == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise DataError(f"{errors[0].text}; or set `checks: {{{errors[0].rule}: warning}}`{more}")
    return found
