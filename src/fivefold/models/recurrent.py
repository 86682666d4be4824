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

from ..config.base import Cell

CELLS: dict[Cell, type[nn.RNN | nn.LSTM | nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
FORGET = 1
"""Place of the forget gate among PyTorch's four of an LSTM: input, forget, cell, output."""


class Recurrent(nn.Module):
    """(b, t, f) -> (b, t, d); padding at the end changes nothing at the steps before it."""

    def __init__(self, cell: Cell, n_features: int, width: int, bidirectional: bool) -> None:
        super().__init__()
        self.ahead = CELLS[cell](n_features, width, batch_first=True)
        self.back = CELLS[cell](n_features, width, batch_first=True) if bidirectional else None

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Return what the cell gives at each step of x, of whose rows `lengths` (b,) steps are real; None: all."""
        out: Tensor = self.ahead(x)[0]  # (b, t, f) -> (b, t, h)
        if self.back is None:
            return out
        back: Tensor = self.back(turned(x, lengths))[0]
        return torch.cat([out, turned(back, lengths)], dim=2)  # (b, t, 2h)


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return x (b, t, f) with the real steps of each row in reverse order, and padding where it was."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    order = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)  # (b, t)
    return x.gather(1, order[:, :, None].expand(-1, -1, x.shape[2]))


@torch.no_grad()
def initialise_cells(network: nn.Module) -> None:
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
                    gates[FORGET].fill_(1.0)
                continue
            for gate in gates:
                (nn.init.orthogonal_ if name.startswith("weight_hh") else nn.init.xavier_uniform_)(gate)


class Steps(nn.Module):
    """Steps (b, t, f), of which the last feature may say which are real -> those without it, and lengths (b,)."""

    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return steps and lengths; None if all steps are real."""
        return (x[:, :, :-1], lengths_of(x[:, :, -1])) if self.masked else (x, None)


def lengths_of(real: Tensor) -> Tensor:
    """Return the number (b,) of the last step, from 1, that is not 0 in (b, t); 1 for a row without any.

    So a row that is all padding is one step of zeros: its outputs are finite, and mean nothing.
    """
    number = torch.arange(1, real.shape[1] + 1, device=real.device)
    return (number * (real != 0)).amax(dim=1).clamp_min(1)


def last(steps: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last real step (b, d) of each row of steps (b, t, d)."""
    if lengths is None:
        return steps[:, -1]
    at = (lengths - 1)[:, None, None].expand(-1, 1, steps.shape[2])
    return steps.gather(1, at).squeeze(1)


@runtime_checkable
class EveryStep(Protocol):
    """A network whose outputs at a step depend on that step and those before it alone.

    So it can learn from all steps of a record at once: with y the token after the record x (b, t), the targets (b, t)
    are x[:, 1:] and then y. Only models of task `language` may be asked; params.yaml is checked for that.
    """

    def every_step(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step; those at the last real step are `forward(x)`, (b, k)."""
        ...
