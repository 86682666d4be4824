"""Recurrent layers over the steps of a record, pooled into one vector, then dense layers.

Source: Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014; over tokens Mikolov et al. 2010.
Shapes: b rows, t steps, f features a step, e numbers a token, d units a step, k outputs.

The steps of a record as one vector; padding has no part in it.

Shapes: b rows, t steps, d units a step.
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
    """Return the module for `pool` over steps of `width` units: steps (b, t, d), lengths (b,) or None -> (b, d)."""
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
    """What each direction has when it has read the record: forwards at the last real step, backwards at the first."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if not self.bidirectional:
            return select_last_step(steps, lengths)
        ahead, back = steps.chunk(2, dim=2)
        return torch.cat([select_last_step(ahead, lengths), back[:, 0]], dim=1)


class MeanPooling(nn.Module):
    """The mean over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is None:
            return steps.mean(dim=1)
        return steps.masked_fill(~step_mask(steps, lengths), 0.0).sum(dim=1) / lengths[:, None]


class MaxPooling(nn.Module):
    """The largest value of each unit over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is not None:
            steps = steps.masked_fill(~step_mask(steps, lengths), -torch.inf)
        return steps.amax(dim=1)


class AttentionPooling(nn.Module):
    """A mean over real steps, weighted by how much each of them says: v tanh(W s + u).

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
    number = torch.arange(steps.shape[1], device=steps.device)
    return (number < lengths[:, None])[:, :, None]


def build(params: Rnn, spec: InputSpec) -> nn.Module:
    """Return the network for sequences, windows of a series, or tokens.

    Raises:
        ParamsError: a record has no steps.
    """
    if len(spec.shape) != (1 if spec.vocab_size else 2):
        raise ParamsError(
            "network.family rnn needs steps (steps, values) or tokens, but a record has shape"
            f" {spec.shape}; choose family mlp or cnn"
        )
    return RecurrentNetwork(params, spec)


class RecurrentNetwork(nn.Module):
    """(b, t, f) or tokens (b, t) -> (b, k) without a final activation; the same for any padding at the end."""

    def __init__(self, params: Rnn, spec: InputSpec) -> None:
        super().__init__()
        self.input_layer: TokenInput | SequenceInput
        if spec.vocab_size:
            self.input_layer = TokenInput(spec.vocab_size, params.embedding_dim)
            n_features = params.embedding_dim
        else:
            self.input_layer = SequenceInput(spec.has_mask)
            n_features = spec.shape[1] - spec.has_mask
        ways = 2 if params.bidirectional else 1
        inputs = (n_features, *(ways * width for width in params.hidden))
        self.layers = nn.ModuleList(
            RecurrentLayer(params.cell, before, width, params.bidirectional)
            for before, width in zip(inputs, params.hidden, strict=False)
        )
        self.dropout = nn.Dropout(params.dropout)
        self.pool = build_pooling(params.pool, inputs[-1], params.bidirectional)
        dense: list[nn.Module] = []
        for before, width in pairwise((inputs[-1], *params.dense)):
            dense += [nn.Linear(before, width), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
        self.head = nn.Sequential(*dense, nn.Linear((inputs[-1], *params.dense)[-1], spec.n_outputs))
        self.is_causal = params.pool == "last" and not params.bidirectional
        initialize_weights(self, params.init, params.activation)
        if params.init != "default":
            initialize_recurrent_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of records x."""
        steps, lengths = self._recurrent_outputs(x)
        out: Tensor = self.head(self.dropout(self.pool(steps, lengths)))  # (b, t, d) -> (b, d) -> (b, k)
        return out

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step of x, which knows of no later step.

        At the last real step they are those of `forward`; at padding they mean nothing.

        Raises:
            ParamsError: the network reads backwards, or does not give what it has at the last step.
        """
        if not self.is_causal:
            raise ParamsError(
                "network must read forwards and give what it has at the last step to tell what comes next, but is"
                " bidirectional or pools otherwise; set bidirectional: false and pool: last"
            )
        steps, _ = self._recurrent_outputs(x)
        out: Tensor = self.head(self.dropout(steps))  # (b, t, d) -> (b, t, k)
        return out

    def _recurrent_outputs(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the last recurrent layer gives at each step, (b, t, d), and the lengths."""
        steps, lengths = self.input_layer(x)
        for i, layer in enumerate(self.layers):
            steps = layer(self.dropout(steps) if i else steps, lengths)
        return steps, lengths


class TokenInput(nn.Module):
    """Token indices (b, t), which may come as floating numbers, 0 being padding -> (b, t, e), and lengths (b,)."""

    def __init__(self, vocab_size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_dim, padding_idx=0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return embedded tokens and lengths."""
        return self.embedding(x.long()), lengths_from_mask(x)
