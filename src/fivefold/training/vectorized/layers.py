"""Layers of many networks at once, with backward written out: autograd would cost as much as the layers themselves.

Each layer keeps what its backward needs, and writes gradients where the weights' gradients lie.
Shapes: m networks, b rows, i inputs, h units.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Layer(ABC):
    """(m, b, i) -> (m, b, h)."""

    @abstractmethod
    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return what the layer makes of x; learning: as a module in training mode would."""

    @abstractmethod
    def back(self, gradient: Tensor) -> Tensor:
        """Return the gradient by x, given that by what the last call returned."""


@dataclass
class Weight:
    """One weight of every network, (m, ...), and its gradient."""

    value: Tensor
    gradient: Tensor


class Dense(Layer):
    """Weights (m, h, i) and biases (m, 1, h).

    Args:
        first: whether nothing before it learns, so that backward ends here.
    """

    def __init__(self, weight: Weight, bias: Weight | None, *, first: bool) -> None:
        self.weight, self.bias, self.first = weight, bias, first
        self.turned = weight.value.transpose(1, 2)
        self.x = weight.value

    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return x times the weights, and the biases."""
        self.x = x
        return torch.bmm(x, self.turned) if self.bias is None else torch.baddbmm(self.bias.value, x, self.turned)

    def back(self, gradient: Tensor) -> Tensor:
        """Leave the gradients of weights and biases."""
        torch.bmm(gradient.transpose(1, 2), self.x, out=self.weight.gradient)
        if self.bias is not None:
            torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        return gradient if self.first else torch.bmm(gradient, self.weight.value)


class Activation(Layer):
    """Of each number alone.

    Args:
        backward: gradient, x and result -> the gradient by x.
    """

    def __init__(self, forward: Callable[[Tensor], Tensor], backward: Callable[..., Tensor]) -> None:
        self.forward, self.backward = forward, backward

    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return the activation of each number."""
        self.x = x
        self.result = self.forward(x)
        return self.result

    def back(self, gradient: Tensor) -> Tensor:
        """Return the gradient by the numbers before it."""
        return self.backward(gradient, self.x, self.result)


ACTIVATIONS: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.ReLU: lambda g, x, y: aten.threshold_backward.default(g, y, 0),
    nn.Sigmoid: lambda g, x, y: aten.sigmoid_backward.default(g, y),
    nn.Tanh: lambda g, x, y: aten.tanh_backward.default(g, y),
    nn.LeakyReLU: lambda g, x, y: aten.leaky_relu_backward.default(g, x, 0.01, False),
    nn.ELU: lambda g, x, y: aten.elu_backward.default(g, 1.0, 1.0, 1.0, False, x),
    nn.GELU: lambda g, x, y: aten.gelu_backward.default(g, x),
    nn.SiLU: lambda g, x, y: aten.silu_backward.default(g, x),
}
"""Backward of each activation as `models.layers` builds it: of gradient, x and result."""


@dataclass
class Chance:
    """Where networks draw from that share a seed and the number of their rows, and so draw the same numbers.

    span: which networks of the stack these are.
    """

    span: slice
    generator: torch.Generator


class Dropout(Layer):
    """Units are switched off where `nn.Dropout`, on a CPU, would switch them off: where a draw is above what is kept.

    One draw serves all networks that share a `Chance`; one that switches nothing off draws nothing by itself.

    Args:
        kept: shares of units that stay, (m, 1, 1), in the type that is drawn.
    """

    def __init__(self, kept: Tensor, chances: Sequence[Chance]) -> None:
        self.kept, self.chances = kept, chances
        self.scale = kept.float().reciprocal()
        self.mask = self.scale

    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return x with units switched off and the others raised, in learning alone."""
        if not learning:
            return x
        self.mask = torch.empty_like(x)
        for chance in self.chances:
            drawn = x.new_empty(x.shape[1:], dtype=self.kept.dtype).uniform_(generator=chance.generator)
            torch.lt(drawn, self.kept[chance.span], out=self.mask[chance.span])
        self.mask *= self.scale
        return x * self.mask

    def back(self, gradient: Tensor) -> Tensor:
        """Let nothing through where units were off."""
        return gradient * self.mask


@dataclass
class Running:
    """Running statistics of a batch norm: mean and variance (m, 1, h), and how many batches they have seen (m,)."""

    mean: Tensor
    variance: Tensor
    batches: Tensor

    def follow(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        """Move towards the statistics of a batch, as `nn.BatchNorm1d` does."""
        self.mean.lerp_(mean, 0.1)
        self.variance.lerp_(variance * (rows / (rows - 1)), 0.1)
        self.batches += 1


@dataclass
class Norm(Layer):
    """Mean 0 and deviation 1, over the rows of a batch if there are running statistics, else over the units of a row.

    A single row, which has no spread, is normed by the running statistics and leaves them, as `models.layers` has it.
    """

    weight: Weight
    bias: Weight
    running: Running | None
    fixed: bool = field(default=False, init=False)

    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return x normed, scaled and shifted; in learning, running statistics follow."""
        self.over = -1 if self.running is None else 1
        self.fixed = self.running is not None and (not learning or x.shape[1] == 1)
        if self.running is not None and self.fixed:
            mean, variance = self.running.mean, self.running.variance
        else:
            variance, mean = torch.var_mean(x, self.over, correction=0, keepdim=True)
            if self.running is not None:
                self.running.follow(mean, variance, x.shape[1])
        self.share = (variance + 1e-5).rsqrt_()
        self.normed = (x - mean).mul_(self.share)
        return torch.addcmul(self.bias.value, self.normed, self.weight.value)

    def back(self, gradient: Tensor) -> Tensor:
        """Leave the gradients of scale and shift; batch statistics depend on x too."""
        torch.sum(gradient * self.normed, 1, keepdim=True, out=self.weight.gradient)
        torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        by_normed = gradient * self.weight.value
        if self.fixed:
            return by_normed * self.share
        spread = (by_normed * self.normed).mean(self.over, keepdim=True)
        return (by_normed - by_normed.mean(self.over, keepdim=True) - self.normed * spread) * self.share


@dataclass
class Beside(Layer):
    """Layers, and beside them their input, through a dense layer where the widths differ."""

    layers: Sequence[Layer]
    skip: Layer | None

    def __call__(self, x: Tensor, *, learning: bool) -> Tensor:
        """Return the sum of both."""
        return through(self.layers, x, learning=learning) + (
            x if self.skip is None else self.skip(x, learning=learning)
        )

    def back(self, gradient: Tensor) -> Tensor:
        """Return the sum of both gradients."""
        by_layers = back_through(self.layers, gradient)
        return by_layers + (gradient if self.skip is None else self.skip.back(gradient))


def through(layers: Sequence[Layer], x: Tensor, *, learning: bool) -> Tensor:
    """Return what layers, one after the other, make of x."""
    for layer in layers:
        x = layer(x, learning=learning)
    return x


def back_through(layers: Sequence[Layer], gradient: Tensor) -> Tensor:
    """Return the gradient by what went into the first layer, given that by what came out of the last."""
    for layer in reversed(layers):
        gradient = layer.back(gradient)
    return gradient
