"""Augment images: affine transforms, flips, crops, rescaling of intensities, random erasing.

Rotation, shift, shear, zoom, flips and crop are one affine transform per image and one lookup per batch.
Sources: Keras' ImageDataGenerator, which uses scipy.ndimage.affine_transform of order 1; random crop: He et al. 2016.
Shapes: b images, c channels, y x x pixels. A transform (b, 2, 3) maps a position of the output to the position of the
input that is shown there. Positions are rows and columns in pixels, relative to the center of the image.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...config.augmentation import Augmentation, FillMode

EDGE_TOLERANCE = 1e-3
"""Rounding error in pixels by which a position on the edge may be computed as outside."""


class RandomAffine(nn.Module):
    """Apply a random affine transform to each image of a batch.

    Args:
        fill_value: value outside the image if `fill_mode` is constant; broadcasts to (c, y, x).
    """

    flips: Tensor
    magnitudes: Tensor
    fill_value: Tensor

    def __init__(self, params: Augmentation, fill_value: Tensor) -> None:
        super().__init__()
        self.fill, self.crop = params.fill_mode, params.crop_padding
        flips = (params.vertical_flip, params.horizontal_flip)
        angles = (math.radians(params.rotation), math.radians(params.shear))
        magnitudes = (*angles, params.height_shift, params.width_shift, params.zoom, params.zoom)
        self.is_pixel_exact = not any(magnitudes)
        self.register_buffer("flips", torch.tensor(flips).float()[:, None], persistent=False)
        self.register_buffer("magnitudes", torch.tensor(magnitudes)[:, None], persistent=False)
        self.register_buffer("fill_value", fill_value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return transformed images (b, c, y, x); flips and crops alone copy pixel values exactly."""
        draws = torch.rand(10, len(x), device=x.device)
        crop = (draws[:2] * (2 * self.crop + 1)).floor() - self.crop
        flip = 1 - 2 * self.flips * (draws[2:4] < 0.5)
        if self.is_pixel_exact:
            return flip_and_crop(x, flip, crop, self.fill, self.fill_value)
        values = (2 * draws[4:] - 1) * self.magnitudes
        rotation, shear, height_shift, width_shift = values[:4]
        shift = torch.stack([height_shift * x.shape[2], width_shift * x.shape[3]])
        return warp(x, affine_matrices(rotation, shear, shift, 1 + values[4:], flip, crop), self.fill, self.fill_value)


def affine_matrices(rotation: Tensor, shear: Tensor, shift: Tensor, zoom: Tensor, flip: Tensor, crop: Tensor) -> Tensor:
    """Return rotation * shift * shear * zoom, in the order of Keras, then flip and crop, as transforms (b, 2, 3).

    Args:
        rotation, shear: (b,), radians.
        shift, crop: (2, b), pixels.
        zoom: (2, b), above 0.
        flip: (2, b), -1 where an axis is mirrored, else 1.
    """
    cos, sin, angle = rotation.cos(), rotation.sin(), rotation + shear
    # a rotation times a shear is (cos r, -sin(r + s); sin r, cos(r + s))
    rotation_shear = torch.stack([torch.stack([cos, -angle.sin()]), torch.stack([sin, angle.cos()])])
    linear = rotation_shear * (zoom * flip)  # (2, 2, b)
    rotated_shift = torch.stack([cos * shift[0] - sin * shift[1], sin * shift[0] + cos * shift[1]])
    offset = rotated_shift + (linear * crop).sum(1)
    return torch.cat([linear, offset[:, None]], dim=1).permute(2, 0, 1)


def warp(x: Tensor, matrices: Tensor, fill: FillMode, fill_value: Tensor) -> Tensor:
    """Return images (b, c, y, x) transformed by `matrices` (b, 2, 3) with linear interpolation.

    fill: as in scipy.ndimage, whose `wrap` treats the first and the last pixel of an axis as the same point.
    """
    height, width = x.shape[2:]
    # grid_sample expects columns first, in units of half a side
    scaled = torch.stack([matrices[:, 1] * (2 / width), matrices[:, 0] * (2 / height)], dim=2)  # (b, 3, 2)
    down, across, start = scaled[:, :, None].unbind(1)  # (b, 1, 2)
    row, column = ((torch.arange(n, device=x.device) - (n - 1) / 2)[:, None] for n in (height, width))
    # positions as complex numbers, because broadcast sums over a last dimension of size 2 are slow
    rows, columns = torch.view_as_complex(row * down + start), torch.view_as_complex(column * across)
    grid = torch.view_as_real(rows[:, :, None] + columns[:, None])  # (b, y, x, 2)
    if fill == "wrap":
        grid = torch.stack(
            [_wrap_positions(axis, n) for axis, n in zip(grid.unbind(-1), (width, height), strict=True)], dim=-1
        )
    mode = "reflection" if fill == "reflect" else "border"
    out = functional.grid_sample(x, grid, padding_mode=mode, align_corners=False)
    if fill == "constant":
        outside_x, outside_y = (_is_outside(axis, n) for axis, n in zip(grid.unbind(-1), (width, height), strict=True))
        out = torch.where((outside_x | outside_y)[:, None], fill_value, out)
    return out


