"""Batched layers of many networks with explicit backward passes; autograd would take as long as the layers themselves.

Each layer stores what its backward pass needs, and writes gradients into the tensors of its parameters.
Shapes: m networks, b rows, i inputs, h units.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Layer(ABC):
    """A layer of all networks, (m, b, i) -> (m, b, h)."""

    @abstractmethod
    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the output for x, in training or in evaluation mode."""

    @abstractmethod
    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the last input, given that with respect to the last output."""


@dataclass
class BatchedParameter:
    """One parameter of all networks, (m, ...), and its gradient."""

    value: Tensor
    gradient: Tensor


class Dense(Layer):
    """Linear layer with weights (m, h, i) and biases (m, 1, h).

    Args:
        is_first: whether no layer before it has parameters, so that the backward pass ends here.
    """

    def __init__(self, weight: BatchedParameter, bias: BatchedParameter | None, *, is_first: bool) -> None:
        self.weight, self.bias, self.is_first = weight, bias, is_first
        self.transposed = weight.value.transpose(1, 2)
        self.x = weight.value

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the product of x and the weights, plus the biases."""
        self.x = x
        return (
            torch.bmm(x, self.transposed) if self.bias is None else torch.baddbmm(self.bias.value, x, self.transposed)
        )

    def backward(self, gradient: Tensor) -> Tensor:
        """Compute the gradients of weights and biases; return that with respect to the input."""
        torch.bmm(gradient.transpose(1, 2), self.x, out=self.weight.gradient)
        if self.bias is not None:
            torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        return gradient if self.is_first else torch.bmm(gradient, self.weight.value)


class Activation(Layer):
    """Elementwise activation.

    Args:
        backward_fn: (gradient, x, output) -> gradient with respect to x.
    """

    def __init__(self, forward_fn: Callable[[Tensor], Tensor], backward_fn: Callable[..., Tensor]) -> None:
        self.forward_fn, self.backward_fn = forward_fn, backward_fn

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the activation of each value."""
        self.x = x
        self.output = self.forward_fn(x)
        return self.output

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the input."""
        return self.backward_fn(gradient, self.x, self.output)


ACTIVATION_BACKWARD: dict[type[nn.Module], Callable[..., Tensor]] = {
    nn.ReLU: lambda g, x, y: aten.threshold_backward.default(g, y, 0),
    nn.Sigmoid: lambda g, x, y: aten.sigmoid_backward.default(g, y),
    nn.Tanh: lambda g, x, y: aten.tanh_backward.default(g, y),
    nn.LeakyReLU: lambda g, x, y: aten.leaky_relu_backward.default(g, x, 0.01, False),
    nn.ELU: lambda g, x, y: aten.elu_backward.default(g, 1.0, 1.0, 1.0, False, x),
    nn.GELU: lambda g, x, y: aten.gelu_backward.default(g, x),
    nn.SiLU: lambda g, x, y: aten.silu_backward.default(g, x),
}
"""Backward functions (gradient, x, output) of the activations that `models.layers` builds."""


@dataclass
class SharedGenerator:
    """Random generator of adjacent networks with the same seed and number of rows, which have the same dropout draws.

    model_slice: the networks in the stack.
    """

    model_slice: slice
    generator: torch.Generator


class Dropout(Layer):
    """Dropout of the same units as `nn.Dropout` on a CPU: those whose uniform draw is not below `keep_prob`.

    Networks with a shared generator have one draw; a dropout rate of 0 needs no draw of its own.

    Args:
        keep_prob: probability of each network that a unit is not dropped, (m, 1, 1), in the dtype of the draws.
    """

    def __init__(self, keep_prob: Tensor, generators: Sequence[SharedGenerator]) -> None:
        self.keep_prob, self.generators = keep_prob, generators
        self.scale = keep_prob.float().reciprocal()
        self.mask = self.scale

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return x with dropped units 0 and the others scaled by the inverse of `keep_prob`; x itself in evaluation."""
        if not training:
            return x
        self.mask = torch.empty_like(x)
        for shared in self.generators:
            draws = x.new_empty(x.shape[1:], dtype=self.keep_prob.dtype).uniform_(generator=shared.generator)
            torch.lt(draws, self.keep_prob[shared.model_slice], out=self.mask[shared.model_slice])
        self.mask *= self.scale
        return x * self.mask

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the input, 0 for dropped units."""
        return gradient * self.mask


@dataclass
class RunningStats:
    """Running statistics of a batch norm: mean and variance (m, 1, h), and number of tracked batches (m,)."""

    mean: Tensor
    variance: Tensor
    num_batches_tracked: Tensor

    def update(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        """Update the averages with the statistics of a batch, as `nn.BatchNorm1d` does."""
        self.mean.lerp_(mean, 0.1)
        self.variance.lerp_(variance * (rows / (rows - 1)), 0.1)
        self.num_batches_tracked += 1


@dataclass
class Norm(Layer):
    """Batch norm if there are running statistics, else layer norm.

    A batch of a single row, whose variance is undefined, is normalized by the running statistics and does not update
    them, as in `models.layers`.
    """

    weight: BatchedParameter
    bias: BatchedParameter
    running_stats: RunningStats | None
    uses_running_stats: bool = field(default=False, init=False)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return x normalized, scaled and shifted; update the running statistics in training."""
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
        """Compute the gradients of scale and shift; return that with respect to the input."""
        torch.sum(gradient * self.normalized, 1, keepdim=True, out=self.weight.gradient)
        torch.sum(gradient, 1, keepdim=True, out=self.bias.gradient)
        by_normalized = gradient * self.weight.value
        if self.uses_running_stats:
            return by_normalized * self.inverse_std
        # mean and variance of the batch depend on x too
        mean = by_normalized.mean(self.axis, keepdim=True)
        projection = (by_normalized * self.normalized).mean(self.axis, keepdim=True)
        return (by_normalized - mean - self.normalized * projection) * self.inverse_std


@dataclass
class ResidualBlock(Layer):
    """Layers with a shortcut, which has a dense layer where the widths differ."""

    layers: Sequence[Layer]
    skip: Layer | None

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the sum of layers and shortcut."""
        return forward(self.layers, x, training=training) + (
            x if self.skip is None else self.skip(x, training=training)
        )

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the sum of the gradients of layers and shortcut."""
        by_layers = backward(self.layers, gradient)
        return by_layers + (gradient if self.skip is None else self.skip.backward(gradient))


def forward(layers: Sequence[Layer], x: Tensor, *, training: bool) -> Tensor:
    """Return the output of consecutive layers for x."""
    for layer in layers:
        x = layer(x, training=training)
    return x


def backward(layers: Sequence[Layer], gradient: Tensor) -> Tensor:
    """Return the gradient with respect to the input of the first layer, given that of the last layer's output."""
    for layer in reversed(layers):
        gradient = layer.backward(gradient)
    return gradient
