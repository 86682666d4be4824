"""The examples divide their data as their READMEs say, and naive errors are those of the raw files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fivefold.data.prepared import prepare
from fivefold.data.records import Dataset
from fivefold.params.load import load_params
from fivefold.scoring.metrics import naive_scores
from fivefold.wiring import ROOT, examples

ROWS = {
    ("forecasting", "airline"): (144 - 14, 24),
    ("forecasting", "sunspots"): (309 - 9, 60),
    ("language", "northanger_abbey"): (433_410 - 128, 43_341),
    ("tables", "breast_cancer"): (569, 86),
    ("tables", "concrete"): (1030, 155),
    ("tables", "digits"): (1797, 270),
    ("tables", "penguins"): (344, 52),
}
"""Of each dataset: all rows, of a series windows, and test rows."""
ELSEWHERE = {
    ("fashion_mnist", "fashion_mnist"),
    ("fashion_mnist_gpu", "fashion_mnist"),
    ("reviews", "fine_foods"),
    ("ucr", "italy_power"),
    ("ucr", "osu_leaf"),
    ("ucr", "pickup_gesture"),
}
"""Those whose files are no part of the project."""


def prepared(example: str, name: str, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(ROOT / "examples" / example)
    params = load_params(Path("params.yaml"))
    return prepare(params.dataset(name), params.seed)[0]


def test_every_example_is_found_and_every_dataset_of_them_tested() -> None:
    found = {(path.parent.name, name) for path in examples(ROOT) for name in load_params(path).datasets}
    assert found == {*ROWS, *ELSEWHERE}


@pytest.mark.parametrize(("example", "name"), ROWS, ids="/".join)
def test_it_is_divided_as_its_readme_says(example: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = prepared(example, name, monkeypatch).splits()
    assert (sum(map(len, sets.values())), len(sets["test"])) == ROWS[example, name]


@pytest.mark.parametrize(("name", "column", "season"), [("airline", "Passengers", 12), ("sunspots", "SUNACTIVITY", 11)])
def test_naive_errors_are_those_of_the_raw_file(
    name: str, column: str, season: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = prepared("forecasting", name, monkeypatch)
    raw = pd.read_csv(f"data/raw/{name}.csv")[column].to_numpy(float)
    tested = np.arange(len(raw))[-len(dataset.test) :]
    assert naive_scores(dataset.schema, dataset.test) == pytest.approx(
        {
            f"{forecast}_rmse": np.sqrt(np.mean((raw[tested] - raw[tested - back]) ** 2))
            for forecast, back in (("persistence", 1), ("seasonal", season))
        }
    )
