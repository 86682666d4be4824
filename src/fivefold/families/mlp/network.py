"""Dense layers over a flat feature vector.

Source: Rumelhart, Hinton & Williams 1986; over text Bengio et al. 2003 (tokens in order), Joulin et al. 2017 (mean).
Shapes: b rows, f features, t tokens, e numbers a token, k outputs.
"""

import math

from torch import Tensor, nn

from ..layers import ACTIVATIONS, initialise
from ..shape import Shape
from .params import Mlp


def build(params: Mlp, shape: Shape) -> nn.Module:
    """Return the network for records of `shape`; images and sequences are flattened, tokens embedded."""
    if not shape.tokens:
        return MlpNetwork(params, math.prod(shape.features), shape.outputs)
    words = Embedded(shape.tokens, params.embedding, params.pool)
    width = params.embedding * (math.prod(shape.features) if params.pool == "flatten" else 1)
    return nn.Sequential(words, MlpNetwork(params, width, shape.outputs))


class Embedded(nn.Module):
    """Token indices (b, t) -> (b, e), their mean without padding, or (b, t * e), in order."""

    def __init__(self, tokens: int, size: int, pool: str) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, size, padding_idx=0)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """Return the embedding of tokens (b, t), which may come as floating numbers."""
        indices = x.long()
        found: Tensor = self.table(indices)  # (b, t) -> (b, t, e)
        if self.pool == "flatten":
            return found.flatten(1)
        real = (indices != 0).sum(dim=1, keepdim=True).clamp_min(1)
        return found.sum(dim=1) / real


class MlpNetwork(nn.Module):
    """(b, ...) with f numbers a row -> (b, k) without a final activation."""

    def __init__(self, params: Mlp, n_features: int, n_outputs: int) -> None:
        super().__init__()
        widths = [n_features, *params.hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, width in zip(widths, params.hidden, strict=False):
            layers += [nn.Linear(before, width), ACTIVATIONS[params.activation]()]
            if params.dropout:
                layers.append(nn.Dropout(params.dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of features (b, ...)."""
        out: Tensor = self.layers(x)
        return out
