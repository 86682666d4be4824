"""One recurrent layer, forwards or both ways, over records that end at different steps.

Source: Elman 1990 (rnn); Hochreiter & Schmidhuber 1997, Gers et al. 2000 (lstm); Cho et al. 2014 (gru); Schuster &
Paliwal 1997 (both ways).
Shapes: b rows, t steps, f features a step, h units, d units of all directions: h or 2h.

What a network can do that tells the next token: give its outputs after each step at once.

Shapes: b rows, t steps, k outputs.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ..config.base import RecurrentCell

CELLS: dict[RecurrentCell, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FORGET_GATE = 1
"""Place of the forget gate among PyTorch's four of an LSTM: input, forget, cell, output."""


class RecurrentLayer(nn.Module):
    """(b, t, f) -> (b, t, d); padding at the end changes nothing at the steps before it."""

    def __init__(self, cell: RecurrentCell, n_features: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.forward_rnn = CELLS[cell](n_features, hidden_size, batch_first=True)
        self.backward_rnn = CELLS[cell](n_features, hidden_size, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return what the cell gives at each step of x, of whose rows `lengths` (b,) steps are real; None: all."""
        out: Tensor = self.forward_rnn(x)[0]  # (b, t, f) -> (b, t, h)
        if self.backward_rnn is None:
            return out
        back: Tensor = self.backward_rnn(reverse_padded(x, lengths))[0]
        return torch.cat([out, reverse_padded(back, lengths)], dim=2)  # (b, t, 2h)


def reverse_padded(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return x (b, t, f) with the real steps of each row in reverse order, and padding where it was."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (b, t)
    return x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))


@torch.no_grad()
def initialize_recurrent_weights(network: nn.Module) -> None:
    """Set the weights of recurrent layers in place, gate by gate, and their biases to zero, the forget gate's to one.

    Orthogonal weights of the state keep a signal's length over many steps (Saxe et al. 2014); weights of the input are
    as in Glorot & Bengio 2010; an LSTM that remembers from the start learns longer spans (Jozefowicz et al. 2015).
    """
    for cell in network.modules():
        if not isinstance(cell, nn.RNNBase):
            continue
        for name, parameter in cell.named_parameters():
            gates = parameter.chunk(parameter.shape[0] // cell.hidden_size)
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
                if name.startswith("bias_ih") and isinstance(cell, nn.LSTM):  # what is added is bias_ih + bias_hh
                    gates[FORGET_GATE].fill_(1.0)
                continue
            for gate in gates:
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)


class SequenceInput(nn.Module):
    """Steps (b, t, f), of which the last feature may say which are real -> those without it, and lengths (b,)."""

    def __init__(self, has_mask: bool) -> None:
        super().__init__()
        self.has_mask = has_mask

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return steps and lengths; None if all steps are real."""
        return (x[:, :, :-1], lengths_from_mask(x[:, :, -1])) if self.has_mask else (x, None)


def lengths_from_mask(mask: Tensor) -> Tensor:
    """Return the number (b,) of the last step, from 1, that is not 0 in (b, t); 1 for a row without any.

    So a row that is all padding is one step of zeros: its outputs are finite, and mean nothing.
    """
    number = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    return (number * (mask != 0)).amax(dim=1).clamp_min(1)


def select_last_step(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last real step (b, d) of each row of steps (b, t, d)."""
    if lengths is None:
        return steps[:, -1]
    at = (lengths - 1)[:, None, None].expand(-1, 1, steps.shape[2])
    return steps.gather(1, at).squeeze(1)


@runtime_checkable
class CausalNetwork(Protocol):
    """A network whose outputs at a step depend on that step and those before it alone.

    So it can learn from all steps of a record at once: with y the token after the record x (b, t), the targets (b, t)
    are x[:, 1:] and then y. Only models of task `language` may be asked; params.yaml is checked for that.
    """

    def forward_all_steps(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step; those at the last real step are `forward(x)`, (b, k)."""
        ...
