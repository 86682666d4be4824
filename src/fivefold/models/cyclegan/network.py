"""CycleGAN: two generators that translate images between two classes, and a discriminator for each class.

Source: Zhu, Park, Isola & Efros 2017, section 7.2: generators after Johnson et al. 2016, PatchGAN discriminators after
Isola et al. 2017. Two departures: upsampling is nearest-neighbor interpolation and a convolution, which avoids
checkerboard artifacts (Odena et al. 2016) and supports any size; the discriminator's last convolution has a 3x3 kernel,
so that small images yield patches too.
Shapes: b images, c channels, f filters, y x x pixels, p x q patches.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cyclegan import Cyclegan, PatchGAN
from ...errors import ParamsError
from ..factory import InputSpec
from ..layers import init_dcgan_

LEAKY_RELU_SLOPE = 0.2
"""Negative slope of leaky ReLU."""

MAX_FILTER_MULTIPLIER = 8
"""Maximum number of filters of a discriminator layer, as a multiple of those of its first layer."""


def build(params: Cyclegan, spec: InputSpec) -> nn.Module:
    """Return all four networks for images of shape `spec`.

    Raises:
        ParamsError: the data are not images of exactly two classes, or an image is too small.
    """
    if len(spec.shape) != 3:
        raise ParamsError(
            f"network.family cyclegan translates images, but samples have shape {spec.shape}; choose another family"
        )
    if spec.n_classes != 2:
        raise ParamsError(
            "network.family cyclegan translates between the two classes of a dataset, but this one has"
            f" {spec.n_classes or 'none'}; use one with exactly two"
        )
    return CycleganNetwork(params, spec.shape)


class CycleganNetwork(nn.Module):
    """Images of either class (b, c, y, x) -> their translations into the first and the second class, same shape."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.generator = GeneratorPair(params, image_shape)
        self.discriminators = nn.ModuleList(PatchDiscriminator(params, image_shape) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both translations."""
        translations: tuple[Tensor, Tensor] = self.generator(x)
        return translations


class GeneratorPair(nn.Module):
    """Both generators, indexed by their target class."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.by_target = nn.ModuleList(Generator(params, image_shape) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the translations of images (b, c, y, x) by both generators."""
        return self.by_target[0](x), self.by_target[1](x)


class Generator(nn.Module):
    """(b, c, y, x) -> the same shape."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        sizes = downsampled_sizes(params, image_shape)
        filters = [params.filters * 2**i for i in range(len(sizes))]
        layers = _conv_norm_relu(image_shape[0], filters[0], params.kernel_size)
        for before, after in pairwise(filters):
            layers += _conv_norm_relu(before, after, 3, stride=2)
        layers += [ResidualBlock(filters[-1]) for _ in range(params.blocks)]
        for (after, before), size in zip(reversed(list(pairwise(filters))), reversed(sizes[:-1]), strict=True):
            layers += [NearestUpsample(size), *_conv_norm_relu(before, after, 3)]
        self.layers = nn.Sequential(*layers, _reflect_conv(filters[0], image_shape[0], params.kernel_size, bias=True))
        self.uses_sigmoid = params.output_activation == "sigmoid"
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the translated images."""
        images: Tensor = self.layers(2 * x - 1 if self.uses_sigmoid else x)
        return images.sigmoid() if self.uses_sigmoid else images


class ResidualBlock(nn.Module):
    """(b, f, y, x) -> the same shape."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm_relu(filters, filters, 3), _reflect_conv(filters, filters, 3), nn.InstanceNorm2d(filters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the block."""
        out: Tensor = x + self.body(x)
        return out


class NearestUpsample(nn.Module):
    """(b, f, ., .) -> (b, f, y, x), by nearest-neighbor interpolation."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return the enlarged feature map."""
        return functional.interpolate(x, self.size)


class PatchDiscriminator(nn.Module):
    """(b, c, y, x) -> logits (b, 1, p, q), higher for patches that look real."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        config = params.discriminator
        _check_patch_size(config, image_shape)
        filters = [config.filters * min(2**i, MAX_FILTER_MULTIPLIER) for i in range(config.layers)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((image_shape[0], *filters))):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=i == 0)]  # the norm would cancel a bias
            layers += [nn.InstanceNorm2d(after)] if i else []
            layers += [nn.LeakyReLU(LEAKY_RELU_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters[-1], 1, 3, padding=1))
        self.rescales_input = params.output_activation == "sigmoid"
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit of each patch."""
        logits: Tensor = self.layers(2 * x - 1 if self.rescales_input else x)
        return logits


def _conv_norm_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
    """Return convolution, instance norm and ReLU."""
    return [_reflect_conv(in_channels, out_channels, kernel_size, stride), nn.InstanceNorm2d(out_channels), nn.ReLU()]


def _reflect_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, *, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution with reflection padding; no bias by default, because a norm that follows would cancel it."""
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, kernel_size // 2, padding_mode="reflect", bias=bias
    )


def downsampled_sizes(params: Cyclegan, image_shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width of a generator's feature maps before its first halving and after each, rounded up.

    Raises:
        ParamsError: an image is too small for reflection padding.
    """
    sizes = [(image_shape[1], image_shape[2])]
    for _ in range(params.downsampling):
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    if min(sizes[0]) <= params.kernel_size // 2:
        raise ParamsError(
            "network.kernel_size must be less than twice the shorter side of an image of"
            f" {image_shape[1]}x{image_shape[2]} pixels, but is {params.kernel_size}; lower it, or set a larger `size`"
            " of the dataset"
        )
    if min(sizes[-1]) < 2:
        maximum = sum(min(size) >= 2 for size in sizes) - 1
        raise ParamsError(
            f"network.downsampling must leave at least 2x2 pixels, so it can be at most {maximum} for images of"
            f" {image_shape[1]}x{image_shape[2]} pixels, but is {params.downsampling}; lower it"
        )
    return sizes


def _check_patch_size(params: PatchGAN, image_shape: tuple[int, ...]) -> None:
    """Raise a `ParamsError` if the discriminator's layers leave less than 2x2 pixels."""
    side = min(image_shape[1:])
    if side >> params.layers < 2:
        raise ParamsError(
            f"network.discriminator.layers must leave at least 2x2 pixels, so it can be at most {side.bit_length() - 2}"
            f" for images of {image_shape[1]}x{image_shape[2]} pixels, but is {params.layers}; lower it"
        )
