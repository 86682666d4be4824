"""scikit-learn's digits as two domains: `python make_data.py` writes data/raw/digits_pair.

plain/: every second digit, bright on black. bold/: the others, dark on white, thickened by a pixel each way. No digit
is in both, so nothing is paired; 8x8 grey pixels, 0 to 255.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent / "data/raw/digits_pair"


def bold(images: np.ndarray) -> np.ndarray:
    """Return images (n, y, x) uint8 thickened, each pixel the brightest of itself and its four neighbours, inverted."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    y, x = images.shape[1:]
    moved = [padded[:, down : down + y, right : right + x] for down, right in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))]
    return 255 - np.max(moved, axis=0)


def digits() -> np.ndarray:
    """Return all digits, (n, 8, 8) uint8."""
    return np.round(load_digits().images * (255 / 16)).astype(np.uint8)


def main(folder: Path) -> None:
    """Write each domain's images into a folder of its own."""
    for name, images in {"plain": digits()[::2], "bold": bold(digits()[1::2])}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{i:04}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
