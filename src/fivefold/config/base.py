"""What every block of params.yaml has in common.

What the data checks look for, and how serious each finding is.

Choices that families share, by the names used in params.yaml.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WrapSerializer

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A dataset's or model's name: it becomes part of paths, so it is checked before any path is built."""


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")
FrozenMapping = Annotated[
    Mapping[KeyT, ValueT], AfterValidator(MappingProxyType), WrapSerializer(lambda values, write: write(dict(values)))
]
"""Values by key, which cannot be put in or taken out."""


class StrictModel(BaseModel):
    """A block that refuses unknown keys, wrong types, NaN and infinities, and cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


CheckRule = Literal[
    "missing",
    "constant",
    "duplicates",
    "split_overlap",
    "split_sizes",
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
    "truncated",
]
CheckLevel = Literal["error", "warning", "note", "off"]
CheckLevels = Annotated[
    FrozenMapping[CheckRule, CheckLevel],
    Field(
        default_factory=dict,
        validate_default=True,
        description="level of a rule instead of its own: error stops, off does not look",
    ),
]


Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]
Initialization = Literal["default", "zeros", "normal", "uniform", "xavier", "kaiming", "orthogonal"]
RecurrentCell = Literal["rnn", "lstm", "gru"]
