from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from fivefold.config.base import Activation
from fivefold.config.selection import KBestSelection, NoSelection, PCASelection, SelectionConfig
from fivefold.config.splits import RandomSplit
from fivefold.data.dataset import Array, SplitKeys
from fivefold.data.splitting import split_rows
from fivefold.errors import ArtifactError
from fivefold.models.inference import Preprocess
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.preprocessing.selection import fit_selection

from ..conftest import images_block, schema_of, table_block

RANDOM = np.random.default_rng(0)
NAN = np.nan
TABLE = np.where(RANDOM.random((40, 6)) < 0.1, np.nan, RANDOM.normal([0, 1e9, -1e9, 5, 0, 3], size=(40, 6)))
FILLED = np.nan_to_num(TABLE, nan=1.0)
IMAGES = RANDOM.integers(0, 256, (20, 3, 4, 5), dtype=np.uint8)

IMPUTE = Step("impute", {"fill": np.array([0.5, 1e9, -1e9, 2, 3, 4])})
AFFINE = Step("affine", {"shift": np.array([0, 1e9, -1e9, 1, 2, 3.0]), "scale": np.array([1, 2, 0.5, 3, 4, 5.0])})
UNIT = Step("unit_norm", {})
TAKE = Step("take", {"index": np.array([1, 2, 5])})
PROJECT = Step("project", {"shift": FILLED.mean(axis=0), "matrix": RANDOM.normal(size=(6, 2))})
CHANNELS = Step("affine", {"shift": np.full((3, 1, 1), 100.0), "scale": np.array([0.01, 0.005, 0.02])[:, None, None]})
PIXELS = Step("take", {"index": np.array([0, 7, 59])})
PROJECT_PIXELS = Step("project", {"shift": np.full(60, 0.5), "matrix": RANDOM.normal(size=(60, 4)) / 60})

INDICATE = Step("missing_indicator", {"index": np.array([0, 4])})
MORE_FILL = Step("impute", {"fill": np.array([0.5, 1e9, -1e9, 2, 3, 4, 0, 0])})
CLIP = Step("clip", {"low": np.array([-1, -np.inf, -1e9, 4, -1, 0]), "high": np.array([1, np.inf, 0, 6, np.inf, 5])})
CODES = RANDOM.integers(0, 4, (40, 3)).astype(float)
ONE_HOT = Step("one_hot", {"keep": np.array([1]), "column": np.array([0, 0, 2]), "code": np.array([3.0, 0, 1])})
ONLY_WORDS = Step("one_hot", {"keep": np.arange(0), "column": np.array([0, 2]), "code": np.array([2.0, 0])})
STEPS = RANDOM.normal(size=(10, 5, 2))
STEPS[2, 3:], STEPS[4, 1:], STEPS[6, 0, 1] = np.nan, np.nan, np.nan
STEP_SCALE = Step("affine", {"shift": np.array([0.5, 1]), "scale": np.array([2.0, 3])})
MASK = Step("mask", {})
GAPS = np.where(RANDOM.random((12, 9, 3)) < 0.4, np.nan, RANDOM.normal(size=(12, 9, 3)))
GAPS[0, 5:], GAPS[1, :, 1], GAPS[2, -1] = np.nan, np.nan, np.nan
CARRY_WHOLE = Step("forward_fill", {"fill": np.array([7.0, 8, 9]), "fill_past_end": np.array([1])})
CARRY = Step("forward_fill", {"fill": np.full(3, np.nan), "fill_past_end": np.array([0])})
LOG = Step("log", {"log_columns": np.arange(FILLED.shape[1]) % 2.0})

DENSE = Step("dense", {"weight": RANDOM.normal(size=(4, 60)) / 60, "bias": RANDOM.normal(size=4)})
CONVOLVE = Step(
    "conv2d",
    {
        "weight": RANDOM.normal(size=(4, 3, 3, 3)) / 9,
        "bias": RANDOM.normal(size=4),
        "stride": np.array([2]),
        "padding": np.array([1]),
    },
)
ACTIVE = [Step(name, {}) for name in get_args(Activation)]

