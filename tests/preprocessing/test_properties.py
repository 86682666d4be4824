"""What holds of preprocessing for any rows and any chain."""

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


def tables(gaps: bool = False) -> st.SearchStrategy[Array]:
    """Tables (n, f) of finite numbers, some with gaps."""
    cells = st.one_of(FINITE, st.just(np.nan)) if gaps else FINITE
    return SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=cells))


def vector(draw: st.DrawFn, n: int, low: float, high: float) -> Array:
    return draw(arrays.arrays(np.float64, n, elements=st.floats(low, high, width=32)))


class TestScaling:
    @given(tables(), st.sampled_from(["standard", "minmax", "robust"]))
    def test_what_was_scaled_can_be_scaled_back(self, x: Array, normalize: str) -> None:
        chain = fit_scaling(x, schema_of(x.shape[1:]), table_block(normalize=normalize))
        affine = next(step for step in chain.steps if step.kind == "affine").arrays
        back = chain(x) / affine["scale"] + affine["shift"]
        size = np.maximum(1 / affine["scale"] * np.abs(chain(x)).max(axis=0), np.abs(x).max(axis=0))
        assert (np.abs(back - x) <= 1e-6 * size + 1e-12).all()

    @given(tables(gaps=True), st.sampled_from(["standard", "minmax", "robust", "l2", "none"]), st.booleans())
    def test_features_are_finite_whatever_is_missing(self, x: Array, normalize: str, indicator: bool) -> None:
        block = table_block(normalize=normalize, missing=MissingValues(add_indicator=indicator), clip=3.0)
        chain = fit_scaling(x, schema_of(x.shape[1:]), block)
        assert np.isfinite(chain(x)).all()
        assert np.isfinite(chain(np.full_like(x, np.nan))).all()
        assert chain.output_shape(x.shape[1:]) == chain(x).shape[1:] == (len(chain.feature_names),)

    @given(SHAPES.flatmap(lambda shape: arrays.arrays(np.float64, shape, elements=st.floats(-1e9, 1e9))))
    def test_a_target_comes_back_in_its_own_unit(self, y: Array) -> None:
        schema = schema_of((1,)).model_copy(update={"values": tuple(f"y{i}" for i in range(y.shape[1]))})
        records = Split(y, y, np.arange(len(y)))
        targets = TargetScaler.fit(schema, records)
        with torch.no_grad():
            output = build_supervised_head(schema, AutoLoss(name="auto"), targets.shift, targets.scale)
            back = output(targets(records), torch.from_numpy(y)).numpy()
        spread = np.abs(y - targets.shift).max(axis=0)
        assert (np.abs(back - y) <= 1e-6 * (spread + targets.scale) + 1e-6).all()


WORDS = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), min_size=1, max_size=4)), min_size=2)


class TestCategories:
    @staticmethod
    def encoded(words: list[str | None], rare: float = 0.0) -> tuple[Schema, Array]:
        cells, _ = types.parse_cells(pd.Series(words, dtype=object, name="a"), "categorical")
        column = types.fit_column("a", "categorical", cells, min_frequency=rare)
        schema = schema_of((1,)).model_copy(update={"columns": (column,)})
        return schema, types.encode_column(cells, column)

    @given(WORDS)
    def test_a_row_s_one_column_names_its_category(self, words: list[str | None]) -> None:
        schema, x = self.encoded(words)
        chain = fit_scaling(x, schema, table_block())
        hot = chain(x)
        assert (hot.sum(axis=1) == 1).all()
        found = [chain.feature_names[i].removeprefix("a=") for i in hot.argmax(axis=1)]
        assert found == ["missing" if word is None else word for word in words]

    @given(WORDS, st.floats(0, 0.9))
    def test_every_row_has_one_column_however_many_are_merged(self, words: list[str | None], rare: float) -> None:
        schema, x = self.encoded(words, rare)
        assert (fit_scaling(x, schema, table_block())(x).sum(axis=1) == 1).all()

    @given(st.lists(st.sampled_from(["low", "Medium", " HIGH ", None, "NA"]), min_size=1))
    def test_a_rank_names_its_word(self, words: list[str | None]) -> None:
        order = ("low", "medium", "high")
        ranks, bad = types.parse_cells(pd.Series(words, dtype=object), "ordinal", order)
        assert not len(bad)
        found = [None if np.isnan(rank) else order[int(rank)] for rank in ranks]
        assert found == [None if word in (None, "NA") else word.strip().lower() for word in words]


