"""Recurrent networks: recurrent layers over time steps, pooling over steps, then dense layers.

Source: Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014; over tokens Mikolov et al. 2010.
Shapes: b samples, t steps, f features per step, e embedding dimensions, d units per step, k outputs.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ...config.networks.rnn import Pooling, Rnn
from ...errors import ParamsError
from ..factory import InputSpec
from ..layers import ACTIVATIONS, initialize_weights
from ..recurrent import RecurrentLayer, SequenceInput, initialize_recurrent_weights, lengths_from_mask, select_last_step


def build_pooling(pool: Pooling, width: int, bidirectional: bool) -> nn.Module:
    """Return the pooling `pool` over steps of `width` units: steps (b, t, d), lengths (b,) or None -> (b, d)."""
    match pool:
        case "last":
            return LastPooling(bidirectional)
        case "mean":
            return MeanPooling()
        case "max":
            return MaxPooling()
        case "attention":
            return AttentionPooling(width)


class LastPooling(nn.Module):
    """The final state of each direction: forward at the last real step, backward at the first."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if not self.bidirectional:
            return select_last_step(steps, lengths)
        forward_steps, backward_steps = steps.chunk(2, dim=2)
        return torch.cat([select_last_step(forward_steps, lengths), backward_steps[:, 0]], dim=1)


class MeanPooling(nn.Module):
    """The mean over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is None:
            return steps.mean(dim=1)
        return steps.masked_fill(~step_mask(steps, lengths), 0.0).sum(dim=1) / lengths[:, None]


class MaxPooling(nn.Module):
    """The maximum of each unit over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is not None:
            steps = steps.masked_fill(~step_mask(steps, lengths), -torch.inf)
        return steps.amax(dim=1)


class AttentionPooling(nn.Module):
    """The mean over real steps s, weighted by the softmax of their scores v tanh(W s + u).

    Source: Bahdanau et al. 2015 (additive attention), Yang et al. 2016 (over the steps of a text, without a query).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1, bias=False))

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        scores: Tensor = self.score(steps)  # (b, t, d) -> (b, t, 1)
        if lengths is not None:
            scores = scores.masked_fill(~step_mask(steps, lengths), -torch.inf)
        return (steps * scores.softmax(dim=1)).sum(dim=1)


def step_mask(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return which steps (b, t, 1) are real."""
    positions = torch.arange(steps.shape[1], device=steps.device)
    return (positions < lengths[:, None])[:, :, None]


def build(params: Rnn, spec: InputSpec) -> nn.Module:
    """Return the network for sequences, windows of a series, or tokens.

    Raises:
        ParamsError: a sample has no steps.
    """
    if len(spec.shape) != (1 if spec.vocab_size else 2):
        raise ParamsError(
            "network.family rnn needs samples of shape (steps, values) or tokens, but they have shape"
            f" {spec.shape}; choose family mlp or cnn"
        )
    return RecurrentNetwork(params, spec)


class RecurrentNetwork(nn.Module):
    """(b, t, f) or tokens (b, t) -> (b, k) without a final activation; independent of padding at the end."""

    def __init__(self, params: Rnn, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer: TokenInput | SequenceInput
        if spec.vocab_size:
            self.input_layer = TokenInput(spec.vocab_size, params.embedding_dim)
            n_features = params.embedding_dim
        else:
            self.input_layer = SequenceInput(spec.has_mask)
            n_features = spec.shape[1] - spec.has_mask
        n_directions = 2 if params.bidirectional else 1
        inputs = (n_features, *(n_directions * width for width in params.hidden))
        self.layers = nn.ModuleList(
            RecurrentLayer(params.cell, before, width, params.bidirectional)
            for before, width in zip(inputs, params.hidden, strict=False)
        )
        self.dropout = nn.Dropout(params.dropout)
        self.pool = build_pooling(params.pool, inputs[-1], params.bidirectional)
        layers: list[nn.Module] = []
        for before, width in pairwise((inputs[-1], *params.dense)):
            layers += [nn.Linear(before, width), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
        self.head = nn.Sequential(*layers, nn.Linear((inputs[-1], *params.dense)[-1], spec.n_outputs))
        self.is_causal = params.pool == "last" and not params.bidirectional
        initialize_weights(self, params.init, params.activation)
        if params.init != "default":
            initialize_recurrent_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of samples x."""
        steps, lengths = self._recurrent_outputs(x)
        out: Tensor = self.head(self.dropout(self.pool(steps, lengths)))  # (b, t, d) -> (b, d) -> (b, k)
        return out

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step of x, independent of later steps.

        At the last real step they equal those of `forward`; at padding they are meaningless.

        Raises:
            ParamsError: the network is bidirectional or does not pool the last step.
        """
        if not self.is_causal:
            raise ParamsError(
                "language modeling needs a causal network, but this one is bidirectional or pools over all steps; set"
                " network.bidirectional: false and network.pool: last"
            )
        steps, _ = self._recurrent_outputs(x)
        out: Tensor = self.head(self.dropout(steps))  # (b, t, d) -> (b, t, k)
        return out

    def _recurrent_outputs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the outputs of the last recurrent layer at each step, (b, t, d), and the lengths."""
        steps, lengths = self.input_layer(x)
        for i, layer in enumerate(self.layers):
            steps = layer(self.dropout(steps) if i else steps, lengths)
        return steps, lengths


class TokenInput(nn.Module):
    """Token indices (b, t), possibly as floats, 0 being padding -> embeddings (b, t, e) and lengths (b,)."""

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return embedded tokens and lengths."""
        return self.embedding(x.long()), lengths_from_mask(x)
