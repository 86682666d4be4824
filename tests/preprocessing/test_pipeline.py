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
UNIT_NORM = Step("unit_norm", {})
TAKE = Step("take", {"index": np.array([1, 2, 5])})
PROJECT = Step("project", {"shift": FILLED.mean(axis=0), "matrix": RANDOM.normal(size=(6, 2))})
CHANNELS = Step("affine", {"shift": np.full((3, 1, 1), 100.0), "scale": np.array([0.01, 0.005, 0.02])[:, None, None]})
PIXELS = Step("take", {"index": np.array([0, 7, 59])})
PROJECT_PIXELS = Step("project", {"shift": np.full(60, 0.5), "matrix": RANDOM.normal(size=(60, 4)) / 60})

INDICATOR = Step("missing_indicator", {"index": np.array([0, 4])})
IMPUTE_WITH_INDICATORS = Step("impute", {"fill": np.array([0.5, 1e9, -1e9, 2, 3, 4, 0, 0])})
CLIP = Step("clip", {"low": np.array([-1, -np.inf, -1e9, 4, -1, 0]), "high": np.array([1, np.inf, 0, 6, np.inf, 5])})
CODES = RANDOM.integers(0, 4, (40, 3)).astype(float)
ONE_HOT = Step("one_hot", {"keep": np.array([1]), "column": np.array([0, 0, 2]), "code": np.array([3.0, 0, 1])})
ONE_HOT_ONLY = Step("one_hot", {"keep": np.arange(0), "column": np.array([0, 2]), "code": np.array([2.0, 0])})
STEPS = RANDOM.normal(size=(10, 5, 2))
STEPS[2, 3:], STEPS[4, 1:], STEPS[6, 0, 1] = np.nan, np.nan, np.nan
STEP_SCALE = Step("affine", {"shift": np.array([0.5, 1]), "scale": np.array([2.0, 3])})
MASK = Step("mask", {})
MISSING_STEPS = np.where(RANDOM.random((12, 9, 3)) < 0.4, np.nan, RANDOM.normal(size=(12, 9, 3)))
MISSING_STEPS[0, 5:], MISSING_STEPS[1, :, 1], MISSING_STEPS[2, -1] = np.nan, np.nan, np.nan
FORWARD_FILL_ALL = Step("forward_fill", {"fill": np.array([7.0, 8, 9]), "fill_past_end": np.array([1])})
FORWARD_FILL = Step("forward_fill", {"fill": np.full(3, np.nan), "fill_past_end": np.array([0])})
LOG = Step("log", {"log_columns": np.arange(FILLED.shape[1]) % 2.0})

DENSE = Step("dense", {"weight": RANDOM.normal(size=(4, 60)) / 60, "bias": RANDOM.normal(size=4)})
CONV2D = Step(
    "conv2d",
    {
        "weight": RANDOM.normal(size=(4, 3, 3, 3)) / 9,
        "bias": RANDOM.normal(size=4),
        "stride": np.array([2]),
        "padding": np.array([1]),
    },
)
ACTIVATION_STEPS = [Step(name, {}) for name in get_args(Activation)]

CASES = {
    "missing_indicator": (Pipeline("float64", ()).with_steps(INDICATOR), TABLE),
    "missing_indicator and impute": (Pipeline("float64", ()).with_steps(INDICATOR, IMPUTE_WITH_INDICATORS), TABLE),
    "clip": (Pipeline("float64", ()).with_steps(CLIP), FILLED),
    "one_hot": (Pipeline("float64", ()).with_steps(ONE_HOT), CODES),
    "only one_hot": (Pipeline("float64", ()).with_steps(ONE_HOT_ONLY), CODES),
    "mask": (Pipeline("float64", ()).with_steps(MASK), STEPS),
    "sequences": (Pipeline("float64", ()).with_steps(STEP_SCALE, MASK), STEPS),
    "forward_fill": (Pipeline("float64", ()).with_steps(FORWARD_FILL_ALL), MISSING_STEPS),
    "carry and mask": (Pipeline("float64", ()).with_steps(FORWARD_FILL, MASK), MISSING_STEPS),
    "impute": (Pipeline("float64", ()).with_steps(IMPUTE), TABLE),
    "affine": (Pipeline("float64", ()).with_steps(AFFINE), FILLED),
    "unit_norm": (Pipeline("float64", ()).with_steps(UNIT_NORM), FILLED),
    "take": (Pipeline("float64", ()).with_steps(TAKE), FILLED),
    "project": (Pipeline("float64", ()).with_steps(PROJECT), FILLED),
    "complete table": (Pipeline("float64", ()).with_steps(IMPUTE, AFFINE, UNIT_NORM, TAKE), TABLE),
    "impute and project": (Pipeline("float64", ()).with_steps(IMPUTE, PROJECT), TABLE),
    "no steps": (Pipeline("float64", ()), FILLED),
    "log": (Pipeline("float64", ()).with_steps(LOG), np.abs(FILLED) + 1),
    "images": (Pipeline("float32", ()).with_steps(CHANNELS), IMAGES),
    "images with unit norm": (Pipeline("float32", ()).with_steps(CHANNELS, PIXELS, UNIT_NORM), IMAGES),
    "projected images": (Pipeline("float32", ()).with_steps(CHANNELS, PROJECT_PIXELS), IMAGES),
    "encoded images": (Pipeline("float32", ()).with_steps(CHANNELS, DENSE, *ACTIVATION_STEPS), IMAGES),
    "convolved images": (Pipeline("float32", ()).with_steps(CHANNELS, CONV2D, ACTIVATION_STEPS[0]), IMAGES),
    **{step.kind: (Pipeline("float64", ()).with_steps(step), STEPS) for step in ACTIVATION_STEPS},
    "raw images": (Pipeline("float32", ()), IMAGES),
}
every_case = pytest.mark.parametrize("case", CASES)


