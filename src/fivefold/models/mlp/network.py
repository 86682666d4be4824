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
from ..factory import InputSpec
from ..layers import build_dense_block, initialize_weights, resolve_embedding_dim

HASH_MULTIPLIER = 116_049_371
"""Spreads the hashes of tokens in a row; times `buckets`, it stays far below 2^63."""


def build(params: Mlp, spec: InputSpec) -> nn.Module:
    """Return the network for records of `shape`; images and sequences are flattened, tokens embedded.

    Raises:
        ParamsError: an embedding is asked for, but there are neither tokens nor categories.
    """
    size, width = resolve_embedding_dim(params.embedding_dim, spec), math.prod(spec.shape)
    if spec.vocab_size:
        if params.pool == "flatten":
            return nn.Sequential(
                TokenEmbedding(spec.vocab_size, size), MlpNetwork(params, size * width, spec.n_outputs)
            )
        bag = NgramEmbeddingBag(spec.vocab_size, size, params.ngrams, params.buckets)
        return nn.Sequential(bag, MlpNetwork(params, size, spec.n_outputs))
    if size:
        categories = CategoryEmbedding(spec.one_hot_sizes, size)
        numbers = width - sum(spec.one_hot_sizes) + size * len(spec.one_hot_sizes)
        return nn.Sequential(categories, MlpNetwork(params, numbers, spec.n_outputs))
    return MlpNetwork(params, width, spec.n_outputs)


class TokenEmbedding(nn.Module):
    """Token indices (b, t) -> (b, t * e), in order."""

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings of tokens (b, t), which may come as floating numbers."""
        found: Tensor = self.embedding(x.long())  # (b, t) -> (b, t, e)
        return found.flatten(1)


class NgramEmbeddingBag(nn.Module):
    """Token indices (b, t) -> (b, e), the mean over tokens and rows of up to `ngrams` tokens, padding left out.

    The table has a row for each token, and `buckets` more that rows of two tokens and more share by their hash.
    """

    def __init__(self, vocab_size: int, embedding_dim: int, ngrams: int, buckets: int) -> None:
        super().__init__()
        self.vocab_size, self.ngrams, self.buckets = vocab_size, ngrams, buckets
        self.embedding = nn.Embedding(vocab_size + (buckets if ngrams > 1 else 0), embedding_dim, padding_idx=0)
        with torch.no_grad():  # small, as what training never meets should hardly count
            self.embedding.weight.uniform_(-1 / embedding_dim, 1 / embedding_dim)
            self.embedding.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean embedding of tokens (b, t), which may come as floating numbers."""
        indices = self._ngram_indices(x.long())
        found: Tensor = self.embedding(indices)  # (b, n) -> (b, n, e)
        real = (indices != 0).sum(dim=1, keepdim=True).clamp_min(1)
        return found.sum(dim=1) / real

    def _ngram_indices(self, x: Tensor) -> Tensor:
        """Return where the embeddings of tokens x (b, t), and of those in a row, lie in the table; 0 with padding."""
        every, key, real = [x], x, x != 0
        for n in range(2, min(self.ngrams, x.shape[1]) + 1):
            after = x[:, n - 1 :]  # (b, t - n + 1)
            key = (key[:, :-1] * HASH_MULTIPLIER + after) % self.buckets
            real = real[:, :-1] & (after != 0)
            every.append((key + self.vocab_size) * real)
        return torch.cat(every, dim=1)


class CategoryEmbedding(nn.Module):
    """A table whose last features are categories, one 1 among zeros each -> (b, numbers + g * e).

    A category that training rows did not know is all zeros, and so is its embedding.
    """

    def __init__(self, one_hot_sizes: tuple[int, ...], embedding_dim: int) -> None:
        super().__init__()
        self.one_hot_sizes = one_hot_sizes
        self.embeddings = nn.ParameterList(torch.randn(n, embedding_dim) for n in one_hot_sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features (b, f) with a row of its column's table in the place of each category."""
        numbers, *shown = torch.split(x, [x.shape[1] - sum(self.one_hot_sizes), *self.one_hot_sizes], dim=1)
        return torch.cat([numbers, *(one @ table for one, table in zip(shown, self.embeddings, strict=True))], dim=1)


class ResidualLayer(nn.Module):
    """(b, before) -> (b, after): a hidden layer and, beside it, its input."""

    def __init__(self, layer: nn.Module, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layer = layer
        self.skip = nn.Identity() if in_features == out_features else nn.Linear(in_features, out_features, bias=False)

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
            layer = build_dense_block(before, after, params.activation, params.dropout, params.norm)
            layers += [ResidualLayer(nn.Sequential(*layer), before, after)] if params.residual and i else layer
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], n_outputs))
        initialize_weights(self, params.init, params.activation)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of features (b, ...)."""
        out: Tensor = self.layers(x)
        return out
