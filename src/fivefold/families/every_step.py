"""What a network can do that tells the next token: give its outputs after each step at once.

Shapes: b rows, t steps, k outputs.
"""

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class EveryStep(Protocol):
    """A network whose outputs at a step depend on that step and those before it alone.

    So it can learn from all steps of a record at once: with y the token after the record x (b, t), the targets (b, t)
    are x[:, 1:] and then y. Only models of task `language` may be asked; params.yaml is checked for that.
    """

    def every_step(self, x: Tensor) -> Tensor:
        """Return the outputs (b, t, k) after each step; those at the last real step are `forward(x)`, (b, k)."""
        ...
