"""Choices that families share, by the names used in params.yaml."""

from typing import Literal

Activation = Literal["sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu", "silu"]
Init = Literal["default", "zero", "normal", "uniform", "xavier", "kaiming", "orthogonal"]
Cell = Literal["rnn", "lstm", "gru"]
