"""Convolutions of many networks at once: their images lie side by side as channels, and each sees a group of them.

Shapes: m networks, b images, c channels, y x x pixels, h filters.
"""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from .layers import BatchedParameter, Layer

aten = torch.ops.aten


class StackChannels(Layer):
    """Flat images (m, b, c * y * x) -> (b, m * c, y, x); nothing before it learns."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = shape

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return images side by side, channels last, as grouped convolutions are fastest."""
        return _stack_channels(x, self.shape)

    def backward(self, gradient: Tensor) -> Tensor:
        """End here."""
        return gradient


class GroupedConv2d(Layer):
    """(b, m * c, y, x) -> (b, m * h, y', x').

    Args:
        weight, bias: (m, h, c, k, k) and (m, 1, h).
        first: whether nothing before it learns.
    """

    def __init__(self, weight: BatchedParameter, bias: BatchedParameter, conv: nn.Conv2d, *, is_first: bool) -> None:
        self.weight, self.bias, self.is_first = weight, bias, is_first
        self.padding = [int(side) for side in conv.padding]
        self.n_models = len(weight.value)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return what each network's filters see in its own channels."""
        self.x, self.filters = x, self.weight.value.flatten(0, 1)
        bias = self.bias.value.flatten()
        return functional.conv2d(x, self.filters, bias, padding=self.padding, groups=self.n_models)

    def backward(self, gradient: Tensor) -> Tensor:
        """Leave the gradients of filters and biases."""
        wanted = [not self.is_first, True, True]
        sizes = [self.bias.value.numel()]
        sides = [1, 1], self.padding, [1, 1], False, [0, 0], self.n_models
        by_x, by_filters, by_bias = aten.convolution_backward.default(
            gradient, self.x, self.filters, sizes, *sides, wanted
        )
        self.weight.gradient.copy_(by_filters.view_as(self.weight.gradient))
        self.bias.gradient.copy_(by_bias.view_as(self.bias.gradient))
        return gradient if self.is_first else by_x


class BatchedMaxPool2d(Layer):
    """The largest of 2 x 2 pixels: (b, m * h, y, x) -> (b, m * h, y / 2, x / 2)."""

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the largest, and note where they are."""
        self.x = x
        out, self.indices = functional.max_pool2d_with_indices(x, (2, 2))
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient where the largest were, 0 elsewhere."""
        found: Tensor = aten.max_pool2d_with_indices_backward.default(
            gradient, self.x, [2, 2], [2, 2], [0, 0], [1, 1], False, self.indices
        )
        return found


class UnstackChannels(Layer):
    """(b, m * h, y, x) -> (m, b, h * y * x)."""

    def __init__(self, n_models: int) -> None:
        self.n_models = n_models

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the numbers of each network's channels, flat."""
        self.shape = (x.shape[1] // self.n_models, *x.shape[2:])
        return x.reshape(len(x), self.n_models, -1).transpose(0, 1).contiguous()

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient side by side."""
        return _stack_channels(gradient, self.shape)


def _stack_channels(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return (m, b, c * y * x) as (b, m * c, y, x)."""
    networks, rows, _ = x.shape
    assert x.shape[2] == prod(shape)
    side = x.transpose(0, 1).reshape(rows, networks * shape[0], *shape[1:])
    return side.contiguous(memory_format=torch.channels_last)
