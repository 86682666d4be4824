"""The blocks under `models`, and the union of all network families.

A family is added by one folder under models/ and one name in `Network`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from .base import Name, StrictModel
from .networks.autoencoder import Autoencoder
from .networks.cnn import Cnn
from .networks.cyclegan import Cyclegan
from .networks.gan import Gan
from .networks.mlp import Mlp
from .networks.rnn import Rnn
from .search import Study
from .selection import SelectionConfig
from .training import Training

NetworkConfig = Annotated[Mlp | Cnn | Rnn | Autoencoder | Gan | Cyclegan, Field(discriminator="family")]


NO_MODEL = "none"
"""What `uses` says where no other model is used: DVC needs the key in every model."""


class Model(StrictModel):
    """One network on one dataset."""

    dataset: Name = Field(description="a name under `datasets`")
    depends_on: Name = Field(
        description="a model under `models` that is trained before: an autoencoder whose codes select {method:"
        " autoencoder} takes, or a classifier by which what a gan or a cyclegan makes is compared with real records;"
        " none"
    )
    select: SelectionConfig
    network: NetworkConfig
    training: Training = Field(description="what differs from the `training` block at the top; {} if nothing does")
    search: Annotated[Mapping[str, Any], AfterValidator(MappingProxyType)] = Field(
        default={},
        validate_default=True,
        exclude=True,  # no part of what a model is
        description="ranges of values that `fivefold study` tries, in the tree of this block: {type: float | int,"
        " low, high, log, step} or {type: categorical, choices}, each with `when` if it is tried under a condition",
    )
    study: Study = Field(default=Study(), exclude=True, description="how `fivefold study` searches")

    @property
    def source_model(self) -> str | None:
        """The model that `uses` names."""
        return None if self.depends_on == NO_MODEL else self.depends_on
