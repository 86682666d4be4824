"""What a person says of a source on the command line, and what that implies."""

from dataclasses import dataclass, replace

from ..errors import DataError
from .sizes import Size

KINDS = ("table", "images", "sequences", "series", "text")
UNSUPERVISED = "unsupervised"
TASKS = ("classification", "regression", "forecasting", UNSUPERVISED)
RECORDS = ("table", "images", "sequences")
"""Kinds of which nothing may have to be predicted."""


@dataclass(frozen=True)
class Said:
    """Options of `fivefold add`; what is empty or None is inferred.

    size: height and width of images, to which they are resized.
    dates: what comes first in dates, as `format.dates` says it.
    header: whether the first line of a CSV names the columns.
    series, step: columns of sequences.
    time: column of a series, several with commas between, or by which rows of a table are divided.
    accept: rows of a table without a target are left out.
    """

    target: str = ""
    kind: str = ""
    size: Size | None = None
    dates: str = ""
    task: str = ""
    header: bool | None = None
    series: str = ""
    step: str = ""
    time: str = ""
    accept: bool = False

    def resolved(self) -> "Said":
        """Return the same with the kind that other options imply.

        Raises:
            DataError: two options exclude each other, or one is none of what it can be.
        """
        if self.kind and self.kind not in KINDS:
            raise DataError(f"--kind must be one of {', '.join(KINDS)}, but is {self.kind!r}; choose one of them")
        if self.task and self.task not in TASKS:
            raise DataError(f"--task must be one of {', '.join(TASKS)}, but is {self.task!r}; choose one of them")
        if self.task == UNSUPERVISED and self.kind not in ("", *RECORDS):
            raise DataError(
                f"--task {UNSUPERVISED} is of {', '.join(RECORDS)}, but --kind is {self.kind}; leave out one of them"
            )
        if self.kind == "series" and self.task not in ("", "forecasting"):
            raise DataError(
                f"a series is told ahead, so --task must be forecasting, but is {self.task!r}; leave it out"
            )
        if self.task == UNSUPERVISED and self.target:
            raise DataError(
                f"--task {UNSUPERVISED} has no target, but --target names {self.target!r}; leave out one of them"
            )
        kind, origin = self.kind, f"--kind {self.kind}"
        ahead = ("series",) if self.task in ("", "forecasting") else ()
        for option, value, kinds in (
            ("--task forecasting", self.task == "forecasting", ("series",)),
            ("--series", self.series, ("sequences",)),
            ("--step", self.step, ("sequences",)),
            ("--time", self.time, (*ahead, "table", "text")),
        ):
            if value and kind and kind not in kinds:
                raise DataError(f"{option} is for {' or '.join(kinds)}, but {origin} is said; leave out one of them")
            if value and not kind and kinds[0] != "table":
                kind, origin = kinds[0], option
        return replace(self, kind=kind)

    @property
    def times(self) -> tuple[str, ...]:
        """Columns of `time`: several, with commas between, are one time together."""
        return tuple(name.strip() for name in self.time.split(",")) if self.time else ()

    def columns(self) -> list[tuple[str, str]]:
        """Return the options that name a column, and what they name."""
        named = [("--target", self.target), ("--series", self.series), ("--step", self.step)]
        return [*((option, name) for option, name in named if name), *(("--time", name) for name in self.times)]
