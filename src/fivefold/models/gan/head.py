"""The last part of a generator's model: what is made of noise -> raw records."""

from torch import Tensor, nn

from ...config.networks.gan import Gan
from ...data.schema import Schema
from ...preprocessing.pipeline import Chain
from ..inverse import Sample, Undo
from .tabular import Scores


class Rows(nn.Module):
    """Scores of a table's rows (b, f) -> raw rows (b, ...)."""

    def __init__(self, chain: Chain, numbers: int) -> None:
        super().__init__()
        self.scores, self.undo = Scores(numbers), Undo(chain, images=False)

    def forward(self, outputs: Tensor, x: Tensor) -> Tensor:
        """Return raw rows."""
        told: Tensor = self.undo(self.scores(outputs))
        return told


def last_part(params: Gan, schema: Schema, chain: Chain) -> nn.Module:
    """Return the last part of a model.

    Raises:
        ParamsError: the preprocessing cannot be undone.
    """
    if schema.kind == "table" and params.numbers == "ranks":
        return Rows(chain, chain.shape(schema.shape)[0] - sum(chain.categories()))
    return Sample(chain, images=schema.kind == "images")
