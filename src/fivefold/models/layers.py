"""Layers and initial weights by the names used in params.yaml.

Sizes of an image that layers halve, one after the other.
"""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ..config.base import Activation, Initialization
from ..errors import ParamsError
from .factory import InputSpec

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}

MONOTONIC_ACTIVATIONS: set[Activation] = {"sigmoid", "tanh", "relu", "leaky_relu", "elu"}
"""Activations that commute with max-pooling, so that pooling may come first, on a quarter of the values."""

INIT_SCALE = 0.05
"""Deviation of init normal, and bound of init uniform, as in Keras."""

DCGAN_INIT_STD = 0.02
"""Deviation of the first weights of convolutions that learn from each other (Radford, Metz & Chintala 2016)."""

DEFAULT_EMBEDDING_DIM = 64
"""Numbers that stand for a token of text where params.yaml does not say."""


def build_dense_block(
    in_features: int,
    out_features: int,
    activation: Activation,
    dropout: float,
    norm: Literal["none", "batch", "layer"] = "none",
) -> list[nn.Module]:
    """Return one hidden layer, (b, before) -> (b, after): weights, norm, activation, dropout."""
    # the mean that a batch norm takes away would take a bias with it
    layers: list[nn.Module] = [nn.Linear(in_features, out_features, bias=norm != "batch")]
    if norm != "none":
        layers.append(BatchNorm(out_features) if norm == "batch" else nn.LayerNorm(out_features))
    layers.append(ACTIVATIONS[activation]())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers


class SafeBatchNorm(_BatchNorm):
    """PyTorch's, but that one value alone, which has no spread, is normed by the running statistics and leaves them.

    The last batch of an epoch, or what of it comes to one of several devices, may be one row of one place.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, c, ...), normed."""
        if not self.training or x.numel() != x.shape[1]:
            return super().forward(x)
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class BatchNorm(SafeBatchNorm, nn.BatchNorm1d):
    """Batch norm of (b, c) and (b, c, t)."""


class BatchNorm2d(SafeBatchNorm, nn.BatchNorm2d):
    """Batch norm of (b, c, y, x)."""


def resolve_embedding_dim(embedding_dim: int | None, spec: InputSpec) -> int:
    """Return how many numbers stand for a token or a category; 0 if there are none, or categories stay as they are.

    Raises:
        ParamsError: an embedding is asked for, but there is nothing to embed.
    """
    if embedding_dim and not spec.vocab_size and not spec.one_hot_sizes:
        raise ParamsError(
            "network.embedding_dim needs text, or a table with categorical columns that `select` does not mix or leave out,"
            f" but is {embedding_dim} for records of other numbers; leave it out"
        )
    return embedding_dim or (DEFAULT_EMBEDDING_DIM if spec.vocab_size else 0)


def initialize_weights(network: nn.Module, init: Initialization, activation: Activation) -> None:
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
                case "zeros":
                    nn.init.zeros_(module.weight)
                case "normal":
                    nn.init.normal_(module.weight, std=INIT_SCALE)
                case "uniform":
                    nn.init.uniform_(module.weight, -INIT_SCALE, INIT_SCALE)
                case "xavier":
                    nn.init.xavier_uniform_(module.weight)
                case "kaiming":
                    squashes = activation in ("tanh", "sigmoid")
                    nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if squashes else "relu")
                case "orthogonal":
                    nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_dcgan_(network: nn.Module) -> None:
    """Set the weights of dense layers and convolutions in place, to small ones from a normal distribution."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=DCGAN_INIT_STD)


def halved_sizes(image_shape: tuple[int, ...], n_layers: int, *, round_up: bool = False) -> list[tuple[int, int]]:
    """Return height and width of an image (c, y, x) before the first layer, and after each, rounded up or down.

    Raises:
        ParamsError: an image of one pixel would be halved.
    """
    found = [(image_shape[1], image_shape[2])]
    for count in range(n_layers):
        y, x = found[-1]
        if min(y, x) < 2:
            raise ParamsError(
                f"network.hidden may hold {count} layers for images of {image_shape[1]}x{image_shape[2]} pixels, since each halves"
                f" them, but holds {n_layers}; shorten it"
            )
        found.append(((y + round_up) // 2, (x + round_up) // 2))
    return found
