"""Activations, dense blocks, batch norm and weight initialization by their names in params.yaml.

Shapes: b samples, c channels, t steps, y x x pixels.
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
"""Activations that commute with max-pooling, so that pooling can come first and leave a quarter of the values."""

INIT_SCALE = 0.05
"""Standard deviation of init `normal`, and bound of init `uniform`, as in Keras."""

DCGAN_INIT_STD = 0.02
"""Standard deviation of initial weights in adversarial training (Radford, Metz & Chintala 2016)."""

DEFAULT_EMBEDDING_DIM = 64
"""Embedding dimensions of a token if params.yaml does not set them."""


def build_dense_block(
    in_features: int,
    out_features: int,
    activation: Activation,
    dropout: float,
    norm: Literal["none", "batch", "layer"] = "none",
) -> list[nn.Module]:
    """Return one hidden layer, (b, in_features) -> (b, out_features): linear, norm, activation, dropout."""
    # batch norm subtracts the mean, and with it any bias
    layers: list[nn.Module] = [nn.Linear(in_features, out_features, bias=norm != "batch")]
    if norm != "none":
        layers.append(BatchNorm(out_features) if norm == "batch" else nn.LayerNorm(out_features))
    layers.append(ACTIVATIONS[activation]())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return layers


class SafeBatchNorm(_BatchNorm):
    """Batch norm that also trains on a single value per channel, which PyTorch rejects.

    Such a batch has no variance: it is normalized by the running statistics and does not update them. The last batch of
    an epoch, or a device's share of it, may consist of one sample with one position.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, c, ...), normalized."""
        if not self.training or x.numel() != x.shape[1]:
            return super().forward(x)
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class BatchNorm(SafeBatchNorm, nn.BatchNorm1d):
    """Batch norm over (b, c) and (b, c, t)."""


class BatchNorm2d(SafeBatchNorm, nn.BatchNorm2d):
    """Batch norm over (b, c, y, x)."""


def resolve_embedding_dim(embedding_dim: int | None, spec: InputSpec) -> int:
    """Return the embedding dimensions of a token or category; 0 without tokens, or if categories stay one-hot.

    Raises:
        ParamsError: an embedding is configured, but there is nothing to embed.
    """
    if embedding_dim and not spec.vocab_size and not spec.one_hot_sizes:
        raise ParamsError(
            "network.embedding_dim needs text, or a table with categorical columns that `select` neither drops nor"
            f" projects, but is {embedding_dim} and all features are numeric; remove it"
        )
    return embedding_dim or (DEFAULT_EMBEDDING_DIM if spec.vocab_size else 0)


def initialize_weights(network: nn.Module, init: Initialization, activation: Activation) -> None:
    """Initialize the weights of dense layers and convolutions in place; set their biases to zero.

    Norms and embeddings keep their initial values, so a residual block starts with its input at full scale.

    xavier: Glorot & Bengio 2010, uniform. kaiming: He et al. 2015, normal, with the gain of ReLU for the hidden layers.
    orthogonal: Saxe et al. 2014. default: PyTorch's own, biases included. zeros: all hidden units stay equal, for
        teaching.
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
                    saturates = activation in ("tanh", "sigmoid")
                    nn.init.kaiming_normal_(module.weight, nonlinearity="tanh" if saturates else "relu")
                case "orthogonal":
                    nn.init.orthogonal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def init_dcgan_(network: nn.Module) -> None:
    """Initialize dense layers and convolutions in place from a normal distribution with DCGAN_INIT_STD."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, std=DCGAN_INIT_STD)


def halved_sizes(image_shape: tuple[int, ...], n_layers: int, *, round_up: bool = False) -> list[tuple[int, int]]:
    """Return height and width of an image (c, y, x) before the first layer and after each, rounded down or up.

    Raises:
        ParamsError: an image of one pixel would be halved.
    """
    sizes = [(image_shape[1], image_shape[2])]
    for count in range(n_layers):
        y, x = sizes[-1]
        if min(y, x) < 2:
            raise ParamsError(
                f"network.hidden must have at most {count} layers for images of {image_shape[1]}x{image_shape[2]}"
                f" pixels, because each layer halves them, but has {n_layers}; shorten it"
            )
        sizes.append(((y + round_up) // 2, (x + round_up) // 2))
    return sizes
