"""Layers and initial weights by the names used in params.yaml."""

from torch import nn

from ..params.choices import Activation, Init

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

MONOTONE: set[Activation] = {"sigmoid", "tanh", "relu", "leaky_relu", "elu"}
"""Activations that commute with max-pooling, so that pooling may come first, on a quarter of the values."""


def initialise(network: nn.Module, init: Init, activation: Activation) -> None:
    """Set weights in place; biases become zero.

    xavier: Glorot & Bengio 2010, uniform. kaiming: He et al. 2015, normal, with the gain of ReLU for the hidden layers.
    default: PyTorch's own, biases too.
    """
    if init == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            if init == "xavier":
                nn.init.xavier_uniform_(module.weight)
            else:
                squashes = activation in ("tanh", "sigmoid")
                nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if squashes else "relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
