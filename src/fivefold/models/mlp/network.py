"""Dense layers over a flat feature vector.

Source: Rumelhart, Hinton & Williams 1986; over text Bengio et al. 2003 (tokens in order), Joulin et al. 2017 (bag);
categories Guo & Berkhahn 2016; residual layers He et al. 2016.
Shapes: b rows, f features, h hidden units, t tokens, e numbers a token or category, g categorical columns, k outputs.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...config.networks.mlp import Mlp
from ..factory import Shape
from ..layers import dense, embedding_size, initialise

PRIME = 116_049_371
"""Spreads the hashes of tokens in a row; times `buckets`, it stays far below 2^63."""


def build(params: Mlp, shape: Shape) -> nn.Module:
    """Return the network for records of `shape`; images and sequences are flattened, tokens embedded.

    Raises:
        ParamsError: an embedding is asked for, but there are neither tokens nor categories.
    """
    size, width = embedding_size(params.embedding, shape), math.prod(shape.features)
    if shape.tokens:
        if params.pool == "flatten":
            return nn.Sequential(Words(shape.tokens, size), MlpNetwork(params, size * width, shape.outputs))
        bag = Bag(shape.tokens, size, params.ngrams, params.buckets)
        return nn.Sequential(bag, MlpNetwork(params, size, shape.outputs))
    if size:
        categories = Categories(shape.categories, size)
        numbers = width - sum(shape.categories) + size * len(shape.categories)
        return nn.Sequential(categories, MlpNetwork(params, numbers, shape.outputs))
    return MlpNetwork(params, width, shape.outputs)


class Words(nn.Module):
    """Token indices (b, t) -> (b, t * e), in order."""

    def __init__(self, tokens: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, size, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings of tokens (b, t), which may come as floating numbers."""
        found: Tensor = self.table(x.long())  # (b, t) -> (b, t, e)
        return found.flatten(1)


class Bag(nn.Module):
    """Token indices (b, t) -> (b, e), the mean over tokens and rows of up to `ngrams` tokens, padding left out.

    The table has a row for each token, and `buckets` more that rows of two tokens and more share by their hash.
    """

    def __init__(self, tokens: int, size: int, ngrams: int, buckets: int) -> None:
        super().__init__()
        self.tokens, self.ngrams, self.buckets = tokens, ngrams, buckets
        self.table = nn.Embedding(tokens + (buckets if ngrams > 1 else 0), size, padding_idx=0)
        with torch.no_grad():  # small, as what training never meets should hardly count
            self.table.weight.uniform_(-1 / size, 1 / size)
            self.table.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean embedding of tokens (b, t), which may come as floating numbers."""
        indices = self._indices(x.long())
        found: Tensor = self.table(indices)  # (b, n) -> (b, n, e)
        real = (indices != 0).sum(dim=1, keepdim=True).clamp_min(1)
        return found.sum(dim=1) / real

    def _indices(self, x: Tensor) -> Tensor:
        """Return where the embeddings of tokens x (b, t), and of those in a row, lie in the table; 0 with padding."""
        every, key, real = [x], x, x != 0
        for n in range(2, min(self.ngrams, x.shape[1]) + 1):
            after = x[:, n - 1 :]  # (b, t - n + 1)
            key = (key[:, :-1] * PRIME + after) % self.buckets
            real = real[:, :-1] & (after != 0)
            every.append((key + self.tokens) * real)
        return torch.cat(every, dim=1)


class Categories(nn.Module):
    """A table whose last features are categories, one 1 among zeros each -> (b, numbers + g * e).

    A category that training rows did not know is all zeros, and so is its embedding.
    """

    def __init__(self, categories: tuple[int, ...], size: int) -> None:
        super().__init__()
        self.widths = categories
        self.tables = nn.ParameterList(torch.randn(n, size) for n in categories)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (b, f) with a row of its column's table in the place of each category."""
        numbers, *shown = torch.split(x, [x.shape[1] - sum(self.widths), *self.widths], dim=1)
        return torch.cat([numbers, *(one @ table for one, table in zip(shown, self.tables, strict=True))], dim=1)


class Residual(nn.Module):
    """(b, before) -> (b, after): a hidden layer and, beside it, its input."""

    def __init__(self, layer: nn.Module, before: int, after: int) -> None:
        super().__init__()
        self.layer = layer
        self.skip = nn.Identity() if before == after else nn.Linear(before, after, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both."""
        out: Tensor = self.skip(x) + self.layer(x)
        return out


class MlpNetwork(nn.Module):
    """(b, ...) with f numbers a row -> (b, k) without a final activation."""

    def __init__(self, params: Mlp, n_features: int, n_outputs: int) -> None:
        super().__init__()
        widths = (n_features, *params.hidden)
        layers: list[nn.Module] = [nn.Flatten()]
        for i, (before, after) in enumerate(pairwise(widths)):
            layer = dense(before, after, params.activation, params.dropout, params.norm)
            layers += [Residual(nn.Sequential(*layer), before, after)] if params.residual and i else layer
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))
        initialise(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of features (b, ...)."""
        out: Tensor = self.layers(x)
        return out
