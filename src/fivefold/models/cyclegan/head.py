"""The last part of a translator: features of both translations -> raw images of one class."""

from torch import Tensor, nn

from ...config.networks.cyclegan import Cyclegan
from ...data.schema import Schema
from ...errors import ParamsError
from ...preprocessing.pipeline import Chain
from ..inverse import Undo


def last_part(params: Cyclegan, schema: Schema, chain: Chain) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: the preprocessing cannot be undone, or the dataset has no class of that name.
    """
    if params.into is None:
        return Translate(chain, 1)
    if params.into not in schema.classes:
        raise ParamsError(
            f"network.into must name a class of the dataset, {' or '.join(schema.classes)}, but is {params.into!r};"
            " mend it"
        )
    return Translate(chain, schema.classes.index(params.into))


class Translate(nn.Module):
    """Features of images in both classes -> raw images (b, ...) in one of them.

    Args:
        into: its index.
    """

    def __init__(self, chain: Chain, into: int) -> None:
        super().__init__()
        self.undo = Undo(chain, images=True)
        self.into = into

    def forward(self, outputs: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """Return raw images; an exported graph has the one generator that they need."""
        told: Tensor = self.undo(outputs[self.into])
        return told