@st.composite
def chains(draw: st.DrawFn) -> tuple[Pipeline, Array]:
    """A chain of one to six random steps, and a table that it takes."""
    x = draw(tables(gaps=True))
    width, gaps = x.shape[1], True
    steps = []
    for _ in range(draw(st.integers(1, 6))):
        kind = draw(
            st.sampled_from(
                ["missing_indicator", "impute", "clip", "affine", "one_hot", "unit_norm", "take", "project"]
            )
        )
        if gaps and kind in ("unit_norm", "project", "one_hot"):
            kind = "impute"  # as in every chain that is fitted
        some = st.lists(st.integers(0, width - 1), min_size=1, max_size=4)
        match kind:
            case "missing_indicator":
                index = np.array(draw(some))
                steps.append(Step(kind, {"index": index}))
                width += len(index)
            case "impute":
                steps.append(Step(kind, {"fill": vector(draw, width, -10, 10)}))
                gaps = False
            case "clip":
                low = vector(draw, width, -100, 0)
                free = draw(arrays.arrays(bool, width))
                steps.append(
                    Step(kind, {"low": np.where(free, -np.inf, low), "high": np.where(free, np.inf, low + 50)})
                )
            case "affine":
                steps.append(Step(kind, {"shift": vector(draw, width, -9, 9), "scale": vector(draw, width, 0.5, 2)}))
            case "one_hot":
                keep, column = np.array(draw(some)), np.array(draw(some))
                code = draw(arrays.arrays(np.float64, len(column), elements=st.integers(-2, 2)))
                steps.append(Step(kind, {"keep": keep, "column": column, "code": code}))
                width = len(keep) + len(column)
            case "unit_norm":
                steps.append(Step(kind, {}))
            case "take":
                index = np.array(draw(some))
                steps.append(Step(kind, {"index": index}))
                width = len(index)
            case "project":
                k = draw(st.integers(1, 3))
                matrix = vector(draw, width * k, -1, 1).reshape(width, k)
                steps.append(Step(kind, {"shift": vector(draw, width, -9, 9), "matrix": matrix}))
                width = k
    return Pipeline("float64", ()).with_steps(*steps), x


def close(one: Array, other: Array) -> None:
    largest = np.abs(np.nan_to_num(one)).max(initial=1)
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * largest)


class TestTwins:
    @given(chains())
    def test_torch_computes_what_numpy_computes(self, case: tuple[Pipeline, Array]) -> None:
        chain, x = case
        found = Preprocess(chain)(torch.from_numpy(x)).numpy()
        assert found.dtype == np.float32
        assert found.shape[1:] == chain.output_shape(x.shape[1:])
        close(found, chain(x))

    @given(chains())
    def test_a_chain_read_again_computes_the_same(self, case: tuple[Pipeline, Array]) -> None:
        chain, x = case
        with TemporaryDirectory() as folder:
            chain.save(Path(folder) / "chain.safetensors")
            np.testing.assert_array_equal(Pipeline.load(Path(folder) / "chain.safetensors")(x), chain(x))

    @given(
        arrays.arrays(
            np.float64,
            arrays.array_shapes(min_dims=3, max_dims=3, max_side=5),
            elements=st.one_of(FINITE, st.sampled_from([np.nan, np.inf, -np.inf])),
        )
    )
    def test_steps_are_masked_the_same(self, x: Array) -> None:
        chain = Pipeline("float64", ()).with_steps(Step("mask", {}))
        found = chain(x)
        np.testing.assert_array_equal(Preprocess(chain)(torch.from_numpy(x)).numpy(), found)
        np.testing.assert_array_equal(found[..., -1], ~np.isnan(x).all(axis=-1))
        assert not np.isnan(found).any()
