"""Two generators that translate images between two domains, and a critic of each.

Source: Zhu, Park, Isola & Efros 2017, section 7.2: generators after Johnson et al. 2016, critics of patches after Isola
et al. 2017. Two departures: images grow by nearest pixels and a convolution, which leaves no checkerboard (Odena et al.
2016), and takes any size; and a critic's last convolution is 3 wide, so that small images have patches as well.
Shapes: b images, c channels, y x x pixels, p x q patches.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cyclegan import Cyclegan, PatchGAN
from ...errors import ParamsError
from ..factory import InputSpec
from ..layers import init_dcgan_

LEAKY_RELU_SLOPE = 0.2
"""Of a leaky ReLU below 0."""

MAX_FILTER_MULTIPLIER = 8
"""Filters of a critic at most, in those of its first layer."""


def build(params: Cyclegan, spec: InputSpec) -> nn.Module:
    """Return all four networks for images of `shape`.

    Raises:
        ParamsError: records are no images or of more or fewer than two classes, or an image is too small.
    """
    if len(spec.shape) != 3:
        raise ParamsError(
            f"network.family cyclegan translates images, but a record has shape {spec.shape}; choose another family"
        )
    if spec.n_classes != 2:
        raise ParamsError(
            "network.family cyclegan translates between the two classes of its dataset, but that has"
            f" {spec.n_classes or 'none'}; bring one with exactly two"
        )
    return CycleganNetwork(params, spec.shape)


class CycleganNetwork(nn.Module):
    """Images of either class (b, c, y, x) -> what they are in the first class and in the second, twice that shape."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.generator = GeneratorPair(params, image_shape)
        self.discriminators = nn.ModuleList(PatchDiscriminator(params, image_shape) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both translations."""
        made: tuple[Tensor, Tensor] = self.generator(x)
        return made


class GeneratorPair(nn.Module):
    """Both generators, by the class that they translate into."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.by_target = nn.ModuleList(Generator(params, image_shape) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each makes of images (b, c, y, x)."""
        return self.by_target[0](x), self.by_target[1](x)


class Generator(nn.Module):
    """(b, c, y, x) -> the same shape."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        sides = downsampled_sizes(params, image_shape)
        filters = [params.filters * 2**i for i in range(len(sides))]
        layers = _conv_norm_relu(image_shape[0], filters[0], params.kernel_size)
        for before, after in pairwise(filters):
            layers += _conv_norm_relu(before, after, 3, stride=2)
        layers += [ResidualBlock(filters[-1]) for _ in range(params.blocks)]
        for (after, before), size in zip(reversed(list(pairwise(filters))), reversed(sides[:-1]), strict=True):
            layers += [NearestUpsample(size), *_conv_norm_relu(before, after, 3)]
        self.layers = nn.Sequential(*layers, _reflect_conv(filters[0], image_shape[0], params.kernel_size, bias=True))
        self.uses_sigmoid = params.output_activation == "sigmoid"
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return translated images."""
        made: Tensor = self.layers(2 * x - 1 if self.uses_sigmoid else x)
        return made.sigmoid() if self.uses_sigmoid else made


class ResidualBlock(nn.Module):
    """(b, f, y, x) -> the same shape."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm_relu(filters, filters, 3), _reflect_conv(filters, filters, 3), nn.InstanceNorm2d(filters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = x + self.body(x)
        return out


class NearestUpsample(nn.Module):
    """(b, f, ., .) -> (b, f, y, x), by nearest pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return larger images."""
        return functional.interpolate(x, self.size)


class PatchDiscriminator(nn.Module):
    """(b, c, y, x) -> (b, 1, p, q), the higher the more like a real image's patch."""

    def __init__(self, params: Cyclegan, image_shape: tuple[int, ...]) -> None:
        super().__init__()
        of = params.discriminator
        _check_patch_size(of, image_shape)
        filters = [of.filters * min(2**i, MAX_FILTER_MULTIPLIER) for i in range(of.layers)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((image_shape[0], *filters))):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=i == 0)]  # a norm would take a bias away
            layers += [nn.InstanceNorm2d(after)] if i else []
            layers += [nn.LeakyReLU(LEAKY_RELU_SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters[-1], 1, 3, padding=1))
        self.rescales_input = params.output_activation == "sigmoid"
        init_dcgan_(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return how real each patch seems."""
        told: Tensor = self.layers(2 * x - 1 if self.rescales_input else x)
        return told


def _conv_norm_relu(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> list[nn.Module]:
    return [_reflect_conv(in_channels, out_channels, kernel_size, stride), nn.InstanceNorm2d(out_channels), nn.ReLU()]


def _reflect_conv(
    in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, *, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution beyond whose edges an image is mirrored; a norm behind it would take a bias away."""
    return nn.Conv2d(
        in_channels, out_channels, kernel_size, stride, kernel_size // 2, padding_mode="reflect", bias=bias
    )


def downsampled_sizes(params: Cyclegan, image_shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width of what a generator has, before its first halving and after each; halves are rounded up.

    Raises:
        ParamsError: an image is too small to be mirrored at its edges.
    """
    found = [(image_shape[1], image_shape[2])]
    for _ in range(params.downsampling):
        found.append(((found[-1][0] + 1) // 2, (found[-1][1] + 1) // 2))
    if min(found[0]) <= params.kernel_size // 2:
        raise ParamsError(
            f"network.kernel_size must be less than twice as wide as an image of {image_shape[1]}x{image_shape[2]} pixels, but is"
            f" {params.kernel_size}; lower it, or set a larger `size` of the dataset"
        )
    if min(found[-1]) < 2:
        most = sum(min(size) >= 2 for size in found) - 1
        raise ParamsError(
            f"network.downsampling must leave 2x2 pixels or more, so it may be {most} of images of"
            f" {image_shape[1]}x{image_shape[2]}, but is {params.downsampling}; lower it"
        )
    return found


def _check_patch_size(params: PatchGAN, image_shape: tuple[int, ...]) -> None:
    """Raise a `ParamsError` if a critic's layers leave less than 2x2 pixels."""
    side = min(image_shape[1:])
    if side >> params.layers < 2:
        raise ParamsError(
            f"network.discriminator.layers must leave 2x2 pixels or more, so it may be {side.bit_length() - 2} of images of"
            f" {image_shape[1]}x{image_shape[2]}, but is {params.layers}; lower it"
        )
