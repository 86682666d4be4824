"""The blocks under `models`, and the union of all network families.

A family is added by one folder under families/ and one name in `Network`.
"""

from typing import Annotated

from pydantic import Field

from ..families.autoencoder.params import Autoencoder
from ..families.cnn.params import Cnn
from ..families.cyclegan.params import Cyclegan
from ..families.gan.params import Gan
from ..families.mlp.params import Mlp
from ..families.rnn.params import Rnn
from .base import Name, Strict
from .selection import Selection
from .training import Training

Network = Annotated[Mlp | Cnn | Rnn | Autoencoder | Gan | Cyclegan, Field(discriminator="family")]


class Model(Strict):
    """One network on one dataset."""

    dataset: Name = Field(description="a name under `datasets`")
    select: Selection
    network: Network
    training: Training = Field(description="what differs from the `training` block at the top; {} if nothing does")
