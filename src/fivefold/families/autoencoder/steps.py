"""Recurrent layers that read a sequence into a code, and others that write it from the code.

Source: Srivastava, Mansimov & Salakhutdinov 2015; each step is written from the code itself, none from the one before.
Shapes: b rows, t steps, f values a step, l numbers of a code, d units.
"""

from itertools import pairwise

from torch import Tensor, nn

from ...config.networks.autoencoder import Autoencoder
from ..recurrent import Recurrent, Steps, last
from ..shape import Shape


class StepsEncoder(nn.Module):
    """(b, t, f), the last feature of masked records their mask -> (b, width), the state at the last real step."""

    def __init__(self, params: Autoencoder, shape: Shape) -> None:
        super().__init__()
        self.read = Steps(shape.masked)
        widths = (shape.features[1] - shape.masked, *params.hidden)
        self.layers = nn.ModuleList(Recurrent(params.cell, *pair, bidirectional=False) for pair in pairwise(widths))
        self.width = widths[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Return the state at the last real step."""
        steps, lengths = self.read(x)
        for layer in self.layers:
            steps = layer(steps, lengths)
        return last(steps, lengths)


class StepsDecoder(nn.Module):
    """(b, l) -> (b, t, f): the code is the input of every step."""

    def __init__(self, params: Autoencoder, told: tuple[int, ...]) -> None:
        super().__init__()
        widths = (params.latent, *reversed(params.hidden))
        self.layers = nn.ModuleList(Recurrent(params.cell, *pair, bidirectional=False) for pair in pairwise(widths))
        self.head = nn.Linear(widths[-1], told[1])
        self.steps = told[0]

    def forward(self, code: Tensor) -> Tensor:
        """Return what is told, before its activation."""
        steps = code[:, None].expand(-1, self.steps, -1)  # (b, l) -> (b, t, l)
        for layer in self.layers:
            steps = layer(steps, None)
        out: Tensor = self.head(steps)
        return out
