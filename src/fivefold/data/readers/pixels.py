"""Decoded images as arrays: their channels, their size, many as one.

Shapes: n images, h x w pixels, c channels.

How much of a source may be held: what it becomes is copied once more while rows are divided.
"""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from ...errors import DataError
from ..dataset import Array
from ..schema import CheckResult


def to_standard_mode(image: Image.Image) -> Image.Image:
    """Return an image as grey, RGB or RGBA of 8 bits a channel, or grey of mode I if it has 16."""
    if image.mode.startswith("I"):
        return image.convert("I")
    if "A" in image.getbands() or "transparency" in image.info:
        return image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def convert_channels(pixels: Array, channels: str | int) -> Array:
    """Convert (n, h, w, c) to other channels: grey by the weights of ITU-R 601, opaque where alpha lacks."""
    have = pixels.shape[-1]
    if channels in ("auto", have):
        return pixels
    if channels == 1:
        grey = pixels[..., :3].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        return np.round(grey).astype(np.uint8)[..., None]
    colour = np.repeat(pixels, 3, axis=-1) if have == 1 else pixels[..., :3]
    if channels == 3:
        return colour
    return np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=-1)


def to_uint8(images: list[Array]) -> tuple[list[Array], tuple[CheckResult, ...]]:
    """Return images as uint8, and what is to be said of it.

    Those of 16 bits are all divided by the power of two that brings the largest value below 256: what cameras and
    scanners of 12 bits write would be black if the upper 8 bits were taken.
    """
    wide = [image for image in images if image.dtype != np.uint8]
    if not wide:
        return images, ()
    largest = max(int(image.max()) for image in wide)
    lost = max(largest.bit_length() - 8, 0)
    text = (
        f"{len(wide)} images have 16 bits a pixel, values up to {largest}: divided by {2**lost}, since 8 bits are read"
    )
    narrow = [image if image.dtype == np.uint8 else (image >> lost).astype(np.uint8) for image in images]
    return narrow, (CheckResult(rule="truncated", level="note", message=text),)


def resize_images(pixels: Array, size: tuple[int, int]) -> Array:
    """Return images (n, h, w, c) uint8 of another height and width."""
    out = np.empty((len(pixels), *size, pixels.shape[-1]), np.uint8)
    for place, image in zip(out, pixels, strict=True):
        flat = Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)
        fitted = np.asarray(flat.resize((size[1], size[0]), Image.Resampling.BILINEAR))
        place[...] = fitted.reshape(place.shape)
    return out


def stack_images(images: list[Array], source: Path) -> Array:
    """Return (n, h, w, c); c is the most that an image has: grey becomes RGB, RGB opaque RGBA."""
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        raise DataError(
            f"{source}: images must have one size, but have {len(sizes)}, from {small[0]}x{small[1]} to"
            f" {large[0]}x{large[1]}; set `size: [height, width]` to resize them"
        )
    channels = max(image.shape[2] for image in images)
    height, width = sizes.pop()
    out = np.full((len(images), height, width, channels), 255, np.uint8)
    for place, image in zip(out, images, strict=True):
        place[:, :, : min(channels, max(3, image.shape[2]))] = image
    return out


MAX_MEMORY_SHARE = 0.25
"""Share of this machine's memory that one array may take."""


def require_memory(size: int, description: str, remedy: str) -> None:
    """Refuse arrays of more bytes than memory has room for, before they are made.

    Raises:
        DataError: they are too large; `what` would be, `remedy` helps.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > MAX_MEMORY_SHARE * memory:
        raise DataError(
            f"{description} must fit into a quarter of memory, {MAX_MEMORY_SHARE * memory / 1e9:.1f} GB, but would take"
            f" {size / 1e9:.1f} GB; {remedy}"
        )