CHAINS = {
    "missing_indicator": (Pipeline("float64", ()).with_steps(INDICATE), TABLE),
    "indicate and impute": (Pipeline("float64", ()).with_steps(INDICATE, MORE_FILL), TABLE),
    "clip": (Pipeline("float64", ()).with_steps(CLIP), FILLED),
    "one_hot": (Pipeline("float64", ()).with_steps(ONE_HOT), CODES),
    "words alone": (Pipeline("float64", ()).with_steps(ONLY_WORDS), CODES),
    "mask": (Pipeline("float64", ()).with_steps(MASK), STEPS),
    "sequences": (Pipeline("float64", ()).with_steps(STEP_SCALE, MASK), STEPS),
    "forward_fill": (Pipeline("float64", ()).with_steps(CARRY_WHOLE), GAPS),
    "carry and mask": (Pipeline("float64", ()).with_steps(CARRY, MASK), GAPS),
    "impute": (Pipeline("float64", ()).with_steps(IMPUTE), TABLE),
    "affine": (Pipeline("float64", ()).with_steps(AFFINE), FILLED),
    "unit_norm": (Pipeline("float64", ()).with_steps(UNIT), FILLED),
    "take": (Pipeline("float64", ()).with_steps(TAKE), FILLED),
    "project": (Pipeline("float64", ()).with_steps(PROJECT), FILLED),
    "whole table": (Pipeline("float64", ()).with_steps(IMPUTE, AFFINE, UNIT, TAKE), TABLE),
    "impute and project": (Pipeline("float64", ()).with_steps(IMPUTE, PROJECT), TABLE),
    "nothing": (Pipeline("float64", ()), FILLED),
    "logarithms": (Pipeline("float64", ()).with_steps(LOG), np.abs(FILLED) + 1),
    "images": (Pipeline("float32", ()).with_steps(CHANNELS), IMAGES),
    "images of unit length": (Pipeline("float32", ()).with_steps(CHANNELS, PIXELS, UNIT), IMAGES),
    "images projected": (Pipeline("float32", ()).with_steps(CHANNELS, PROJECT_PIXELS), IMAGES),
    "a code of images": (Pipeline("float32", ()).with_steps(CHANNELS, DENSE, *ACTIVE), IMAGES),
    "convolved images": (Pipeline("float32", ()).with_steps(CHANNELS, CONVOLVE, ACTIVE[0]), IMAGES),
    **{step.kind: (Pipeline("float64", ()).with_steps(step), STEPS) for step in ACTIVE},
    "raw images": (Pipeline("float32", ()), IMAGES),
}
every_chain = pytest.mark.parametrize("case", CHAINS)


class TestEveryChain:
    def test_every_kind_of_step_has_a_case(self) -> None:
        assert {step.kind for chain, _ in CHAINS.values() for step in chain.steps} == set(
            Step.__annotations__["kind"].__args__
        )

    @every_chain
    def test_the_torch_twin_gives_the_same_numbers(self, case: str) -> None:
        chain, x = CHAINS[case]
        twin = Preprocess(chain)(torch.from_numpy(x))
        assert twin.dtype == torch.float32
        np.testing.assert_allclose(twin.numpy(), chain(x), rtol=1e-6, atol=1e-6)

    @every_chain
    def test_saving_and_loading_changes_nothing(self, case: str, tmp_path: Path) -> None:
        chain, x = CHAINS[case]
        chain = chain.then(names=("one", "two"))
        chain.save(tmp_path / "chain.safetensors")
        loaded = Pipeline.load(tmp_path / "chain.safetensors")
        assert (loaded.dtype, loaded.feature_names) == (chain.dtype, chain.names)
        assert [step.kind for step in loaded.steps] == [step.kind for step in chain.steps]
        np.testing.assert_array_equal(loaded(x), chain(x))

    @every_chain
    def test_the_shape_is_known_beforehand(self, case: str) -> None:
        chain, x = CHAINS[case]
        assert chain.shape(x.shape[1:]) == chain(x).shape[1:]

    @every_chain
    def test_rows_do_not_see_each_other(self, case: str) -> None:
        chain, x = CHAINS[case]
        np.testing.assert_allclose(chain(x[3:4]), chain(x)[3:4], rtol=1e-6)


