"""Convert decoded images to arrays: channels, size, stacking, and a limit on memory.

Shapes: n images, h x w pixels, c channels.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from ..dataset import Array
from ..schema import CheckResult


def to_standard_mode(image: Image.Image) -> Image.Image:
    """Return an image as grayscale, RGB or RGBA with 8 bits per channel, or as mode I if it has 16 bits."""
    if image.mode.startswith("I"):
        return image.convert("I")
    if "A" in image.getbands() or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def convert_channels(pixels: Array, channels: str | int) -> Array:
    """Return pixels (n, h, w, c) with other channels: gray by the weights of ITU-R 601, opaque if alpha is added."""
    current = pixels.shape[-1]
    if channels in ("auto", current):
        return pixels
    if channels == 1:
        gray = pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        return np.round(gray).astype(np.uint8)[..., None]
    color = np.repeat(pixels, 3, axis=-1) if current == 1 else pixels[..., :3]
    if channels == 3:
        return color
    return np.concatenate([color, np.full_like(color[..., :1], 255)], axis=-1)


def to_uint8(images: list[Array]) -> tuple[list[Array], tuple[CheckResult, ...]]:
    """Return images as uint8, and check results.

    All 16-bit images are divided by the power of two that brings their largest value below 256: images of 12-bit
    cameras and scanners would be black if only the upper 8 bits were used.
    """
    wide = [image for image in images if image.dtype != np.uint8]
    if not wide:
        return images, ()
    largest = max(int(image.max()) for image in wide)
    dropped_bits = max(largest.bit_length() - 8, 0)
    text = (
        f"{len(wide)} images have 16 bits per pixel, values up to {largest}: divided by {2**dropped_bits} to convert"
        " to 8 bits"
    )
    narrow = [image if image.dtype == np.uint8 else (image >> dropped_bits).astype(np.uint8) for image in images]
    return narrow, (CheckResult(rule="truncated", level="note", message=text),)


def resize_images(pixels: Array, size: tuple[int, int]) -> Array:
    """Return images (n, h, w, c) uint8 resized to another height and width."""
    out = np.empty((len(pixels), *size, pixels.shape[-1]), np.uint8)
    for row, image in zip(out, pixels, strict=True):
        pil_image = Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)
        resized = np.asarray(pil_image.resize((size[1], size[0]), Image.Resampling.BILINEAR))
        row[...] = resized.reshape(row.shape)
    return out


def stack_images(images: list[Array], source: Path) -> Array:
    """Return (n, h, w, c), where c is the maximum of all images: gray is converted to RGB, RGB to opaque RGBA."""
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        raise DataError(
            f"{source}: images must have the same size, but have {len(sizes)} sizes, from {small[0]}x{small[1]} to"
            f" {large[0]}x{large[1]}; set `size: [height, width]` to resize them"
        )
    channels = max(image.shape[2] for image in images)
    height, width = sizes.pop()
    out = np.full((len(images), height, width, channels), 255, np.uint8)
    for row, image in zip(out, images, strict=True):
        row[:, :, : min(channels, max(3, image.shape[2]))] = image
    return out


MAX_MEMORY_SHARE = 0.25
"""Share of the machine's memory that one array may use; it is copied once more when rows are split."""


def require_memory(size: int, description: str, remedy: str) -> None:
    """Raise a `DataError` if an array of `size` bytes does not fit into memory, before it is allocated.

    Args:
        description: what would be too large, the subject of the message.
        remedy: how to reduce it.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > MAX_MEMORY_SHARE * memory:
        raise DataError(
            f"{description} must fit into a quarter of the memory, {MAX_MEMORY_SHARE * memory / 1e9:.1f} GB, but need"
            f" {size / 1e9:.1f} GB; {remedy}"
        )
