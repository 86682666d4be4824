"""How far apart columns and their pairs are, and what was learnt by heart: against SciPy, NumPy and sums by hand."""

import numpy as np
import pytest
from scipy import stats

from fivefold.data.schema import Column, Schema
from fivefold.evaluation.generation.tabular import (
    TabularSample,
    column_histograms,
    column_shapes,
    memorization,
    wasserstein,
)

from ..conftest import schema_of

RANDOM = np.random.default_rng(0)


def schema() -> Schema:
    columns = (
        Column(name="size", type="numeric"),
        Column(name="colour", type="categorical", categories=("blue", "red")),
        Column(name="sold", type="boolean"),
    )
    return schema_of((3,), 2).model_copy(update={"columns": columns, "features": ("size", "colour", "sold")})


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 8), (300, 200)])
def test_a_distance_of_distributions_is_scipys(n: int, m: int) -> None:
    x, y = RANDOM.normal(size=n).round(1), RANDOM.normal(1, 2, m).round(1)
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y))


def test_columns_are_compared_by_deviations_shares_and_correlations() -> None:
    nan = np.nan
    real = np.array([[0.0, 0, 0], [2, 0, 1], [nan, 1, 0], [4, nan, 0]])
    made = np.array([[1.0, 1, 1], [3, 1, 1], [5, 1, nan], [3, 3, 1]])
    features = (RANDOM.normal(size=(50, 3)), RANDOM.normal(size=(60, 3)))
    found = column_shapes(schema(), TabularSample(real, features[0]), TabularSample(made, features[1]))
    size = stats.wasserstein_distance([0, 2, 4], [1, 3, 5, 3]) / np.std([0, 2, 4])
    # colour: blue 2, red 1, missing 1 of 4 to red 3, missing 1; sold: false 3, true 1 to true 3, missing 1
    assert found["wasserstein"] == pytest.approx(size)
    assert found["variation"] == pytest.approx((2 / 4 + 3 / 4) / 2)
    expected = np.abs(np.corrcoef(features[0].T) - np.corrcoef(features[1].T)).mean()
    assert found["correlation"] == pytest.approx(expected)


def test_a_feature_that_never_changes_is_correlated_with_nothing() -> None:
    x = np.zeros((4, 3))
    assert column_shapes(schema(), TabularSample(x, x), TabularSample(x, x)) == {
        "wasserstein": 0,
        "variation": 0,
        "correlation": 0,
    }


def test_rows_that_were_learnt_by_heart_are_seen() -> None:
    x = RANDOM.normal(size=(20, 3))
    train = TabularSample(x, x.astype(np.float32))
    made = np.concatenate([x[:5], x[:15] + np.array([0.3, 0.4, 0])])
    found = memorization(TabularSample(made, made.astype(np.float32)), train)
    assert found["copies"] == 0.25
    assert found["nearest"] == pytest.approx(
        np.median([min(np.linalg.norm(row - other) for other in x) for row in made]), rel=1e-5
    )


def test_histograms_count_every_row_of_a_column() -> None:
    real = np.column_stack([RANDOM.normal(size=40), np.arange(40) % 2, np.zeros(40)])
    made = np.column_stack([RANDOM.normal(3, 1, 30), np.ones(30), np.arange(30) % 2])
    table = column_histograms(schema(), real, made)
    sums = table.groupby("column")[["real", "made"]].sum()
    assert set(sums.index) == {"size", "colour", "sold"}
    np.testing.assert_allclose(sums, 1)
    words = table[table["column"] == "colour"]
    assert words[["word", "real", "made"]].to_numpy().tolist() == [["blue", 0.5, 0.0], ["red", 0.5, 1.0]]
