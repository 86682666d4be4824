"""What is known of a dataset beside its arrays; `schema.json` in the prepared folder.

One thing that somebody should know about the data, and how serious it is.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Literal, Self

from pydantic import ValidationError

from ..config.base import CheckLevel, CheckRule, StrictModel
from ..config.datasets import Task
from ..errors import ArtifactError, CheckError

ColumnType = Literal["numeric", "boolean", "categorical", "ordinal", "date"]

DATE_PARTS = ("days", "month", "weekday", "hour")
"""What a date becomes: days since 1970, month 1 to 12, weekday 0 (Monday) to 6, hour 0 to 24 with its fraction."""


class Column(StrictModel):
    """How a column of a table becomes one feature or more."""

    name: str
    type: ColumnType
    categories: tuple[str, ...] = ()
    """Of a categorical column, seen in training rows: the feature is the index; any other value is one past the last.
    Of an ordinal column: its values, lowest first."""
    date_parts: tuple[str, ...] = ()
    """Of a date: those of `DATE_PARTS` that change."""
    decimals: int | None = None
    """Of what makes rows: digits behind the point of a number, or of a date in days; None for all that there are."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that the column becomes."""
        return tuple(f"{self.name}.{part}" for part in self.date_parts) if self.type == "date" else (self.name,)


class ExtraTarget(StrictModel):
    """A target beside the leading one."""

    name: str
    classes: tuple[str, ...] = ()
    """In the order of the target's indices; empty where a value is told."""


class Schema(StrictModel):
    """Names, classes and shape: all that a network, a report or an exported file must know."""

    kind: Literal["table", "images", "sequences", "series", "text"]
    task: Task
    target: str
    """Empty of an unsupervised task."""
    features: tuple[str, ...]
    """Names along the last axis of one record, table, sequences and series; empty for images and text."""
    shape: tuple[int, ...]
    """Shape of one record: (features,) of a table, (channels, height, width) of images, (steps, features) of sequences
    and series, (tokens,) of text."""
    classes: tuple[str, ...]
    """Class names in the order of the target's indices; empty where values are told, or nothing."""
    values: tuple[str, ...] = ()
    """Names of the values that are told, in order; empty for classes, and where nothing is told."""
    extra_targets: tuple[ExtraTarget, ...] = ()
    """Targets that are told beside the leading one, which is all that the fields above speak of."""
    columns: tuple[Column, ...] = ()
    """Of a table: how its columns become features."""
    horizon: int = 0
    """Of a series: future steps that are told; values are those of the first step, then of the second, and so on."""
    frequency: str = ""
    """Of a series: the distance of two steps, as a person says it: 1 month, 15 minutes, 0.5."""
    time_range: tuple[str, ...] = ()
    """Of a series: the times of its first and of its last step."""
    season_length: int = 0
    """Of a series: steps after which it is like before; 0 if none is known."""
    log_target: bool = False
    """Whether values are learnt by their logarithms, and the steps of a series that lead to them seen by theirs."""
    difference: Literal["none", "last", "seasonal"] = "none"
    """Of a trained model: what its forecasts are differences from."""
    quantiles: tuple[float, ...] = ()
    """Of a trained model: the quantiles that it tells of each value, lowest first; empty for the value alone."""
    vocabulary: tuple[str, ...] = ()
    """Of text: the token of each index; 0 is padding, 1 an unknown token."""
    tokenizer: str = ""
    """Of text: how it is cut into tokens: word or character, with lower_ before it if in lower case."""

    @property
    def output_kind(self) -> Literal["probabilities", "values", "predictions"]:
        """What a model gives: probabilities (n, classes), or values (n, values * levels); of several targets both."""
        kinds = {bool(self.classes), *(bool(further.classes) for further in self.extra_targets)}
        return "predictions" if len(kinds) == 2 else "probabilities" if self.classes else "values"

    @property
    def output_dtype(self) -> Literal["float32", "float64"]:
        """The type of what a model gives: values need float64."""
        return "float32" if self.output_kind == "probabilities" else "float64"

    @property
    def n_outputs(self) -> int:
        """Numbers that a model gives per record."""
        leading = len(self.classes) or len(self.values) * max(len(self.quantiles), 1)
        return leading + sum(len(further.classes) or 1 for further in self.extra_targets)

    @classmethod
    def from_json(cls, text: str, origin: object) -> Self:
        """Read what `model_dump_json` wrote; `origin` is named in the `ArtifactError` if it is something else."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(map(str, problem["loc"]))
            raise ArtifactError(
                f"{origin} must hold a schema, but {where}: {problem['msg']}; run `dvc repro` again"
            ) from None


class CheckResult(StrictModel):
    """What a rule found."""

    rule: CheckRule
    level: CheckLevel
    message: str
    column: str = ""
    """The column that it is about, where it is about one alone."""


MAX_SEPARATE = 3
"""Findings of one rule, of a column each, that a screen shows one by one; of more the first, and names."""

MAX_LISTED = 5
"""Names that stand behind it at most."""


def merge_similar(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return findings as a screen shows them: many of one rule that follow each other become one with their columns."""
    shown = []
    for _, group in groupby(results, key=lambda finding: (finding.rule, finding.level, bool(finding.column))):
        first, *others = group
        if not first.column or len(others) < MAX_SEPARATE:
            shown += [first, *others]
            continue
        names = ", ".join(finding.column for finding in others[:MAX_LISTED]) + (
            ", ..." if len(others) > MAX_LISTED else ""
        )
        shown.append(first.model_copy(update={"message": f"{first.message}; the same of {len(others)} more: {names}"}))
    return shown


def apply_levels(results: Iterable[CheckResult], levels: Mapping[CheckRule, CheckLevel]) -> list[CheckResult]:
    """Return findings, worst first, with the levels that params.yaml gives to their rules, without those that are off.

    Raises:
        CheckError: findings are errors; tells all of them, up to ten.
    """
    order: tuple[CheckLevel, ...] = ("error", "warning", "note")
    given = [f.model_copy(update={"level": levels.get(f.rule, f.level)}) for f in results]
    found = sorted((f for f in given if f.level != "off"), key=lambda f: order.index(f.level))
    errors = [f for f in found if f.level == "error"]
    if errors:
        raise CheckError([f"{f.rule}: {f.message}" for f in errors], [f.rule for f in errors])
    return found
