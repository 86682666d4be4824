"""The examples split their data as their READMEs state, and naive errors are those of the raw files."""

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import generate_binary_structure, grey_dilation
from sklearn.datasets import load_digits

from fivefold.config.loading import load_params
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare
from fivefold.dvc import ROOT, examples
from fivefold.evaluation.metrics import naive_scores

N_ROWS = {
    ("digits", "digits"): (1797, 270),
    ("forecasting", "airline"): (144 - 14, 24),
    ("forecasting", "sunspots"): (309 - 9, 60),
    ("language", "northanger_abbey"): (433_410 - 128, 43_341),
    ("tables", "breast_cancer"): (569, 86),
    ("tables", "concrete"): (1030, 155),
    ("tables", "digits"): (1797, 270),
    ("tables", "penguins"): (344, 52),
}
"""By example and dataset: the number of rows (windows of a series), and of test rows."""
EXTERNAL = {
    ("cyclegan", "digits_pair"),
    ("fashion_mnist", "fashion_mnist"),
    ("fashion_mnist_gpu", "fashion_mnist"),
    ("reviews", "fine_foods"),
    ("ucr", "italy_power"),
    ("ucr", "osu_leaf"),
    ("ucr", "pickup_gesture"),
}
"""Datasets whose files are not part of the project."""


def load_example(example: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(ROOT / "examples" / example)
    params = load_params(Path("params.yaml"))
    return prepare(params.dataset(name), params.seed)[0]


def test_every_dataset_of_every_example_is_listed() -> None:
    datasets = {(path.parent.name, name) for path in examples(ROOT) for name in load_params(path).datasets}
    assert datasets == {*N_ROWS, *EXTERNAL}


@pytest.mark.parametrize(("example", "name"), N_ROWS, ids="/".join)
def test_split_sizes_are_those_of_the_readme(example: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = load_example(example, name, monkeypatch).splits()
    assert (sum(map(len, splits.values())), len(splits["test"])) == N_ROWS[example, name]


@pytest.mark.parametrize(("name", "column", "season"), [("airline", "Passengers", 12), ("sunspots", "SUNACTIVITY", 11)])
def test_naive_errors_are_those_of_the_raw_file(
    name: str, column: str, season: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_example("forecasting", name, monkeypatch)
    raw = pd.read_csv(f"data/raw/{name}.csv")[column].to_numpy(float)
    test_steps = np.arange(len(raw))[-len(dataset.test) :]
    assert naive_scores(dataset.schema, dataset.test) == pytest.approx(
        {
            f"{forecast}_rmse": np.sqrt(np.mean((raw[test_steps] - raw[test_steps - lag]) ** 2))
            for forecast, lag in (("naive", 1), ("seasonal_naive", season))
        }
    )


def test_domains_of_digits_are_disjoint(tmp_path: Path) -> None:
    folder = ROOT / "examples/cyclegan"
    runpy.run_path(str(folder / "make_data.py"))["main"](tmp_path)
    block = load_params(folder / "params.yaml").dataset("digits_pair")
    dataset, _ = prepare(block.model_copy(update={"source": str(tmp_path)}), seed=42)
    splits = dataset.splits().values()
    assert (sum(map(len, splits)), len(dataset.test)) == (898 + 899, 270)
    assert dataset.schema.classes == ("bold", "plain")
    digits = np.round(load_digits().images * 255 / 16)
    cross = generate_binary_structure(2, 1)
    thick = np.stack([255 - grey_dilation(digit, footprint=cross, mode="constant") for digit in digits[1::2]])
    for label, expected in enumerate((thick, digits[::2])):
        images = np.concatenate([split.x[split.y == label, 0] for split in splits])
        assert sorted(image.tobytes() for image in images) == sorted(x.tobytes() for x in expected.astype(np.uint8))
