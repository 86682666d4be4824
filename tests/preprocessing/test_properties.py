"""Properties of preprocessing for arbitrary rows and pipelines."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fivefold.config.datasets import MissingValues
from fivefold.config.training import AutoLoss
from fivefold.data.columns import types
from fivefold.data.dataset import Array, Split
from fivefold.data.schema import Schema
from fivefold.models.inference import Preprocess
from fivefold.models.serialization import build_supervised_head
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.objectives import TargetScaler

from ..conftest import schema_of, table_block

FINITE = st.floats(-1e6, 1e6, width=32)
SHAPES = st.tuples(st.integers(2, 12), st.integers(1, 5))


def tables(missing: bool = False) -> st.SearchStrategy[Array]:
    """Tables (n, f) of finite numbers, and missing values if `missing`."""
    cells = st.one_of(FINITE, st.just(np.nan)) if missing else FINITE
    return SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=cells))


def vector(draw: st.DrawFn, n: int, low: float, high: float) -> Array:
    return draw(arrays.arrays(np.float64, n, elements=st.floats(low, high, width=32)))


class TestScaling:
    @given(tables(), st.sampled_from(["standard", "minmax", "robust"]))
    def test_scaling_is_invertible(self, x: Array, normalize: str) -> None:
        pipeline = fit_scaling(x, schema_of(x.shape[1:]), table_block(normalize=normalize))
        affine = next(step for step in pipeline.steps if step.kind == "affine").arrays
        back = pipeline(x) / affine["scale"] + affine["shift"]
        size = np.maximum(1 / affine["scale"] * np.abs(pipeline(x)).max(axis=0), np.abs(x).max(axis=0))
        assert (np.abs(back - x) <= 1e-6 * size + 1e-12).all()

    @given(tables(missing=True), st.sampled_from(["standard", "minmax", "robust", "l2", "none"]), st.booleans())
    def test_features_are_finite_for_any_missing_values(self, x: Array, normalize: str, indicator: bool) -> None:
        block = table_block(normalize=normalize, missing=MissingValues(add_indicator=indicator), clip=3.0)
        pipeline = fit_scaling(x, schema_of(x.shape[1:]), block)
        assert np.isfinite(pipeline(x)).all()
        assert np.isfinite(pipeline(np.full_like(x, np.nan))).all()
        assert pipeline.output_shape(x.shape[1:]) == pipeline(x).shape[1:] == (len(pipeline.feature_names),)

    @given(SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(-1e9, 1e9))))
    def test_target_scaling_is_invertible(self, y: Array) -> None:
        schema = schema_of((1,)).model_copy(update={"values": tuple(f"y{i}" for i in range(y.shape[1]))})
        records = Split(y, y, np.arange(len(y)))
        targets = TargetScaler.fit(schema, records)
        with torch.no_grad():
            output = build_supervised_head(schema, AutoLoss(name="auto"), targets.shift, targets.scale)
            back = output(targets(records), torch.from_numpy(y)).numpy()
        spread = np.abs(y - targets.shift).max(axis=0)
        assert (np.abs(back - y) <= 1e-6 * (spread + targets.scale) + 1e-6).all()


STRINGS = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)), min_size=2)


class TestCategories:
    @staticmethod
    def encoded(cells: list[str | None], rare: float = 0.0) -> tuple[Schema, Array]:
        cells, _ = types.parse_cells(pd.Series(cells, dtype=object, name="a"), "categorical")
        column = types.fit_column("a", "categorical", cells, min_frequency=rare)
        schema = schema_of((1,)).model_copy(update={"columns": (column,)})
        return schema, types.encode_column(cells, column)

    @given(STRINGS)
    def test_the_one_hot_column_of_a_row_is_its_category(self, cells: list[str | None]) -> None:
        schema, x = self.encoded(cells)
        pipeline = fit_scaling(x, schema, table_block())
        one_hot = pipeline(x)
        assert (one_hot.sum(axis=1) == 1).all()
        decoded = [pipeline.feature_names[i].removeprefix("a=") for i in one_hot.argmax(axis=1)]
        assert decoded == ["missing" if cell is None else cell for cell in cells]

    @given(STRINGS, st.floats(0, 0.9))
    def test_every_row_has_one_active_column_with_merged_categories(self, cells: list[str | None], rare: float) -> None:
        schema, x = self.encoded(cells, rare)
        assert (fit_scaling(x, schema, table_block())(x).sum(axis=1) == 1).all()

    @given(st.lists(st.sampled_from(["low", "Medium", " HIGH ", None, "NA"]), min_size=1))
    def test_a_rank_is_the_index_of_its_category(self, cells: list[str | None]) -> None:
        categories = ("low", "medium", "high")
        ranks, bad = types.parse_cells(pd.Series(cells, dtype=object), "ordinal", categories)
        assert not len(bad)
        decoded = [None if np.isnan(rank) else categories[int(rank)] for rank in ranks]
        assert decoded == [None if cell in (None, "NA") else cell.strip().lower() for cell in cells]


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[Pipeline, Array]:
    """A pipeline of one to six random steps, and a table for it."""
    x = draw(tables(missing=True))
    width, missing = x.shape[1], True
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(
            st.sampled_from(
                ["missing_indicator", "impute", "clip", "affine", "one_hot", "unit_norm", "take", "project"]
            )
        )
        if missing and kind in ("unit_norm", "project", "one_hot"):
            kind = "impute"  # as in every fitted pipeline
        index_lists = st.lists(st.integers(0, width - 1), min_size=1, max_size=4)
        match kind:
            case "missing_indicator":
                index = np.array(draw(index_lists))
                steps.append(Step(kind, {"index": index}))
                width += len(index)
            case "impute":
                steps.append(Step(kind, {"fill": vector(draw, width, -10, 10)}))
                missing = False
            case "clip":
                low = vector(draw, width, -100, 0)
                free = draw(arrays.arrays(bool, width))
                steps.append(
                    Step(kind, {"low": np.where(free, -np.inf, low), "high": np.where(free, np.inf, low + 50)})
                )
            case "affine":
                steps.append(Step(kind, {"shift": vector(draw, width, -9, 9), "scale": vector(draw, width, 0.5, 2)}))
            case "one_hot":
                keep, column = np.array(draw(index_lists)), np.array(draw(index_lists))
                code = draw(arrays.arrays(np.float64, len(column), elements=st.integers(-2, 2)))
                steps.append(Step(kind, {"keep": keep, "column": column, "code": code}))
                width = len(keep) + len(column)
            case "unit_norm":
                steps.append(Step(kind, {}))
            case "take":
                index = np.array(draw(index_lists))
                steps.append(Step(kind, {"index": index}))
                width = len(index)
            case "project":
                k = draw(st.integers(1, 3))
                matrix = vector(draw, width * k, -1, 1).reshape(width, k)
                steps.append(Step(kind, {"shift": vector(draw, width, -9, 9), "matrix": matrix}))
                width = k
    return Pipeline("float64", ()).with_steps(*steps), x


def assert_close(actual: Array, expected: Array) -> None:
    largest = np.abs(np.nan_to_num(actual)).max(initial=1)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6 * largest)


class TestEquivalence:
    @given(pipelines())
    def test_pytorch_and_numpy_compute_the_same(self, case: tuple[Pipeline, Array]) -> None:
        pipeline, x = case
        output = Preprocess(pipeline)(torch.from_numpy(x)).numpy()
        assert output.dtype == np.float32
        assert output.shape[1:] == pipeline.output_shape(x.shape[1:])
        assert_close(output, pipeline(x))

    @given(pipelines())
    def test_a_loaded_pipeline_computes_the_same(self, case: tuple[Pipeline, Array]) -> None:
        pipeline, x = case
        with TemporaryDirectory() as folder:
            pipeline.save(Path(folder) / "pipeline.safetensors")
            np.testing.assert_array_equal(Pipeline.load(Path(folder) / "pipeline.safetensors")(x), pipeline(x))

    @given(
        arrays.arrays(
            np.float64,
            arrays.array_shapes(min_dims=3, max_dims=3, max_side=5),
            elements=st.one_of(FINITE, st.sampled_from([np.nan, np.inf, -np.inf])),
        )
    )
    def test_pytorch_and_numpy_mask_the_same_steps(self, x: Array) -> None:
        pipeline = Pipeline("float64", ()).with_steps(Step("mask", {}))
        masked = pipeline(x)
        np.testing.assert_array_equal(Preprocess(pipeline)(torch.from_numpy(x)).numpy(), masked)
        np.testing.assert_array_equal(masked[..., -1], ~np.isnan(x).all(axis=-1))
        assert not np.isnan(masked).any()
