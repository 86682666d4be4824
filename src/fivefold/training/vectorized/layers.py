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
    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return what the layer makes of x; learning: as a module in training mode would."""

    @abstractmethod
    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient by x, given that by what the last call returned."""


@dataclass
class BatchedParameter:
    """One weight of every network, (m, ...), and its gradient."""

    value: Tensor
    gradient: Tensor


class Dense(Layer):
    """Weights (m, h, i) and biases (m, 1, h).

    Args:
        first: whether nothing before it learns, so that backward ends here.
    """

    def __init__(self, weight: BatchedParameter, bias: BatchedParameter | None, *, is_first: bool) -> None:
        self.weight, self.bias, self.is_first = weight, bias, is_first
        self.transposed = weight.value.transpose(1, 2)
        self.x = weight.value

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return x times the weights, and the biases."""
        self.x = x
        return (
            torch.bmm(x, self.transposed) if self.bias is None else torch.baddbmm(self.bias.value, x, self.transposed)
        )

    def backward(self, gradient: Tensor) -> Tensor:
        """Leave the gradients of weights and biases."""
        torch.bmm(gradient.transpose(1, 2), self.x, out=self.weight.gradient)
        if self.bias is not None:
            torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        return gradient if self.is_first else torch.bmm(gradient, self.weight.value)


class Activation(Layer):
    """Of each number alone.

    Args:
        backward: gradient, x and result -> the gradient by x.
    """

    def __init__(self, forward_fn: Callable[[Tensor], Tensor], backward_fn: Callable[..., Tensor]) -> None:
        self.forward_fn, self.backward_fn = forward_fn, backward_fn

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the activation of each number."""
        self.x = x
        self.result = self.forward_fn(x)
        return self.result

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient by the numbers before it."""
        return self.backward_fn(gradient, self.x, self.result)


ACTIVATION_BACKWARD: dict[type[nn.Module], Callable[..., Tensor]] = {
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
class DropoutMask:
    """Where networks draw from that share a seed and the number of their rows, and so draw the same numbers.

    span: which networks of the stack these are.
    """

    model_slice: slice
    generator: torch.Generator


class Dropout(Layer):
    """Units are switched off where `nn.Dropout`, on a CPU, would switch them off: where a draw is above what is kept.

    One draw serves all networks that share a `Chance`; one that switches nothing off draws nothing by itself.

    Args:
        kept: shares of units that stay, (m, 1, 1), in the type that is drawn.
    """

    def __init__(self, keep_prob: Tensor, generators: Sequence[DropoutMask]) -> None:
        self.keep_prob, self.generators = keep_prob, generators
        self.scale = keep_prob.float().reciprocal()
        self.mask = self.scale

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return x with units switched off and the others raised, in learning alone."""
        if not training:
            return x
        self.mask = torch.empty_like(x)
        for chance in self.generators:
            drawn = x.new_empty(x.shape[1:], dtype=self.keep_prob.dtype).uniform_(generator=chance.generator)
            torch.lt(drawn, self.keep_prob[chance.model_slice], out=self.mask[chance.model_slice])
        self.mask *= self.scale
        return x * self.mask

    def backward(self, gradient: Tensor) -> Tensor:
        """Let nothing through where units were off."""
        return gradient * self.mask


@dataclass
class RunningStats:
    """Running statistics of a batch norm: mean and variance (m, 1, h), and how many batches they have seen (m,)."""

    mean: Tensor
    variance: Tensor
    num_batches_tracked: Tensor

    def update(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        """Move towards the statistics of a batch, as `nn.BatchNorm1d` does."""
        self.mean.lerp_(mean, 0.1)
        self.variance.lerp_(variance * (rows / (rows - 1)), 0.1)
        self.num_batches_tracked += 1


@dataclass
class Norm(Layer):
    """Mean 0 and deviation 1, over the rows of a batch if there are running statistics, else over the units of a row.

    A single row, which has no spread, is normed by the running statistics and leaves them, as `models.layers` has it.
    """

    weight: BatchedParameter
    bias: BatchedParameter
    running_stats: RunningStats | None
    uses_running_stats: bool = field(default=False, init=False)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return x normed, scaled and shifted; in learning, running statistics follow."""
        self.axis = -1 if self.running_stats is None else 1
        self.uses_running_stats = self.running_stats is not None and (not training or x.shape[1] == 1)
        if self.running_stats is not None and self.uses_running_stats:
            mean, variance = self.running_stats.mean, self.running_stats.variance
        else:
            variance, mean = torch.var_mean(x, self.axis, correction=0, keepdim=True)
            if self.running_stats is not None:
                self.running_stats.update(mean, variance, x.shape[1])
        self.inverse_std = (variance + 1e-5).rsqrt_()
        self.normalized = (x - mean).mul_(self.inverse_std)
        return torch.addcmul(self.bias.value, self.normalized, self.weight.value)

    def backward(self, gradient: Tensor) -> Tensor:
        """Leave the gradients of scale and shift; batch statistics depend on x too."""
        torch.sum(gradient * self.normalized, 1, keepdim=True, out=self.weight.gradient)
        torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        by_normed = gradient * self.weight.value
        if self.uses_running_stats:
            return by_normed * self.inverse_std
        spread = (by_normed * self.normalized).mean(self.axis, keepdim=True)
        return (by_normed - by_normed.mean(self.axis, keepdim=True) - self.normalized * spread) * self.inverse_std


@dataclass
class ResidualBlock(Layer):
    """Layers, and beside them their input, through a dense layer where the widths differ."""

    layers: Sequence[Layer]
    skip: Layer | None

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the sum of both."""
        return forward(self.layers, x, training=training) + (
            x if self.skip is None else self.skip(x, training=training)
        )

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the sum of both gradients."""
        by_layers = backward(self.layers, gradient)
        return by_layers + (gradient if self.skip is None else self.skip.backward(gradient))


def forward(layers: Sequence[Layer], x: Tensor, *, training: bool) -> Tensor:
    """Return what layers, one after the other, make of x."""
    for layer in layers:
        x = layer(x, training=training)
    return x


def backward(layers: Sequence[Layer], gradient: Tensor) -> Tensor:
    """Return the gradient by what went into the first layer, given that by what came out of the last."""
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    return gradient
