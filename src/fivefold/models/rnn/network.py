"""Recurrent layers over the steps of a record, pooled into one vector, then dense layers.

Source: Elman 1990; Hochreiter & Schmidhuber 1997; Cho et al. 2014; over tokens Mikolov et al. 2010.
Shapes: b rows, t steps, f features a step, e numbers a token, d units a step, k outputs.

The steps of a record as one vector; padding has no part in it.

Shapes: b rows, t steps, d units a step.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from ...config.networks.rnn import Pool, Rnn
from ...errors import ParamsError
from ..factory import Shape
from ..layers import ACTIVATIONS, initialise
from ..recurrent import Recurrent, Steps, initialise_cells, last, lengths_of


def pooling(pool: Pool, width: int, bidirectional: bool) -> nn.Module:
    """Return the module for `pool` over steps of `width` units: steps (b, t, d), lengths (b,) or None -> (b, d)."""
    match pool:
        case "last":
            return Last(bidirectional)
        case "mean":
            return Mean()
        case "max":
            return Max()
        case "attention":
            return Attention(width)


class Last(nn.Module):
    """What each direction has when it has read the record: forwards at the last real step, backwards at the first."""

    def __init__(self, bidirectional: bool) -> None:
        super().__init__()
        self.bidirectional = bidirectional

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if not self.bidirectional:
            return last(steps, lengths)
        ahead, back = steps.chunk(2, dim=2)
        return torch.cat([last(ahead, lengths), back[:, 0]], dim=1)


class Mean(nn.Module):
    """The mean over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is None:
            return steps.mean(dim=1)
        return steps.masked_fill(~real(steps, lengths), 0.0).sum(dim=1) / lengths[:, None]


class Max(nn.Module):
    """The largest value of each unit over real steps."""

    def forward(self, steps: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (b, d)."""
        if lengths is not None:
            steps = steps.masked_fill(~real(steps, lengths), -torch.inf)
        return steps.amax(dim=1)


class Attention(nn.Module):
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
            scores = scores.masked_fill(~real(steps, lengths), -torch.inf)
        return (steps * scores.softmax(dim=1)).sum(dim=1)


def real(steps: Tensor, lengths: Tensor) -> Tensor:
    """Return which steps (b, t, 1) are real."""
    number = torch.arange(steps.shape[1], device=steps.device)
    return (number < lengths[:, None])[:, :, None]


def build(params: Rnn, shape: Shape) -> nn.Module:
    """Return the network for sequences, windows of a series, or tokens.

    Raises:
        ParamsError: a record has no steps.
    """
    if len(shape.features) != (1 if shape.tokens else 2):
        raise ParamsError(
            "network.family rnn needs steps (steps, values) or tokens, but a record has shape"
            f" {shape.features}; choose family mlp or cnn"
        )
    return RecurrentNetwork(params, shape)


class RecurrentNetwork(nn.Module):
    """(b, t, f) or tokens (b, t) -> (b, k) without a final activation; the same for any padding at the end."""

    def __init__(self, params: Rnn, shape: Shape) -> None:
        super().__init__()
        self.read: Tokens | Steps
        if shape.tokens:
            self.read = Tokens(shape.tokens, params.embedding)
            n_features = params.embedding
        else:
            self.read = Steps(shape.masked)
            n_features = shape.features[1] - shape.masked
        ways = 2 if params.bidirectional else 1
        inputs = (n_features, *(ways * width for width in params.hidden))
        self.layers = nn.ModuleList(
            Recurrent(params.cell, before, width, params.bidirectional)
            for before, width in zip(inputs, params.hidden, strict=False)
        )
        self.dropout = nn.Dropout(params.dropout)
        self.pool = pooling(params.pool, inputs[-1], params.bidirectional)
        dense: list[nn.Module] = []
        for before, width in pairwise((inputs[-1], *params.dense)):
            dense += [nn.Linear(before, width), ACTIVATIONS[params.activation](), nn.Dropout(params.dropout)]
        self.head = nn.Sequential(*dense, nn.Linear((inputs[-1], *params.dense)[-1], shape.outputs))
        self.causal = params.pool == "last" and not params.bidirectional
        initialise(self, params.init, params.activation)
        if params.init != "default":
            initialise_cells(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (b, k) of records x."""
        steps, lengths = self._steps(x)
        out: Tensor = self.head(self.dropout(self.pool(steps, lengths)))  # (b, t, d) -> (b, d) -> (b, k)
        return out

    def every_step(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step of x, which knows of no later step.

        At the last real step they are those of `forward`; at padding they mean nothing.

        Raises:
            ParamsError: the network reads backwards, or does not give what it has at the last step.
        """
        if not self.causal:
            raise ParamsError(
                "network must read forwards and give what it has at the last step to tell what comes next, but is"
                " bidirectional or pools otherwise; set bidirectional: false and pool: last"
            )
        steps, _ = self._steps(x)
        out: Tensor = self.head(self.dropout(steps))  # (b, t, d) -> (b, t, k)
        return out

    def _steps(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what the last recurrent layer gives at each step, (b, t, d), and the lengths."""
        steps, lengths = self.read(x)
        for i, layer in enumerate(self.layers):
            steps = layer(self.dropout(steps) if i else steps, lengths)
        return steps, lengths


class Tokens(nn.Module):
    """Token indices (b, t), which may come as floating numbers, 0 being padding -> (b, t, e), and lengths (b,)."""

    def __init__(self, tokens: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, size, padding_idx=0)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return embedded tokens and lengths."""
        return self.table(x.long()), lengths_of(x)
