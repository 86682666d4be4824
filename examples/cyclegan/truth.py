"""Compare translations with the true images, which training never used: `python truth.py` after `dvc repro`.

The exported file translates bold digits into plain ones, and every bold digit was a plain one before it was thickened.
Errors are mean absolute differences in units of the pixel range.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from make_data import digits

FOLDER = Path(__file__).parent


def main() -> None:
    """Print the error of translated test images, and of two baselines."""
    x, y, rows = (np.load(FOLDER / f"data/prepared/digits_pair/test/{name}.npy") for name in ("x", "y", "rows"))
    x, truth = x[y == 0], digits()[1::2][rows[y == 0], None].astype(float)  # class 0 is bold, whose rows come first
    session = onnxruntime.InferenceSession(FOLDER / "models/translator/model.onnx", providers=["CPUExecutionProvider"])
    (translated,) = session.run(None, {"x": x})
    for name, images in (
        ("translated", translated),
        ("inverted only", 255.0 - x),
        ("translated, of another digit", np.roll(translated, 1, axis=0)),
    ):
        error = np.abs(images - truth).mean() / 255
        print(f"{name}: {error:.4f} mean absolute error, {len(x)} bold test images")


if __name__ == "__main__":
    main()
