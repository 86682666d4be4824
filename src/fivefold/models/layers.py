"""Layers and initial weights by the names used in params.yaml.

Sizes of an image that layers halve, one after the other.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ..config.base import Activation, Init
from ..errors import ParamsError
from .factory import Shape

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

SPREAD = 0.05
"""Deviation of init normal, and bound of init uniform, as in Keras."""

NARROW = 0.02
"""Deviation of the first weights of convolutions that learn from each other (Radford, Metz & Chintala 2016)."""

TOKEN = 64
"""Numbers that stand for a token of text where params.yaml does not say."""


def dense(
    before: int, after: int, activation: Activation, dropout: float, norm: Literal["none", "batch", "layer"] = "none"
) -> list[nn.Module]:
    """Return one hidden layer, (b, before) -> (b, after): weights, norm, activation, dropout."""
    # the mean that a batch norm takes away would take a bias with it
    layers: list[nn.Module] = [nn.Linear(before, after, bias=norm != "batch")]
    if norm != "none":
        layers.append(BatchNorm(after) if norm == "batch" else nn.LayerNorm(after))
    layers.append(ACTIVATIONS[activation]())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers


class _OfTwo(_BatchNorm):
    """PyTorch's, but that one value alone, which has no spread, is normed by the running statistics and leaves them.

    The last batch of an epoch, or what of it comes to one of several devices, may be one row of one place.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, c, ...), normed."""
        if not self.training or x.numel() != x.shape[1]:
            return super().forward(x)
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class BatchNorm(_OfTwo, nn.BatchNorm1d):
    """Batch norm of (b, c) and (b, c, t)."""


class BatchNorm2d(_OfTwo, nn.BatchNorm2d):
    """Batch norm of (b, c, y, x)."""


def embedding_size(asked: int | None, shape: Shape) -> int:
    """Return how many numbers stand for a token or a category; 0 if there are none, or categories stay as they are.

    Raises:
        ParamsError: an embedding is asked for, but there is nothing to embed.
    """
    if asked and not shape.tokens and not shape.categories:
        raise ParamsError(
            "network.embedding needs text, or a table with categorical columns that `select` does not mix or leave out,"
            f" but is {asked} for records of other numbers; leave it out"
        )
    return asked or (TOKEN if shape.tokens else 0)


def initialise(network: nn.Module, init: Init, activation: Activation) -> None:
    """Set the weights of dense layers and convolutions in place; their biases become zero.

    Norms and embeddings stay as they are, so that each block of a residual network begins with its input in full.

    xavier: Glorot & Bengio 2010, uniform. kaiming: He et al. 2015, normal, with the gain of ReLU for the hidden layers.
    orthogonal: Saxe et al. 2014. default: PyTorch's own, biases too. zero: all hidden units stay alike; to see why not.
    """
    if init == "default":
        return
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d):
            match init:
                case "zero":
                    nn.init.zeros_(module.weight)
                case "normal":
                    nn.init.normal_(module.weight, std=SPREAD)
                case "uniform":
                    nn.init.uniform_(module.weight, -SPREAD, SPREAD)
                case "xavier":
                    nn.init.xavier_uniform_(module.weight)
                case "kaiming":
                    squashes = activation in ("tanh", "sigmoid")
                    nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if squashes else "relu")
                case "orthogonal":
                    nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def start_narrow(part: nn.Module) -> None:
    """Set the weights of dense layers and convolutions in place, to small ones from a normal distribution."""
    for module in part.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=NARROW)


def halvings(image: tuple[int, ...], layers: int, *, up: bool = False) -> list[tuple[int, int]]:
    """Return height and width of an image (c, y, x) before the first layer, and after each, rounded up or down.

    Raises:
        ParamsError: an image of one pixel would be halved.
    """
    found = [(image[1], image[2])]
    for count in range(layers):
        y, x = found[-1]
        if min(y, x) < 2:
            raise ParamsError(
                f"network.hidden may hold {count} layers for images of {image[1]}x{image[2]} pixels, since each halves"
                f" them, but holds {layers}; shorten it"
            )
        found.append(((y + up) // 2, (x + up) // 2))
    return found
