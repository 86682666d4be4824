"""Two generators that translate images between two domains, and a critic of each.

Source: Zhu, Park, Isola & Efros 2017, section 7.2: generators after Johnson et al. 2016, critics of patches after Isola
et al. 2017. Two departures: images grow by nearest pixels and a convolution, which leaves no checkerboard (Odena et al.
2016), and takes any size; and a critic's last convolution is 3 wide, so that small images have patches as well.
Shapes: b images, c channels, y x x pixels, p x q patches.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ...config.networks.cyclegan import Cyclegan, Patches
from ...errors import ParamsError
from ..factory import Shape
from ..layers import start_narrow

SLOPE = 0.2
"""Of a leaky ReLU below 0."""

WIDEST = 8
"""Filters of a critic at most, in those of its first layer."""


def build(params: Cyclegan, shape: Shape) -> nn.Module:
    """Return all four networks for images of `shape`.

    Raises:
        ParamsError: records are no images or of more or fewer than two classes, or an image is too small.
    """
    if len(shape.features) != 3:
        raise ParamsError(
            f"network.family cyclegan translates images, but a record has shape {shape.features}; choose another family"
        )
    if shape.classes != 2:
        raise ParamsError(
            "network.family cyclegan translates between the two classes of its dataset, but that has"
            f" {shape.classes or 'none'}; bring one with exactly two"
        )
    return CycleganNetwork(params, shape.features)


class CycleganNetwork(nn.Module):
    """Images of either class (b, c, y, x) -> what they are in the first class and in the second, twice that shape."""

    def __init__(self, params: Cyclegan, told: tuple[int, ...]) -> None:
        super().__init__()
        self.generator = Translators(params, told)
        self.critics = nn.ModuleList(Critic(params, told) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return both translations."""
        made: tuple[Tensor, Tensor] = self.generator(x)
        return made


class Translators(nn.Module):
    """Both generators, by the class that they translate into."""

    def __init__(self, params: Cyclegan, told: tuple[int, ...]) -> None:
        super().__init__()
        self.into = nn.ModuleList(Generator(params, told) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each makes of images (b, c, y, x)."""
        return self.into[0](x), self.into[1](x)


class Generator(nn.Module):
    """(b, c, y, x) -> the same shape."""

    def __init__(self, params: Cyclegan, told: tuple[int, ...]) -> None:
        super().__init__()
        sides = shrunk(params, told)
        filters = [params.filters * 2**i for i in range(len(sides))]
        layers = _normed(told[0], filters[0], params.kernel)
        for before, after in pairwise(filters):
            layers += _normed(before, after, 3, stride=2)
        layers += [Residual(filters[-1]) for _ in range(params.blocks)]
        for (after, before), size in zip(reversed(list(pairwise(filters))), reversed(sides[:-1]), strict=True):
            layers += [Grow(size), *_normed(before, after, 3)]
        self.layers = nn.Sequential(*layers, _mirrored(filters[0], told[0], params.kernel, bias=True))
        self.squashes = params.output == "sigmoid"
        start_narrow(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return translated images."""
        made: Tensor = self.layers(2 * x - 1 if self.squashes else x)
        return made.sigmoid() if self.squashes else made


class Residual(nn.Module):
    """(b, f, y, x) -> the same shape."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_normed(filters, filters, 3), _mirrored(filters, filters, 3), nn.InstanceNorm2d(filters)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        out: Tensor = x + self.body(x)
        return out


class Grow(nn.Module):
    """(b, f, ., .) -> (b, f, y, x), by nearest pixels."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Return larger images."""
        return functional.interpolate(x, self.size)


class Critic(nn.Module):
    """(b, c, y, x) -> (b, 1, p, q), the higher the more like a real image's patch."""

    def __init__(self, params: Cyclegan, told: tuple[int, ...]) -> None:
        super().__init__()
        of = params.critic
        _patches(of, told)
        filters = [of.filters * min(2**i, WIDEST) for i in range(of.layers)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise((told[0], *filters))):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=i == 0)]  # a norm would take a bias away
            layers += [nn.InstanceNorm2d(after)] if i else []
            layers += [nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(filters[-1], 1, 3, padding=1))
        self.centres = params.output == "sigmoid"
        start_narrow(self)

    def forward(self, x: Tensor) -> Tensor:
        """Return how real each patch seems."""
        told: Tensor = self.layers(2 * x - 1 if self.centres else x)
        return told


def _normed(before: int, after: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    return [_mirrored(before, after, kernel, stride), nn.InstanceNorm2d(after), nn.ReLU()]


def _mirrored(before: int, after: int, kernel: int, stride: int = 1, *, bias: bool = False) -> nn.Conv2d:
    """Return a convolution beyond whose edges an image is mirrored; a norm behind it would take a bias away."""
    return nn.Conv2d(before, after, kernel, stride, kernel // 2, padding_mode="reflect", bias=bias)


def shrunk(params: Cyclegan, told: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return height and width of what a generator has, before its first halving and after each; halves are rounded up.

    Raises:
        ParamsError: an image is too small to be mirrored at its edges.
    """
    found = [(told[1], told[2])]
    for _ in range(params.downsampling):
        found.append(((found[-1][0] + 1) // 2, (found[-1][1] + 1) // 2))
    if min(found[0]) <= params.kernel // 2:
        raise ParamsError(
            f"network.kernel must be less than twice as wide as an image of {told[1]}x{told[2]} pixels, but is"
            f" {params.kernel}; lower it, or set a larger `size` of the dataset"
        )
    if min(found[-1]) < 2:
        most = sum(min(size) >= 2 for size in found) - 1
        raise ParamsError(
            f"network.downsampling must leave 2x2 pixels or more, so it may be {most} of images of"
            f" {told[1]}x{told[2]}, but is {params.downsampling}; lower it"
        )
    return found


def _patches(critic: Patches, told: tuple[int, ...]) -> None:
    """Raise a `ParamsError` if a critic's layers leave less than 2x2 pixels."""
    side = min(told[1:])
    if side >> critic.layers < 2:
        raise ParamsError(
            f"network.critic.layers must leave 2x2 pixels or more, so it may be {side.bit_length() - 2} of images of"
            f" {told[1]}x{told[2]}, but is {critic.layers}; lower it"
        )
