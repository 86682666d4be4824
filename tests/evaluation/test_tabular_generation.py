"""Metrics of generated tables, compared with SciPy, NumPy and values computed by hand."""

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
        Column(name="color", type="categorical", categories=("blue", "red")),
        Column(name="sold", type="boolean"),
    )
    return schema_of((3,), 2).model_copy(update={"columns": columns, "features": ("size", "color", "sold")})


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 8), (300, 200)])
def test_the_wasserstein_distance_agrees_with_scipy(n: int, m: int) -> None:
    x, y = RANDOM.normal(size=n).round(1), RANDOM.normal(1, 2, m).round(1)
    assert wasserstein(x, y) == pytest.approx(stats.wasserstein_distance(x, y))


def test_columns_are_compared_by_distributions_and_correlations() -> None:
    nan = np.nan
    real = np.array([[0.0, 0, 0], [2, 0, 1], [nan, 1, 0], [4, nan, 0]])
    generated = np.array([[1.0, 1, 1], [3, 1, 1], [5, 1, nan], [3, 3, 1]])
    features = (RANDOM.normal(size=(50, 3)), RANDOM.normal(size=(60, 3)))
    scores = column_shapes(schema(), TabularSample(real, features[0]), TabularSample(generated, features[1]))
    distance = stats.wasserstein_distance([0, 2, 4], [1, 3, 5, 3]) / np.std([0, 2, 4])
    assert scores["wasserstein"] == pytest.approx(distance)
    # color: 2 blue, 1 red, 1 missing become 3 red, 1 other; sold: 3 false, 1 true become 3 true, 1 missing
    assert scores["total_variation"] == pytest.approx((2 / 4 + 3 / 4) / 2)
    expected = np.abs(np.corrcoef(features[0].T) - np.corrcoef(features[1].T)).mean()
    assert scores["correlation_difference"] == pytest.approx(expected)


def test_a_constant_feature_has_correlation_zero() -> None:
    x = np.zeros((4, 3))
    assert column_shapes(schema(), TabularSample(x, x), TabularSample(x, x)) == {
        "wasserstein": 0,
        "total_variation": 0,
        "correlation_difference": 0,
    }


def test_copies_and_the_distance_to_the_closest_training_row() -> None:
    x = RANDOM.normal(size=(20, 3))
    train = TabularSample(x, x.astype(np.float32))
    generated = np.concatenate([x[:5], x[:15] + np.array([0.3, 0.4, 0])])
    scores = memorization(TabularSample(generated, generated.astype(np.float32)), train)
    assert scores["exact_copies"] == 0.25
    assert scores["dcr"] == pytest.approx(
        np.median([min(np.linalg.norm(row - other) for other in x) for row in generated]), rel=1e-5
    )


def test_histograms_count_every_row_of_a_column() -> None:
    real = np.column_stack([RANDOM.normal(size=40), np.arange(40) % 2, np.zeros(40)])
    generated = np.column_stack([RANDOM.normal(3, 1, 30), np.ones(30), np.arange(30) % 2])
    table = column_histograms(schema(), real, generated)
    sums = table.groupby("column")[["real", "generated"]].sum()
    assert set(sums.index) == {"size", "color", "sold"}
    np.testing.assert_allclose(sums, 1)
    categories = table[table["column"] == "color"]
    assert categories[["category", "real", "generated"]].to_numpy().tolist() == [["blue", 0.5, 0.0], ["red", 0.5, 1.0]]
