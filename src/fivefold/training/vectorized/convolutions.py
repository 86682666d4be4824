"""Batched convolutions of many networks: grouped convolutions, each network's images being one group of channels.

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
    """Flat images (m, b, c * y * x) -> (b, m * c, y, x); must be the first layer."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = shape

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the images of all networks as channels, in channels-last format, which is fastest."""
        return _stack_channels(x, self.shape)

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient unchanged, since no layer before it has parameters."""
        return gradient


class GroupedConv2d(Layer):
    """Convolution of each network on its own channels, (b, m * c, y, x) -> (b, m * h, y', x').

    Args:
        weight, bias: (m, h, c, k, k) and (m, 1, h).
        is_first: whether no layer before it has parameters.
    """

    def __init__(self, weight: BatchedParameter, bias: BatchedParameter, conv: nn.Conv2d, *, is_first: bool) -> None:
        self.weight, self.bias, self.is_first = weight, bias, is_first
        self.padding = [int(side) for side in conv.padding]
        self.n_models = len(weight.value)

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the convolution of each network's channels with its filters."""
        self.x, self.filters = x, self.weight.value.flatten(0, 1)
        bias = self.bias.value.flatten()
        return functional.conv2d(x, self.filters, bias, padding=self.padding, groups=self.n_models)

    def backward(self, gradient: Tensor) -> Tensor:
        """Compute the gradients of filters and biases; return that with respect to the input."""
        output_mask = [not self.is_first, True, True]
        bias_sizes = [self.bias.value.numel()]
        options = [1, 1], self.padding, [1, 1], False, [0, 0], self.n_models  # stride ... groups
        by_x, by_filters, by_bias = aten.convolution_backward.default(
            gradient, self.x, self.filters, bias_sizes, *options, output_mask
        )
        self.weight.gradient.copy_(by_filters.view_as(self.weight.gradient))
        self.bias.gradient.copy_(by_bias.view_as(self.bias.gradient))
        return gradient if self.is_first else by_x


class BatchedMaxPool2d(Layer):
    """Max pooling over 2 x 2 pixels: (b, m * h, y, x) -> (b, m * h, y / 2, x / 2)."""

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the maxima, and store their positions."""
        self.x = x
        out, self.indices = functional.max_pool2d_with_indices(x, (2, 2))
        return out

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the input, 0 except at the maxima."""
        result: Tensor = aten.max_pool2d_with_indices_backward.default(
            gradient, self.x, [2, 2], [2, 2], [0, 0], [1, 1], False, self.indices
        )
        return result


class UnstackChannels(Layer):
    """Flatten the channels of each network, (b, m * h, y, x) -> (m, b, h * y * x)."""

    def __init__(self, n_models: int) -> None:
        self.n_models = n_models

    def __call__(self, x: Tensor, *, training: bool) -> Tensor:
        """Return the flattened channels of each network."""
        self.shape = (x.shape[1] // self.n_models, *x.shape[2:])
        return x.reshape(len(x), self.n_models, -1).transpose(0, 1).contiguous()

    def backward(self, gradient: Tensor) -> Tensor:
        """Return the gradient with the channels of all networks stacked."""
        return _stack_channels(gradient, self.shape)


def _stack_channels(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return (m, b, c * y * x) as (b, m * c, y, x)."""
    n_models, n_rows, n_values = x.shape
    assert n_values == prod(shape)
    images = x.transpose(0, 1).reshape(n_rows, n_models * shape[0], *shape[1:])
    return images.contiguous(memory_format=torch.channels_last)
