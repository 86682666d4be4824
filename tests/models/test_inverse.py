"""The inverse of the preprocessing restores raw samples."""

import numpy as np
import pandas as pd
import pytest
import torch

from fivefold.config.datasets import MissingValues, Series
from fivefold.config.splits import TimeSplit
from fivefold.data.dataset import Array
from fivefold.errors import ParamsError
from fivefold.models.inverse import InversePreprocess
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.scaling import fit_scaling

from ..conftest import images_block, schema_and_rows, schema_of, table_block


def invert(pipeline: Pipeline, x: Array, *, images: bool = False) -> Array:
    features = pipeline(x)
    if any(step.kind == "mask" for step in pipeline.steps):
        features = features[..., :-1]
    inverse = InversePreprocess(pipeline, is_image=images)
    return np.asarray(inverse(torch.from_numpy(features)).numpy())


@pytest.mark.parametrize("normalize", ["standard", "minmax", "robust", "none"])
def test_numeric_features_are_restored(normalize: str) -> None:
    x = np.random.default_rng(0).normal(50, 10, (40, 5))
    pipeline = fit_scaling(x, schema_of((5,)), table_block(normalize=normalize))
    np.testing.assert_allclose(invert(pipeline, x), x, rtol=1e-5)


def test_categories_and_flags_are_restored_and_missing_values_finite(tmp_path: object) -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "colour": random.choice(["red", "green", "blue"], 60),
            "size": random.normal(3, 1, 60),
            "sold": random.random(60) < 0.5,
            "shop": random.choice(["north", "south"], 60),
            "y": random.normal(size=60),
        }
    )
    frame.loc[::7, "size"] = np.nan
    path = f"{tmp_path}/a.csv"
    frame.to_csv(path, index=False)
    block = table_block(path, task="regression", missing=MissingValues(add_indicator=True), clip=5.0)
    schema, records = schema_and_rows(block)
    restored = invert(fit_scaling(records.x, schema, block), records.x)
    known = ~np.isnan(records.x)
    np.testing.assert_allclose(restored[known], records.x[known], rtol=1e-5, atol=1e-6)
    assert np.isfinite(restored).all()


@pytest.mark.parametrize("normalize", ["standard", "minmax", "none"])
def test_pixels_are_restored_and_clamped(normalize: str) -> None:
    x = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 5), dtype=np.uint8)
    pipeline = fit_scaling(x, schema_of((3, 4, 5), 2), images_block(normalize=normalize))
    restored = invert(pipeline, x, images=True)
    np.testing.assert_allclose(restored, x, atol=1e-3)
    clamped = InversePreprocess(pipeline, is_image=True)(torch.full((1, 3, 4, 5), 1e4))
    assert (clamped == 255).all()


def test_logarithms_are_inverted() -> None:
    x = np.exp(np.random.default_rng(0).normal(size=(30, 4, 2)))
    schema = schema_of((4, 2)).model_copy(update={"kind": "series", "features": ("a", "b")})
    block = Series(
        kind="series",
        source="a.csv",
        task="forecasting",
        time="t",
        targets=("a",),
        exogenous=("b",),
        window=4,
        log_target=True,
        split=TimeSplit(validation=2, test=2, by="time"),
        normalize="standard",
    )
    np.testing.assert_allclose(invert(fit_scaling(x, schema, block), x), x, rtol=1e-5)


@pytest.mark.parametrize(
    ("step", "key"), [(Step("unit_norm", {}), "normalize: l2"), (Step("take", {"index": np.array([0])}), "select")]
)
def test_steps_without_an_inverse_are_rejected(step: Step, key: str) -> None:
    with pytest.raises(
        ParamsError, match=rf"preprocessing must be invertible to output raw units, but {key} is not; choose"
    ):
        InversePreprocess(Pipeline("float64", (step,)), is_image=False)
