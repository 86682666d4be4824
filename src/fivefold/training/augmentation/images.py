"""Rotation, shift, shear, zoom, flips and crop of images: one affine map for each image, one look-up for a batch.

Source: Keras' ImageDataGenerator, which maps by scipy.ndimage.affine_transform of order 1; random crop_padding: He et al. 2016.
Shapes: b images, c channels, y x x pixels. A map (b, 2, 3) takes a place of the result to the place of the image that
is shown there; places are rows and columns, in pixels from the image's centre.

Rectangles within images, for erasing and for cutmix.

Shapes: b images of y x x pixels.

What changes the values of images and leaves them in their place.

Shapes: b images, c channels, y x x pixels.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.augmentation import Augmentation, FillMode

EDGE_TOLERANCE = 1e-3
"""Pixels by which rounding may put a place beyond the edge that lies on it."""


class RandomAffine(nn.Module):
    """Draw a map for each image of a batch and show the image through it.

    Args:
        blank: what shows beyond the edge if `fill` is constant; broadcasts to (c, y, x).
    """

    flips: Tensor
    magnitudes: Tensor
    fill_value: Tensor

    def __init__(self, params: Augmentation, fill_value: Tensor) -> None:
        super().__init__()
        self.fill, self.crop = params.fill_mode, params.crop_padding
        flips = (params.vertical_flip, params.horizontal_flip)
        angles = (math.radians(params.rotation), math.radians(params.shear))
        reach = (*angles, params.height_shift, params.width_shift, params.zoom, params.zoom)
        self.is_pixel_exact = not any(reach)
        self.register_buffer("flips", torch.tensor(flips).float()[:, None], persistent=False)
        self.register_buffer("magnitudes", torch.tensor(reach)[:, None], persistent=False)
        self.register_buffer("fill_value", fill_value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return images (b, c, y, x) as their maps show them; whole pixels stay what they are, bit for bit."""
        draws = torch.rand(10, len(x), device=x.device)
        crop = (draws[:2] * (2 * self.crop + 1)).floor() - self.crop
        flip = 1 - 2 * self.flips * (draws[2:4] < 0.5)
        if self.is_pixel_exact:
            return flip_and_crop(x, flip, crop, self.fill, self.fill_value)
        values = (2 * draws[4:] - 1) * self.magnitudes
        rotation, shear, down, right = values[:4]
        shift = torch.stack([down * x.shape[2], right * x.shape[3]])
        return warp(x, affine_matrices(rotation, shear, shift, 1 + values[4:], flip, crop), self.fill, self.fill_value)


def affine_matrices(rotation: Tensor, shear: Tensor, shift: Tensor, zoom: Tensor, flip: Tensor, crop: Tensor) -> Tensor:
    """Return rotation * shift * shear * zoom, the order of Keras, then flip and crop, as maps (b, 2, 3).

    Args:
        rotation, shear: (b,), radians.
        shift, crop: (2, b), pixels.
        zoom: (2, b), above 0.
        flip: (2, b), -1 where an axis is mirrored, else 1.
    """
    cos, sin, both = rotation.cos(), rotation.sin(), rotation + shear
    # a rotation times a shear is (cos r, -sin(r + s); sin r, cos(r + s))
    turn = torch.stack([torch.stack([cos, -both.sin()]), torch.stack([sin, both.cos()])])
    linear = turn * (zoom * flip)  # (2, 2, b)
    moved = torch.stack([cos * shift[0] - sin * shift[1], sin * shift[0] + cos * shift[1]])
    offset = moved + (linear * crop).sum(1)
    return torch.cat([linear, offset[:, None]], dim=1).permute(2, 0, 1)


def warp(x: Tensor, matrices: Tensor, fill: FillMode, fill_value: Tensor) -> Tensor:
    """Return images (b, c, y, x) seen through maps (b, 2, 3), values between pixels interpolated linearly.

    fill: as in scipy.ndimage, so that `wrap` takes the first and the last pixel of an axis for one point.
    """
    height, width = x.shape[2:]
    # grid_sample wants columns first, and half a side as unit
    scaled = torch.stack([matrices[:, 1] * (2 / width), matrices[:, 0] * (2 / height)], dim=2)  # (b, 3, 2)
    down, across, start = scaled[:, :, None].unbind(1)  # (b, 1, 2)
    row, column = ((torch.arange(n, device=x.device) - (n - 1) / 2)[:, None] for n in (height, width))
    # pairs as complex numeric_transform: a sum over pairs of two would be made number by number
    rows, columns = torch.view_as_complex(row * down + start), torch.view_as_complex(column * across)
    grid = torch.view_as_real(rows[:, :, None] + columns[:, None])  # (b, y, x, 2)
    if fill == "wrap":
        grid = torch.stack(
            [_wrap_positions(axis, n) for axis, n in zip(grid.unbind(-1), (width, height), strict=True)], dim=-1
        )
    mode = "reflection" if fill == "reflect" else "border"
    out = functional.grid_sample(x, grid, padding_mode=mode, align_corners=False)
    if fill == "constant":
        beside, above = (_is_outside(axis, n) for axis, n in zip(grid.unbind(-1), (width, height), strict=True))
        out = torch.where((beside | above)[:, None], fill_value, out)
    return out