class TestEveryPipeline:
    def test_every_kind_of_step_has_a_case(self) -> None:
        assert {step.kind for pipeline, _ in CASES.values() for step in pipeline.steps} == set(
            Step.__annotations__["kind"].__args__
        )

    @every_case
    def test_pytorch_computes_the_same_values(self, case: str) -> None:
        pipeline, x = CASES[case]
        output = Preprocess(pipeline)(torch.from_numpy(x))
        assert output.dtype == torch.float32
        np.testing.assert_allclose(output.numpy(), pipeline(x), rtol=1e-6, atol=1e-6)

    @every_case
    def test_saving_and_loading_changes_nothing(self, case: str, tmp_path: Path) -> None:
        pipeline, x = CASES[case]
        pipeline = pipeline.with_steps(feature_names=("one", "two"))
        pipeline.save(tmp_path / "pipeline.safetensors")
        loaded = Pipeline.load(tmp_path / "pipeline.safetensors")
        assert (loaded.dtype, loaded.feature_names) == (pipeline.dtype, pipeline.feature_names)
        assert [step.kind for step in loaded.steps] == [step.kind for step in pipeline.steps]
        np.testing.assert_array_equal(loaded(x), pipeline(x))

    @every_case
    def test_output_shape_is_the_shape_of_the_output(self, case: str) -> None:
        pipeline, x = CASES[case]
        assert pipeline.output_shape(x.shape[1:]) == pipeline(x).shape[1:]

    @every_case
    def test_rows_are_independent(self, case: str) -> None:
        pipeline, x = CASES[case]
        np.testing.assert_allclose(pipeline(x[3:4]), pipeline(x)[3:4], rtol=1e-6)


class TestSteps:
    """Expected values are computed by hand."""

    def test_log_applies_to_log_columns_only(self) -> None:
        log = Step("log", {"log_columns": np.array([0.0, 1])})
        output = Pipeline("float64", ()).with_steps(log)(np.array([[[-3.0, np.e], [0, 1]]]))
        np.testing.assert_allclose(output, [[[-3, 1], [0, 0]]], rtol=1e-6)

    def test_steps_are_applied_in_order(self) -> None:
        pipeline = Pipeline("float64", ()).with_steps(
            Step("impute", {"fill": np.array([1.0, 2])}),
            Step("affine", {"shift": np.array([1.0, 0]), "scale": np.array([3.0, 4])}),
            Step("unit_norm", {}),
        )
        # (nan, 1) -> (1, 1) -> (0, 4) -> (0, 1); (2, 1) -> (3, 4) -> (0.6, 0.8)
        np.testing.assert_allclose(pipeline(np.array([[np.nan, 1], [2, 1]])), [[0, 1], [0.6, 0.8]], rtol=1e-6)

    def test_missing_indicators_are_appended(self) -> None:
        pipeline = Pipeline("float64", ()).with_steps(Step("missing_indicator", {"index": np.array([1])}))
        np.testing.assert_array_equal(pipeline(np.array([[np.nan, 1], [2, np.nan]])), [[np.nan, 1, 0], [2, np.nan, 1]])

    def test_one_hot_has_a_column_per_code_and_none_for_unknown_codes(self) -> None:
        step = Step("one_hot", {"keep": np.array([1]), "column": np.array([0, 0]), "code": np.array([2.0, 0])})
        pipeline = Pipeline("float64", ()).with_steps(step)
        assert pipeline(np.array([[0.0, 7], [2, 8], [1, 9]])).tolist() == [[7, 0, 1], [8, 1, 0], [9, 0, 0]]

    def test_mask_is_0_only_if_all_values_of_a_step_are_missing(self) -> None:
        x = np.array([[[1.0, np.nan], [np.nan, np.nan]]])
        assert Pipeline("float64", ()).with_steps(MASK)(x).tolist() == [[[1, 0, 1], [0, 0, 0]]]

    def test_forward_fill_uses_the_previous_value_else_the_next_else_fill(self) -> None:
        x = np.array([[[NAN, NAN, 5], [1, NAN, NAN], [NAN, NAN, NAN]]])
        fill_all = Step("forward_fill", {"fill": np.array([0.0, 9, 0]), "fill_past_end": np.array([1])})
        assert fill_all(x).tolist() == [[[1, 9, 5], [1, 9, 5], [1, 9, 5]]]
        np.testing.assert_array_equal(FORWARD_FILL(x), [[[1, NAN, 5], [1, NAN, 5], [NAN, NAN, NAN]]])

    def test_feature_names_are_kept_unless_replaced(self) -> None:
        pipeline = Pipeline("float64", ()).with_steps(feature_names=["a", "b"])
        assert pipeline.with_steps(UNIT_NORM).feature_names == ("a", "b")
        assert pipeline.with_steps(UNIT_NORM, feature_names=["c"]).feature_names == ("c",)

    def test_take_selects_columns_in_the_order_of_the_index(self) -> None:
        pipeline = Pipeline("float32", ()).with_steps(Step("take", {"index": np.array([3, 0])}))
        assert pipeline(np.array([[[[1, 2], [3, 4]]]], np.uint8)).tolist() == [[4, 1]]

    def test_tokens_are_passed_through(self) -> None:
        pipeline, x = (
            Pipeline("int32", ()),
            np.array([[2**24 + 1, 0]], np.int32),
        )  # the smallest integer that float32 cannot represent
        assert pipeline(x) is x
        output = Preprocess(pipeline)(torch.from_numpy(x))
        assert (output.dtype, output.tolist()) == (torch.int32, x.tolist())

    def test_differences_at_a_large_offset_are_preserved(self) -> None:
        pipeline, x = Pipeline("float64", ()).with_steps(AFFINE), FILLED
        exact = (x[:, 1] - 1e9) * 2
        assert len(np.unique(x[:, 1].astype(np.float32))) < 5  # float32 would lose them
        np.testing.assert_allclose(pipeline(x)[:, 1], exact, rtol=1e-6)
        np.testing.assert_allclose(Preprocess(pipeline)(torch.from_numpy(x))[:, 1].numpy(), exact, rtol=1e-6)


