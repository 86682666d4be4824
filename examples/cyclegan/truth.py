"""How near translations are to the truth, which no training saw: after `dvc repro`, `python truth.py`.

The exported file makes plain digits of bold ones, and these were plain once. Told are mean absolute differences, the
range of pixels being 1.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from make_data import digits

HERE = Path(__file__).parent


def main() -> None:
    """Print how far translated test rows are from what they were, and beside it what else is that far."""
    x, y, rows = (np.load(HERE / f"data/prepared/digits_pair/test/{name}.npy") for name in ("x", "y", "rows"))
    x, truth = x[y == 0], digits()[1::2][rows[y == 0], None].astype(float)  # bold digits are the first rows
    session = onnxruntime.InferenceSession(HERE / "models/translator/model.onnx", providers=["CPUExecutionProvider"])
    (made,) = session.run(None, {"x": x})
    for name, images in (
        ("translated", made),
        ("inverted alone", 255.0 - x),
        ("translated, from another digit", np.roll(made, 1, axis=0)),
    ):
        print(f"{name}: {np.abs(images - truth).mean() / 255:.4f} from what {len(x)} bold test rows were")


if __name__ == "__main__":
    main()
