"""Data bundled with scikit-learn, named by a .sklearn file.

DVC tracks files: a small text file that names the data gives bundled data a place in the pipeline like any other's.
Its first line that is neither empty nor a comment is one of `BUNDLED`.
"""

from pathlib import Path
from typing import Any

from sklearn import datasets

from ..errors import DataError

BUNDLED = {
    "breast_cancer": (datasets.load_breast_cancer, "diagnosis"),
    "wine": (datasets.load_wine, "cultivar"),
    "iris": (datasets.load_iris, "species"),
    "diabetes": (datasets.load_diabetes, "progression"),
    "digits": (datasets.load_digits, "digit"),
}
"""Name -> loader, and the name that the target column gets."""


def load_bundled(path: Path) -> tuple[Any, str]:
    """Return scikit-learn's `Bunch` that `path` names, and the name of its target column."""
    lines = (line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
    name = next((line for line in lines if line and not line.startswith("#")), "")
    if name not in BUNDLED:
        raise DataError(f"{path} must name one of {', '.join(BUNDLED)}, but names {name!r}; mend that line")
    loader, target = BUNDLED[name]
    # unscaled where scikit-learn offers it: scaling is the pipeline's business
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    return bunch, target
