"""Recurrent layers over padded sequences, one or both directions, and the protocol of causal networks.

Source: Elman 1990 (rnn); Hochreiter & Schmidhuber 1997, Gers et al. 2000 (lstm); Cho et al. 2014 (gru); Schuster &
Paliwal 1997 (bidirectional).
Shapes: b samples, t steps, f features per step, h hidden units, d units of all directions: h or 2h, k outputs.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..config.base import RecurrentCell

CELLS: dict[RecurrentCell, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FORGET_GATE = 1
"""Index of the forget gate among the four gates of PyTorch's LSTM: input, forget, cell, output."""


class RecurrentLayer(nn.Module):
    """(b, t, f) -> (b, t, d); padding at the end does not affect the steps before it."""

    def __init__(self, cell: RecurrentCell, n_features: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.forward_rnn = CELLS[cell](n_features, hidden_size, batch_first=True)
        self.backward_rnn = CELLS[cell](n_features, hidden_size, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the hidden states of x, whose rows have `lengths` (b,) real steps; None if all are real."""
        forward_states: Tensor = self.forward_rnn(x)[0]  # (b, t, f) -> (b, t, h)
        if self.backward_rnn is None:
            return forward_states
        backward_states: Tensor = self.backward_rnn(reverse_padded(x, lengths))[0]
        return torch.cat([forward_states, reverse_padded(backward_states, lengths)], dim=2)  # (b, t, 2h)


def reverse_padded(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return x (b, t, f) with the real steps of each row reversed; padding keeps its position."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (b, t)
    return x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))


@torch.no_grad()
def initialize_recurrent_weights(network: nn.Module) -> None:
    """Initialize recurrent layers in place, gate by gate: biases zero, but 1 for the forget gate.

    Orthogonal recurrent weights preserve a signal's norm over many steps (Saxe et al. 2014); input weights follow
    Glorot & Bengio 2010; a forget gate that starts open helps an LSTM to learn longer dependencies (Jozefowicz et al.
    2015).
    """
    for cell in network.modules():
        if not isinstance(cell, nn.RNNBase):
            continue
        for name, parameter in cell.named_parameters():
            gates = parameter.chunk(parameter.shape[0] // cell.hidden_size)
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih") and isinstance(cell, nn.LSTM):  # the gate adds bias_ih + bias_hh
                    gates[FORGET_GATE].fill_(1.0)
                continue
            for gate in gates:
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)


class SequenceInput(nn.Module):
    """Steps (b, t, f), whose last feature is the mask if `has_mask` -> steps without the mask, and lengths (b,)."""

    def __init__(self, has_mask: bool) -> None:
        super().__init__()
        self.has_mask = has_mask

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return steps and lengths; the lengths are None if all steps are real."""
        return (x[:, :, :-1], lengths_from_mask(x[:, :, -1])) if self.has_mask else (x, None)


def lengths_from_mask(mask: Tensor) -> Tensor:
    """Return the positions (b,) of the last nonzero step in (b, t), counted from 1; 1 for a row without any.

    A row of padding only is thus a single step of zeros: its outputs are finite but meaningless.
    """
    positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (positions * (mask != 0)).amax(dim=1).clamp_min(1)


def select_last_step(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last real step (b, d) of each row of steps (b, t, d)."""
    if lengths is None:
        return steps[:, -1]
    index = (lengths - 1)[:, None, None].expand(-1, 1, steps.shape[2])
    return steps.gather(1, index).squeeze(1)


@runtime_checkable
class CausalNetwork(Protocol):
    """A network whose output at a step depends only on that step and earlier ones.

    It can be trained on all steps of a sample at once: with y the token after x (b, t), the targets (b, t) are x[:, 1:]
    followed by y. Only models of task `language_modeling` are trained so; the configuration is checked for it.
    """

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step; those at the last real step equal `forward(x)`, (b, k)."""
        ...