class TestSteps:
    """By hand."""

    def test_a_logarithm_is_taken_of_the_columns_that_ask(self) -> None:
        log = Step("log", {"log_columns": np.array([0.0, 1])})
        found = Pipeline("float64", ()).with_steps(log)(np.array([[[-3.0, np.e], [0, 1]]]))
        np.testing.assert_allclose(found, [[[-3, 1], [0, 0]]], rtol=1e-6)

    def test_steps_in_order(self) -> None:
        chain = Pipeline("float64", ()).with_steps(
            Step("impute", {"fill": np.array([1.0, 2])}),
            Step("affine", {"shift": np.array([1.0, 0]), "scale": np.array([3.0, 4])}),
            Step("unit_norm", {}),
        )
        # (nan, 1) -> (1, 1) -> (0, 4) -> (0, 1); (2, 1) -> (3, 4) -> (0.6, 0.8)
        np.testing.assert_allclose(chain(np.array([[np.nan, 1], [2, 1]])), [[0, 1], [0.6, 0.8]], rtol=1e-6)

    def test_gaps_are_told_behind_the_columns(self) -> None:
        chain = Pipeline("float64", ()).with_steps(Step("missing_indicator", {"index": np.array([1])}))
        np.testing.assert_array_equal(chain(np.array([[np.nan, 1], [2, np.nan]])), [[np.nan, 1, 0], [2, np.nan, 1]])

    def test_a_code_gets_a_column_and_an_unknown_one_none(self) -> None:
        step = Step("one_hot", {"keep": np.array([1]), "column": np.array([0, 0]), "code": np.array([2.0, 0])})
        chain = Pipeline("float64", ()).with_steps(step)
        assert chain(np.array([[0.0, 7], [2, 8], [1, 9]])).tolist() == [[7, 0, 1], [8, 1, 0], [9, 0, 0]]

    def test_a_step_of_gaps_is_padding_and_one_gap_is_none(self) -> None:
        x = np.array([[[1.0, np.nan], [np.nan, np.nan]]])
        assert Pipeline("float64", ()).with_steps(MASK)(x).tolist() == [[[1, 0, 1], [0, 0, 0]]]

    def test_a_gap_is_the_value_before_else_the_next_else_a_fill(self) -> None:
        x = np.array([[[NAN, NAN, 5], [1, NAN, NAN], [NAN, NAN, NAN]]])
        whole = Step("forward_fill", {"fill": np.array([0.0, 9, 0]), "fill_past_end": np.array([1])})
        assert whole(x).tolist() == [[[1, 9, 5], [1, 9, 5], [1, 9, 5]]]
        np.testing.assert_array_equal(CARRY(x), [[[1, NAN, 5], [1, NAN, 5], [NAN, NAN, NAN]]])

    def test_names_stay_until_others_are_given(self) -> None:
        chain = Pipeline("float64", ()).with_steps(feature_names=["a", "b"])
        assert chain.with_steps(UNIT).feature_names == ("a", "b")
        assert chain.with_steps(UNIT, feature_names=["c"]).feature_names == ("c",)

    def test_an_index_takes_columns_in_its_order(self) -> None:
        chain = Pipeline("float32", ()).with_steps(Step("take", {"index": np.array([3, 0])}))
        assert chain(np.array([[[[1, 2], [3, 4]]]], np.uint8)).tolist() == [[4, 1]]

    def test_tokens_stay_what_and_where_they_are(self) -> None:
        chain, x = Pipeline("int32", ()), np.array([[2**24 + 1, 0]], np.int32)  # the first number that float32 has not
        assert chain(x) is x
        twin = Preprocess(chain)(torch.from_numpy(x))
        assert (twin.dtype, twin.tolist()) == (torch.int32, x.tolist())

    def test_a_table_at_a_large_offset_keeps_its_differences(self) -> None:
        chain, x = Pipeline("float64", ()).with_steps(AFFINE), FILLED
        exact = (x[:, 1] - 1e9) * 2
        assert len(np.unique(x[:, 1].astype(np.float32))) < 5  # float32 would lose them
        np.testing.assert_allclose(chain(x)[:, 1], exact, rtol=1e-6)
        np.testing.assert_allclose(Preprocess(chain)(torch.from_numpy(x))[:, 1].numpy(), exact, rtol=1e-6)


