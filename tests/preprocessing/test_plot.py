"""The picture of a selection is drawn for each kind of data and each method, the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fivefold.params.selection import KBest, KeepAll, Pca, Selection
from fivefold.preprocessing.plot import plot_selection
from fivefold.preprocessing.selection import fit_selection

from ..conftest import schema_of

METHODS: list[Selection] = [
    KeepAll(method="none"),
    KBest(method="k_best", score="f", k=2),
    Pca(method="pca", components=2),
]


@pytest.mark.parametrize("params", METHODS, ids=lambda params: params.method)
@pytest.mark.parametrize("shape", [(3,), (20,), (1, 4, 5), (3, 5, 4)])
def test_a_picture_is_drawn_twice_the_same(tmp_path: Path, shape: tuple[int, ...], params: Selection) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, *shape)), np.arange(20) % 2
    x.reshape(20, -1)[:, 0] = 1  # a feature that never changes
    selected = fit_selection(x, y, schema_of(shape, 2), params, 0)
    for name in ("one.png", "two.png"):
        plot_selection(selected, schema_of(shape, 2), "m", tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert imread(tmp_path / "one.png").std() > 0.05
