"""Write scikit-learn's digits as two domains of images into data/raw/digits_pair: `python make_data.py`.

plain/: every second digit, bright on black. bold/: the others, dark on white, thickened by one pixel in each direction.
No digit is in both domains, so there are no pairs; 8x8 gray pixels, 0 to 255.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parent / "data/raw/digits_pair"


def main(folder: Path) -> None:
    """Write the images of each domain into a subfolder of `folder`."""
    for name, images in {"plain": digits()[::2], "bold": bold(digits()[1::2])}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            Image.fromarray(image).save(folder / name / f"{i:04}.png")


def digits() -> np.ndarray:
    """Return all digits, (n, 8, 8) uint8."""
    return np.round(load_digits().images * (255 / 16)).astype(np.uint8)


def bold(images: np.ndarray) -> np.ndarray:
    """Return images (n, y, x) uint8 thickened and inverted: each pixel is the maximum of itself and its 4 neighbors."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    y, x = images.shape[1:]
    shifted = [padded[:, row : row + y, col : col + x] for row, col in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))]
    return 255 - np.max(shifted, axis=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