class TestLoad:
    @pytest.mark.parametrize("content", [None, b"", b"chain", bytes(64)])
    def test_a_file_that_is_no_chain_is_refused(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "chain.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"chain\.safetensors must hold a preprocessing chain, but does not; r"):
            Pipeline.load(path)

    @pytest.mark.parametrize("metadata", [None, {"other": "1"}])
    def test_tensors_without_a_chain_are_refused(self, tmp_path: Path, metadata: dict[str, str] | None) -> None:
        save_file({"0.fill": np.zeros(2)}, tmp_path / "a.safetensors", metadata=metadata)
        with pytest.raises(ArtifactError, match=r"a\.safetensors must hold a preprocessing chain, but does not; run"):
            Pipeline.load(tmp_path / "a.safetensors")


DRAWN = RandomSplit(validation=0.25, test=0.25, by="random")
LABELS = (np.nan_to_num(TABLE[:, 0]) + RANDOM.normal(size=40) > 0).astype(int)


def fitted(x: Array, y: Array, select: SelectionConfig, folder: Path) -> bytes:
    """Bytes of the chain that prepare and select_features would write for a table or images."""
    schema = schema_of(x.shape[1:], 2)
    train = split_rows(SplitKeys(y, schema.classes), DRAWN, seed=3)["train"]
    block = table_block() if x.ndim == 2 else images_block(normalize="standard")
    scaling = fit_scaling(x[train], schema, block)
    selected = fit_selection(scaling(x[train]), y[train], schema, select, 3, scaling.feature_names)
    scaling.with_steps(*selected.steps).save(folder / "chain.safetensors")
    return (folder / "chain.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("x", "select"),
    [
        (TABLE, KBestSelection(method="k_best", score_func="f", k=3)),
        (TABLE, KBestSelection(method="k_best", score_func="mutual_info", k=3)),
        (TABLE, PCASelection(method="pca", n_components=2)),
        (TABLE, NoSelection(method="none")),
        (np.concatenate([IMAGES, IMAGES[::-1]]), PCASelection(method="pca", n_components=2, whiten=True)),
    ],
    ids=["f", "mutual_info", "pca", "none", "images"],
)
class TestNothingLeaks:
    @staticmethod
    def altered(x: Array, y: Array, part: str) -> tuple[Array, Array]:
        rows = split_rows(SplitKeys(y, ("no", "yes")), DRAWN, seed=3)[part]
        x, y = x.copy(), y.copy()
        x[rows[: len(rows) // 2]] = 77
        x[rows[len(rows) // 2 :]] = 1
        y[rows] = 1 - y[rows]
        return x, y

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_held_out_rows_change_nothing_that_is_fitted(
        self, x: Array, select: SelectionConfig, part: str, tmp_path: Path
    ) -> None:
        before = fitted(x, LABELS, select, tmp_path)
        assert fitted(*self.altered(x, LABELS, part), select, tmp_path) == before

    def test_training_rows_do(self, x: Array, select: SelectionConfig, tmp_path: Path) -> None:
        before = fitted(x, LABELS, select, tmp_path)
        assert fitted(*self.altered(x, LABELS, "train"), select, tmp_path) != before
