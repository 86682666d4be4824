"""Types shared by all blocks of params.yaml: strict models, names, levels of data checks, shared choices."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, WrapSerializer

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""Name of a dataset or model. It becomes part of file paths, so it is validated before any path is built."""

KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")
FrozenMapping = Annotated[
    Mapping[KeyT, ValueT], AfterValidator(MappingProxyType), WrapSerializer(lambda values, write: write(dict(values)))
]
"""Read-only mapping."""


class StrictModel(BaseModel):
    """Immutable block that rejects unknown keys, wrong types, NaN and infinities."""

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
        description="level by rule, overriding the rule's default: error stops the stage, off skips the check",
    ),
]

Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]
Initialization = Literal["default", "zeros", "normal", "uniform", "xavier", "kaiming", "orthogonal"]
RecurrentCell = Literal["rnn", "lstm", "gru"]
