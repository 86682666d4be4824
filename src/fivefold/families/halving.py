"""Sizes of an image that layers halve, one after the other."""

from ..errors import ParamsError


def halvings(image: tuple[int, ...], layers: int, *, up: bool = False) -> list[tuple[int, int]]:
    """Return height and width of an image (c, y, x) before the first layer, and after each, rounded up or down.

    Raises:
        ParamsError: an image of one pixel would be halved.
    """
    found = [(image[1], image[2])]
    for count in range(layers):
        y, x = found[-1]
        if min(y, x) < 2:
            raise ParamsError(
                f"network.hidden may hold {count} layers for images of {image[1]}x{image[2]} pixels, since each halves"
                f" them, but holds {layers}; shorten it"
            )
        found.append(((y + up) // 2, (x + up) // 2))
    return found