def _is_outside(position: Tensor, length: int) -> Tensor:
    """Return which places on an axis, in half sides from the centre, lie beyond its first and last pixel."""
    return position.abs() > (length - 1 + 2 * EDGE_TOLERANCE) / length


def _wrap_positions(position: Tensor, length: int) -> Tensor:
    """Return places of `_beyond` within the axis, the first pixel and the last being one point."""
    last = (length - 1) / length
    period = max(2 * last, EDGE_TOLERANCE)
    turns = ((position + last) / period).floor()
    return torch.where(_is_outside(position, length), position - turns * period, position)


def flip_and_crop(x: Tensor, flip: Tensor, crop: Tensor, fill: FillMode, fill_value: Tensor) -> Tensor:
    """Return images (b, c, y, x) flipped and cropped, each pixel a copy; flip and crop as `maps` takes them."""
    places = [_source_indices(*axis) for axis in zip(x.shape[2:], flip, crop, strict=True)]
    rows, columns = (_apply_fill(place, length, fill) for place, length in zip(places, x.shape[2:], strict=True))
    index = (rows[:, :, None] * x.shape[3] + columns[:, None]).flatten(1)  # (b, y * x)
    out = x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1)).view(x.shape)
    if fill == "constant":
        above, beside = (place != inside for place, inside in zip(places, (rows, columns), strict=True))
        out = torch.where((above[:, :, None] | beside[:, None])[:, None], fill_value, out)
    return out


def _source_indices(length: int, flip: Tensor, crop: Tensor) -> Tensor:
    """Return the place on an axis that each pixel of the result shows, (b, length); it may lie beyond the edge."""
    start = (1 - flip) * ((length - 1) / 2) + flip * crop  # (b,), of the first pixel
    return torch.addcmul(start[:, None], flip[:, None], torch.arange(length, device=flip.device)).long()


def _apply_fill(index: Tensor, length: int, fill: FillMode) -> Tensor:
    """Return the pixels that show at places."""
    match fill:
        case "reflect":
            index = index.remainder(2 * length)
            index = torch.minimum(index, 2 * length - 1 - index)
        case "wrap":
            beyond = (index < 0) | (index >= length)
            index = torch.where(beyond, index.remainder(max(length - 1, 1)), index)
    return index.clamp(0, length - 1)


def random_boxes(area: Tensor, aspect_ratio: Tensor, size: tuple[int, int]) -> Tensor:
    """Return 1 where a rectangle lies in each image and 0 beside it, (b, y, x): whole pixels, within the image.

    Args:
        area: (b,), its share of the image; 0 is no rectangle.
        stretch: (b,), its height over its width, both as shares; from area to 1 / area, or it would not fit.
        size: y and x.
    """
    draws = torch.rand(2, len(area), device=area.device)
    sides = ((area * aspect_ratio).sqrt(), (area / aspect_ratio).sqrt())
    rows, columns = (_axis_mask(*axis) for axis in zip(sides, size, draws, strict=True))
    return rows[:, :, None] * columns[:, None]


def _axis_mask(side: Tensor, length: int, position: Tensor) -> Tensor:
    """Return 1 where a side (b,), a share, covers an axis and 0 beside it, (b, length)."""
    extent = (side * length).round().clamp_max(length)
    start = (position * (length - extent + 1)).floor()
    pixels = torch.arange(length, device=side.device)
    return ((pixels >= start[:, None]) & (pixels < (start + extent)[:, None])).to(side.dtype)


MIN_ASPECT_RATIO = 0.3
"""A rectangle's shorter side over its longer one, at least: as in the paper."""


class RandomRescale(nn.Module):
    """Values of each image times one factor."""

    def __init__(self, params: Augmentation) -> None:
        super().__init__()
        self.max_change = params.intensity_scale

    def forward(self, x: Tensor) -> Tensor:
        """Return images (b, c, y, x)."""
        return x * (1 + self.max_change * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1))


class RandomErasing(nn.Module):
    """A rectangle of some images becomes the mean of the image, channel by channel.

    Source: Zhong et al. 2020. The mean and not noise, since it suits every `normalize`; the shape is drawn evenly on a
    logarithmic scale among those that fit, so that each rectangle has the area that was drawn.
    """

    def __init__(self, params: Augmentation) -> None:
        super().__init__()
        self.probability = params.erasing
        self.low, self.high = params.erasing_area

    def forward(self, x: Tensor) -> Tensor:
        """Return images (b, c, y, x)."""
        chance, size, shape = torch.rand(3, len(x), device=x.device)
        area = self.low + (self.high - self.low) * size
        widest = (-area.log()).clamp(0, -math.log(MIN_ASPECT_RATIO))
        stretch = (widest * (2 * shape - 1)).exp()
        erased = random_boxes(area * (chance < self.probability), stretch, (x.shape[2], x.shape[3]))
        return torch.lerp(x, x.mean((2, 3), keepdim=True), erased[:, None])
