"""Build the network of each architecture of family cnn."""

from torch import nn

from ...config.networks.cnn import Cnn, Fcn, PlainCnn, ResNet, ResNet1d, Tcn, TutorialCnn, Vgg
from ...errors import ParamsError
from ..factory import InputSpec
from .image import PlainCnnNetwork, ResNetNetwork
from .temporal import FcnNetwork, ResNet1dNetwork, TcnNetwork


def build(params: Cnn, spec: InputSpec) -> nn.Module:
    """Return the network for images, or for sequences, windows of a series or texts, of shape `spec`.

    Raises:
        ParamsError: the images are too small for the architecture, or an embedding is configured without tokens.
    """
    match params:
        case TutorialCnn():
            height, width = spec.shape[1:]
            if min(height, width) < 4:
                raise ParamsError(
                    "network.architecture tutorial halves images twice and needs at least 4x4 pixels, but they have"
                    f" {height}x{width}; choose architecture plain with fewer channels, or a larger `size` of the"
                    " dataset"
                )
            return PlainCnnNetwork(PlainCnn(family="cnn", architecture="plain"), spec)
        case PlainCnn() | Vgg():
            return PlainCnnNetwork(params, spec)
        case ResNet():
            return ResNetNetwork(params, spec)
        case Fcn():
            return FcnNetwork(params, spec)
        case ResNet1d():
            return ResNet1dNetwork(params, spec)
        case Tcn():
            return TcnNetwork(params, spec)
