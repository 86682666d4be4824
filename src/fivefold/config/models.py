"""The blocks under `models` and the union of all network families.

A new family is one module under networks/, one package under fivefold.models and one name in `NetworkConfig`.
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
"""Value of `depends_on` for a model without a dependency: DVC templates need the key in every model."""


class Model(StrictModel):
    """One network on one dataset."""

    dataset: Name = Field(description="a name under `datasets`")
    depends_on: Name = Field(
        description="model under `models` that is trained first: an autoencoder whose encoder is used by select"
        " {method: autoencoder}, or a reference classifier whose features are used to compare generated samples with"
        " real ones; none: no dependency"
    )
    select: SelectionConfig
    network: NetworkConfig
    training: Training = Field(description="overrides of the top-level `training` block; {} for none")
    search: Annotated[Mapping[str, Any], AfterValidator(MappingProxyType)] = Field(
        default={},
        validate_default=True,
        exclude=True,  # does not identify a trained model
        description="search space of `fivefold study`, nested like this block:"
        " {type: float | int, low, high, log, step} or {type: categorical, choices}, with `when` for conditional"
        " parameters",
    )
    study: Study = Field(default=Study(), exclude=True, description="settings of `fivefold study`")

    @property
    def source_model(self) -> str | None:
        """Name of the model that this one depends on; None if there is none."""
        return None if self.depends_on == NO_MODEL else self.depends_on
