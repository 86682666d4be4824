"""What the data checks look for, and how serious each finding is."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Frozen

Rule = Literal[
    "missing",
    "constant",
    "duplicates",
    "split_overlap",
    "split_shares",
    "identifier",
    "leakage",
    "class_balance",
    "small_class",
    "absent_class",
    "unseen_class",
    "outliers",
    "non_finite",
    "mixed_types",
    "corrupt",
    "missing_steps",
    "encoding",
    "channels",
    "cut",
]
Level = Literal["error", "warning", "note", "off"]
Levels = Annotated[
    Frozen[Rule, Level],
    Field(
        default_factory=dict,
        validate_default=True,
        description="level of a rule instead of its own: error stops, off does not look",
    ),
]