class TestLoad:
    @pytest.mark.parametrize("content", [None, b"", b"pipeline", bytes(64)])
    def test_invalid_files_raise(self, tmp_path: Path, content: bytes | None) -> None:
        path = tmp_path / "pipeline.safetensors"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(
            ArtifactError, match=r"pipeline\.safetensors must be a saved preprocessing pipeline, but is not; r"
        ):
            Pipeline.load(path)

    @pytest.mark.parametrize("metadata", [None, {"other": "1"}])
    def test_tensors_without_pipeline_metadata_raise(self, tmp_path: Path, metadata: dict[str, str] | None) -> None:
        save_file({"0.fill": np.zeros(2)}, tmp_path / "a.safetensors", metadata=metadata)
        with pytest.raises(
            ArtifactError, match=r"a\.safetensors must be a saved preprocessing pipeline, but is not; run"
        ):
            Pipeline.load(tmp_path / "a.safetensors")


RANDOM_SPLIT = RandomSplit(validation=0.25, test=0.25, by="random")
LABELS = (np.nan_to_num(TABLE[:, 0]) + RANDOM.normal(size=40) > 0).astype(int)


def fitted_bytes(x: Array, y: Array, select: SelectionConfig, folder: Path) -> bytes:
    """Return the file that prepare and select_features would write for a table or images."""
    schema = schema_of(x.shape[1:], 2)
    train = split_rows(SplitKeys(y, schema.classes), RANDOM_SPLIT, seed=3)["train"]
    block = table_block() if x.ndim == 2 else images_block(normalize="standard")
    scaling = fit_scaling(x[train], schema, block)
    selected = fit_selection(scaling(x[train]), y[train], schema, select, 3, scaling.feature_names)
    scaling.with_steps(*selected.steps).save(folder / "pipeline.safetensors")
    return (folder / "pipeline.safetensors").read_bytes()


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
class TestLeakage:
    @staticmethod
    def altered(x: Array, y: Array, split: str) -> tuple[Array, Array]:
        rows = split_rows(SplitKeys(y, ("no", "yes")), RANDOM_SPLIT, seed=3)[split]
        x, y = x.copy(), y.copy()
        x[rows[: len(rows) // 2]] = 77
        x[rows[len(rows) // 2 :]] = 1
        y[rows] = 1 - y[rows]
        return x, y

    @pytest.mark.parametrize("split", ["validation", "test"])
    def test_held_out_rows_do_not_change_the_fitted_pipeline(
        self, x: Array, select: SelectionConfig, split: str, tmp_path: Path
    ) -> None:
        before = fitted_bytes(x, LABELS, select, tmp_path)
        assert fitted_bytes(*self.altered(x, LABELS, split), select, tmp_path) == before

    def test_training_rows_change_the_fitted_pipeline(self, x: Array, select: SelectionConfig, tmp_path: Path) -> None:
        before = fitted_bytes(x, LABELS, select, tmp_path)
        assert fitted_bytes(*self.altered(x, LABELS, "train"), select, tmp_path) != before
