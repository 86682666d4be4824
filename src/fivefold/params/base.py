"""What every block of params.yaml has in common."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, WrapSerializer

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A dataset's or model's name: it becomes part of paths, so it is checked before any path is built."""


Key = TypeVar("Key")
Value = TypeVar("Value")
Frozen = Annotated[
    Mapping[Key, Value], AfterValidator(MappingProxyType), WrapSerializer(lambda values, write: write(dict(values)))
]
"""Values by key, which cannot be put in or taken out."""


class Strict(BaseModel):
    """A block that refuses unknown keys, wrong types, NaN and infinities, and cannot be changed once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
