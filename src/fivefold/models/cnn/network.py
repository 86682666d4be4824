"""The network of each design: two files for images, two for steps in time."""

from torch import nn

from ...config.networks.cnn import Cnn, Fcn, ResNet, ResNet1d, Stack, Tcn, Tutorial, Vgg
from ...errors import ParamsError
from ..factory import Shape
from .image import ResNetNetwork, StackNetwork
from .temporal import FcnNetwork, ResNet1dNetwork, TcnNetwork


def build(params: Cnn, shape: Shape) -> nn.Module:
    """Return the network for images, or for sequences, windows of a series or texts, of `shape`.

    Raises:
        ParamsError: the images are too small for the design, or an embedding is asked for where there are no tokens.
    """
    match params:
        case Tutorial():
            height, width = shape.features[1:]
            if min(height, width) < 4:
                raise ParamsError(
                    "network.design tutorial halves images twice and needs 4x4 pixels or more, but they have"
                    f" {height}x{width}; choose design stack with fewer channels, or a larger size of the dataset"
                )
            return StackNetwork(Stack(family="cnn", design="stack"), shape)
        case Stack() | Vgg():
            return StackNetwork(params, shape)
        case ResNet():
            return ResNetNetwork(params, shape)
        case Fcn():
            return FcnNetwork(params, shape)
        case ResNet1d():
            return ResNet1dNetwork(params, shape)
        case Tcn():
            return TcnNetwork(params, shape)