def _is_outside(position: Tensor, length: int) -> Tensor:
    """Return which positions on an axis, in half sides from the center, are outside of its first and last pixel."""
    return position.abs() > (length - 1 + 2 * EDGE_TOLERANCE) / length


def _wrap_positions(position: Tensor, length: int) -> Tensor:
    """Return positions, in half sides from the center, wrapped into the axis, whose first and last pixel coincide."""
    last = (length - 1) / length
    period = max(2 * last, EDGE_TOLERANCE)
    turns = ((position + last) / period).floor()
    return torch.where(_is_outside(position, length), position - turns * period, position)


def flip_and_crop(x: Tensor, flip: Tensor, crop: Tensor, fill: FillMode, fill_value: Tensor) -> Tensor:
    """Return images (b, c, y, x) flipped and cropped by copying pixels; flip and crop as in `affine_matrices`."""
    sources = [_source_indices(*axis) for axis in zip(x.shape[2:], flip, crop, strict=True)]
    rows, columns = (_apply_fill(source, length, fill) for source, length in zip(sources, x.shape[2:], strict=True))
    index = (rows[:, :, None] * x.shape[3] + columns[:, None]).flatten(1)  # (b, y * x)
    out = x.flatten(2).gather(2, index[:, None].expand(-1, x.shape[1], -1)).view(x.shape)
    if fill == "constant":
        outside_y, outside_x = (source != inside for source, inside in zip(sources, (rows, columns), strict=True))
        out = torch.where((outside_y[:, :, None] | outside_x[:, None])[:, None], fill_value, out)
    return out


def _source_indices(length: int, flip: Tensor, crop: Tensor) -> Tensor:
    """Return the input index of each output pixel along an axis, (b, length); it may be outside of the image."""
    start = (1 - flip) * ((length - 1) / 2) + flip * crop  # (b,), index of the first pixel
    return torch.addcmul(start[:, None], flip[:, None], torch.arange(length, device=flip.device)).long()


def _apply_fill(index: Tensor, length: int, fill: FillMode) -> Tensor:
    """Return indices within the image for indices that may be outside."""
    match fill:
        case "reflect":
            index = index.remainder(2 * length)
            index = torch.minimum(index, 2 * length - 1 - index)
        case "wrap":
            is_outside = (index < 0) | (index >= length)
            index = torch.where(is_outside, index.remainder(max(length - 1, 1)), index)
    return index.clamp(0, length - 1)


def random_boxes(area: Tensor, aspect_ratio: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a mask (b, y, x) that is 1 within one random box per image and 0 elsewhere.

    Args:
        area: (b,), area of the box as a fraction of the image; 0 is no box.
        aspect_ratio: (b,), height over width of the box, both as fractions of the image's sides; the box fits into the
            image if it is between area and 1 / area.
        size: height and width of the images in pixels.
    """
    draws = torch.rand(2, len(area), device=area.device)
    sides = ((area * aspect_ratio).sqrt(), (area / aspect_ratio).sqrt())
    rows, columns = (_axis_mask(*axis) for axis in zip(sides, size, draws, strict=True))
    return rows[:, :, None] * columns[:, None]


def _axis_mask(side: Tensor, length: int, position: Tensor) -> Tensor:
    """Return a mask (b, length) that is 1 within an interval of relative length `side` (b,) and 0 elsewhere.

    position: (b,), from 0 for the first possible start to 1 for the last.
    """
    extent = (side * length).round().clamp_max(length)
    start = (position * (length - extent + 1)).floor()
    pixels = torch.arange(length, device=side.device)
    return ((pixels >= start[:, None]) & (pixels < (start + extent)[:, None])).to(side.dtype)


MIN_ASPECT_RATIO = 0.3
"""Minimum ratio of a box's shorter side to its longer one, as in the paper of random erasing."""


class RandomRescale(nn.Module):
    """Multiply the values of each image by one random factor."""

    def __init__(self, params: Augmentation) -> None:
        super().__init__()
        self.max_change = params.intensity_scale

    def forward(self, x: Tensor) -> Tensor:
        """Return augmented images (b, c, y, x)."""
        return x * (1 + self.max_change * (2 * torch.rand(len(x), 1, 1, 1, device=x.device) - 1))


class RandomErasing(nn.Module):
    """Replace a random box of some images by the mean of the image, per channel.

    Source: Zhong et al. 2020. The mean is used instead of noise because it is valid for every `normalize`. The aspect
    ratio is drawn log-uniformly from those that fit into the image, so that each box has the area that was drawn.
    """

    def __init__(self, params: Augmentation) -> None:
        super().__init__()
        self.probability = params.erasing
        self.low, self.high = params.erasing_area

    def forward(self, x: Tensor) -> Tensor:
        """Return augmented images (b, c, y, x)."""
        u_probability, u_area, u_ratio = torch.rand(3, len(x), device=x.device)
        area = self.low + (self.high - self.low) * u_area
        max_log_ratio = (-area.log()).clamp(0, -math.log(MIN_ASPECT_RATIO))
        aspect_ratio = (max_log_ratio * (2 * u_ratio - 1)).exp()
        mask = random_boxes(area * (u_probability < self.probability), aspect_ratio, (x.shape[2], x.shape[3]))
        return torch.lerp(x, x.mean((2, 3), keepdim=True), mask[:, None])
