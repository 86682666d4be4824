"""The schema of a dataset, stored as `schema.json` in the prepared folder, and the results of its checks."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Literal, Self

from pydantic import ValidationError

from ..config.base import CheckLevel, CheckRule, StrictModel
from ..config.datasets import Task
from ..errors import ArtifactError, CheckError

ColumnType = Literal["numeric", "boolean", "categorical", "ordinal", "date"]

DATE_PARTS = ("days", "month", "weekday", "hour")
"""Features of a date: days since 1970, month 1 to 12, weekday 0 (Monday) to 6, hour 0 to 24 as a fraction."""


class Column(StrictModel):
    """How a column of a table is encoded as one or more features."""

    name: str
    type: ColumnType
    categories: tuple[str, ...] = ()
    """Categories of a categorical column that occur in training rows: the feature is the index; any other value is one
    past the last. Values of an ordinal column, lowest first."""
    date_parts: tuple[str, ...] = ()
    """For a date: the `DATE_PARTS` that vary."""
    decimals: int | None = None
    """For generative models: decimal places of a number, or of a date in days; None for full precision."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features of this column."""
        return tuple(f"{self.name}.{part}" for part in self.date_parts) if self.type == "date" else (self.name,)


class ExtraTarget(StrictModel):
    """A target in addition to the primary one."""

    name: str
    classes: tuple[str, ...] = ()
    """Class names in the order of the target's indices; empty for a regression target."""


class Schema(StrictModel):
    """Names, classes and shape: everything that a network, a report or an exported file needs."""

    kind: Literal["table", "images", "sequences", "series", "text"]
    task: Task
    target: str
    """Empty for an unsupervised task."""
    features: tuple[str, ...]
    """Names along the last axis of a table, sequence or series; empty for images and text."""
    shape: tuple[int, ...]
    """Shape of one sample: (features,) for a table, (channels, height, width) for images, (steps, features) for
    sequences and series, (tokens,) for text."""
    classes: tuple[str, ...]
    """Class names in the order of the target's indices; empty for regression and unsupervised tasks."""
    values: tuple[str, ...] = ()
    """Names of the predicted values, in order; empty for classification and unsupervised tasks."""
    extra_targets: tuple[ExtraTarget, ...] = ()
    """Targets in addition to the primary one, which the fields above describe."""
    columns: tuple[Column, ...] = ()
    """For a table: how its columns are encoded."""
    horizon: int = 0
    """For a series: number of forecast steps; `values` lists those of the first step, then of the second, and so on."""
    frequency: str = ""
    """For a series: the time between two steps as text: 1 month, 15 minutes, 0.5."""
    time_range: tuple[str, ...] = ()
    """For a series: the times of its first and last step."""
    season_length: int = 0
    """For a series: steps per season; 0 if unknown."""
    log_target: bool = False
    """Whether the network is trained on the logarithm of the target, including past target values of a series."""
    difference: Literal["none", "last", "seasonal"] = "none"
    """For a trained model: the naive forecast that its outputs are differences from."""
    quantiles: tuple[float, ...] = ()
    """For a trained model: the predicted quantiles of each value, lowest first; empty for a point prediction."""
    vocabulary: tuple[str, ...] = ()
    """For text: the token of each index; 0 is padding, 1 an unknown token."""
    tokenizer: str = ""
    """For text: word or character, with the prefix lower_ if text is converted to lower case."""

    @property
    def output_kind(self) -> Literal["probabilities", "values", "predictions"]:
        """Kind of outputs: probabilities (n, classes), values (n, values * quantiles), or both for mixed targets."""
        kinds = {bool(self.classes), *(bool(extra_target.classes) for extra_target in self.extra_targets)}
        return "predictions" if len(kinds) == 2 else "probabilities" if self.classes else "values"

    @property
    def output_dtype(self) -> Literal["float32", "float64"]:
        """Data type of the outputs: values need float64."""
        return "float32" if self.output_kind == "probabilities" else "float64"

    @property
    def n_outputs(self) -> int:
        """Number of outputs per sample."""
        n_primary = len(self.classes) or len(self.values) * max(len(self.quantiles), 1)
        return n_primary + sum(len(extra_target.classes) or 1 for extra_target in self.extra_targets)

    @classmethod
    def from_json(cls, text: str, origin: object) -> Self:
        """Return the schema that `model_dump_json` wrote.

        Raises:
            ArtifactError: `text` is not a schema; names `origin`.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problem = error.errors()[0]
            key = ".".join(map(str, problem["loc"]))
            raise ArtifactError(
                f"{origin} must contain a schema, but {key}: {problem['msg']}; run `dvc repro` again"
            ) from None


class CheckResult(StrictModel):
    """One result of a check: its rule, level and message."""

    rule: CheckRule
    level: CheckLevel
    message: str
    column: str = ""
    """The column concerned, if there is exactly one."""


MAX_SEPARATE = 3
"""Number of results of one rule, for one column each, that are displayed separately; more are merged into the first."""

MAX_LISTED = 5
"""Largest number of column names listed in a merged message."""


def merge_similar(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Return results for display: consecutive results of one rule are merged into one that lists their columns."""
    merged = []
    for _, group in groupby(results, key=lambda result: (result.rule, result.level, bool(result.column))):
        first, *others = group
        if not first.column or len(others) < MAX_SEPARATE:
            merged += [first, *others]
            continue
        names = ", ".join(result.column for result in others[:MAX_LISTED]) + (
            ", ..." if len(others) > MAX_LISTED else ""
        )
        merged.append(first.model_copy(update={"message": f"{first.message}; same for {len(others)} more: {names}"}))
    return merged


def apply_levels(results: Iterable[CheckResult], levels: Mapping[CheckRule, CheckLevel]) -> list[CheckResult]:
    """Return results, most severe first, with the levels set in params.yaml and without rules that are off.

    Raises:
        CheckError: a result is an error; lists all errors, up to ten.
    """
    order: tuple[CheckLevel, ...] = ("error", "warning", "note")
    leveled = [r.model_copy(update={"level": levels.get(r.rule, r.level)}) for r in results]
    ordered = sorted((r for r in leveled if r.level != "off"), key=lambda r: order.index(r.level))
    errors = [r for r in ordered if r.level == "error"]
    if errors:
        raise CheckError([f"{r.rule}: {r.message}" for r in errors], [r.rule for r in errors])
    return ordered
