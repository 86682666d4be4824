"""Multilayer perceptrons over flat features, one-hot categories, or tokens of a text.

Source: Rumelhart, Hinton & Williams 1986; text: Bengio et al. 2003 (tokens in order), Joulin et al. 2017 (bag of
n-grams); categories: Guo & Berkhahn 2016; residual layers: He et al. 2016.
Shapes: b samples, f features, t tokens, n n-grams, e embedding dimensions, g categorical columns, k outputs.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from ...config.networks.mlp import Mlp
from ..factory import InputSpec
from ..layers import build_dense_block, initialize_weights, resolve_embedding_dim

HASH_MULTIPLIER = 116_049_371
"""Multiplier of the n-gram hash; times `buckets` it stays far below 2^63."""


def build(params: Mlp, spec: InputSpec) -> nn.Module:
    """Return the network for data of shape `spec`; images and sequences are flattened, tokens embedded.

    Raises:
        ParamsError: an embedding is configured, but there are neither tokens nor categories.
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
        embedding = CategoryEmbedding(spec.one_hot_sizes, size)
        n_features = width - sum(spec.one_hot_sizes) + size * len(spec.one_hot_sizes)
        return nn.Sequential(embedding, MlpNetwork(params, n_features, spec.n_outputs))
    return MlpNetwork(params, width, spec.n_outputs)


class TokenEmbedding(nn.Module):
    """Token indices (b, t) -> (b, t * e), in order."""

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the concatenated embeddings of tokens (b, t), which may be floats."""
        embedded: Tensor = self.embedding(x.long())  # (b, t) -> (b, t, e)
        return embedded.flatten(1)  # (b, t * e)


class NgramEmbeddingBag(nn.Module):
    """Token indices (b, t) -> (b, e), the mean embedding of all n-grams of up to `ngrams` tokens without padding.

    The table has a row for each token, and `buckets` more rows for n-grams of two or more tokens, shared by their hash.
    """

    def __init__(self, vocab_size: int, embedding_dim: int, ngrams: int, buckets: int) -> None:
        super().__init__()
        self.vocab_size, self.ngrams, self.buckets = vocab_size, ngrams, buckets
        self.embedding = nn.Embedding(vocab_size + (buckets if ngrams > 1 else 0), embedding_dim, padding_idx=0)
        with torch.no_grad():  # small, because n-grams absent from training should hardly count
            self.embedding.weight.uniform_(-1 / embedding_dim, 1 / embedding_dim)
            self.embedding.weight[0] = 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean embedding of tokens (b, t), which may be floats."""
        indices = self._ngram_indices(x.long())
        embedded: Tensor = self.embedding(indices)  # (b, n) -> (b, n, e)
        n_real = (indices != 0).sum(dim=1, keepdim=True).clamp_min(1)  # (b, 1)
        return embedded.sum(dim=1) / n_real  # (b, e)

    def _ngram_indices(self, x: Tensor) -> Tensor:
        """Return the rows (b, n) of the table for all tokens x (b, t) and their n-grams; 0 for n-grams with padding."""
        indices, key, real = [x], x, x != 0
        for n in range(2, min(self.ngrams, x.shape[1]) + 1):
            following = x[:, n - 1 :]  # (b, t - n + 1)
            key = (key[:, :-1] * HASH_MULTIPLIER + following) % self.buckets
            real = real[:, :-1] & (following != 0)
            indices.append((key + self.vocab_size) * real)
        return torch.cat(indices, dim=1)


class CategoryEmbedding(nn.Module):
    """Features of a table, whose last ones are one-hot categories -> (b, f) with an embedding for each category.

    A category unknown from training is all zeros, and so is its embedding.
    """

    def __init__(self, one_hot_sizes: tuple[int, ...], embedding_dim: int) -> None:
        super().__init__()
        self.one_hot_sizes = one_hot_sizes
        self.embeddings = nn.ParameterList(torch.randn(n, embedding_dim) for n in one_hot_sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the numeric features, followed by the embedding of each category."""
        numeric, *one_hot = torch.split(x, [x.shape[1] - sum(self.one_hot_sizes), *self.one_hot_sizes], dim=1)
        embedded = (block @ table for block, table in zip(one_hot, self.embeddings, strict=True))
        return torch.cat([numeric, *embedded], dim=1)  # numeric + g * e


class ResidualLayer(nn.Module):
    """(b, in_features) -> (b, out_features): a hidden layer plus its input, projected if the sizes differ."""

    def __init__(self, layer: nn.Module, in_features: int, out_features: int) -> None:
        super().__init__()
        self.layer = layer
        self.skip = nn.Identity() if in_features == out_features else nn.Linear(in_features, out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of shortcut and layer."""
        out: Tensor = self.skip(x) + self.layer(x)
        return out


class MlpNetwork(nn.Module):
    """(b, ...) with `n_features` values per sample -> (b, k) without a final activation."""

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
