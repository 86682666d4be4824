"""Activations of an encoder in NumPy, as PyTorch has them."""

from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

from ..config.base import Activation
from ..data.dataset import Array

ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: x * (1 + erf(x / np.sqrt(2).astype(x.dtype))) / 2,
    "silu": lambda x: x * expit(x),
}
