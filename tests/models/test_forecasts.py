"""Forecasts as differences, as logarithms and as quantiles: trained, saved and exported consistently."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch

from fivefold.config.models import Model
from fivefold.config.selection import KBestSelection, PCASelection, SelectionConfig
from fivefold.data.dataset import Array, Dataset, Split
from fivefold.data.schema import Schema
from fivefold.data.storage import write_manifest
from fivefold.evaluation.metrics import median_prediction, naive_forecasts, rmse
from fivefold.evaluation.predict import predict
from fivefold.export import check_parity, export_onnx, insert_missing_values
from fivefold.models.serialization import load_model, save_model
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.preprocessing.selection import fit_selection
from fivefold.training.fit import FitResult, fit

WINDOW, HORIZON, SEASON = 8, 2, 4
SCHEMA = Schema(
    kind="series",
    task="forecasting",
    target="a",
    features=("a", "b"),
    shape=(WINDOW, 2),
    classes=(),
    values=("a+1", "a+2"),
    horizon=HORIZON,
    season_length=SEASON,
)
SETTINGS: dict[str, dict[str, Any]] = {
    "value": {},
    "change": {"difference": "last"},
    "change of a season": {"difference": "seasonal"},
    "quantiles": {"loss": {"name": "quantile", "quantiles": [0.05, 0.5, 0.95]}},
    "quantiles of a season's change": {
        "difference": "seasonal",
        "loss": {"name": "quantile", "quantiles": [0.05, 0.5, 0.95]},
    },
}


def series(*, log: bool) -> Dataset:
    """A trend times a season, with a little noise; a second column helps nothing."""
    random = np.random.default_rng(0)
    t = np.arange(160)
    values = np.exp(0.02 * t + 0.3 * np.sin(np.pi * t / 2) + random.normal(0, 0.02, 160)) * 100
    columns = np.column_stack([values, random.normal(size=160)])
    n = 160 - WINDOW - HORIZON + 1
    x = np.stack([columns[i : i + WINDOW] for i in range(n)])
    y = np.stack([values[i + WINDOW : i + WINDOW + HORIZON] for i in range(n)])
    season = np.stack([values[i + WINDOW - SEASON :][:HORIZON] for i in range(n)])
    records = Split(x, y, np.arange(n) + WINDOW, seasonal_naive=season)
    parts = (records.take(np.arange(*ends)) for ends in ((0, 110), (110, 130), (130, n)))
    return Dataset(SCHEMA.model_copy(update={"log_target": log}), *parts)


def pipeline_of(dataset: Dataset) -> Pipeline:
    log = (Step("log", {"log_columns": np.array([1.0, 0])}),) if dataset.schema.log_target else ()
    x = dataset.train.x
    carry = Step("forward_fill", {"fill": x.mean(axis=(0, 1)), "fill_past_end": np.array([1])})
    pipeline = Pipeline("float64", ()).with_steps(carry, *log)
    steps = pipeline(x).reshape(-1, 2)
    return pipeline.with_steps(Step("affine", {"shift": steps.mean(0), "scale": 1 / steps.std(0)}))


def trained(dataset: Dataset, folder: Path, pipeline: Pipeline | None = None, **training: Any) -> FitResult:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": {"family": "mlp", "hidden": [16]},
        "training": {"max_epochs": 150, "patience": 0, "optimizer": {"name": "adam", "lr": 0.01}, **training},
    }
    model = Model.model_validate_json(json.dumps(tree))
    pipeline = pipeline or pipeline_of(dataset)
    return fit("m", model, dataset, pipeline, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)


def error(schema: Schema, y: Array, p: Array) -> float:
    return rmse(y, median_prediction(schema, p))


@pytest.mark.parametrize("log", [False, True], ids=["", "log"])
@pytest.mark.parametrize("training", SETTINGS.values(), ids=SETTINGS)
def test_a_forecast_is_trained_saved_and_exported(tmp_path: Path, training: dict[str, Any], log: bool) -> None:
    dataset = series(log=log)
    saved = trained(dataset, tmp_path / "work", **training).trained_model
    schema, test = saved.schema, dataset.test
    p = predict(saved.model, test.x)
    assert p.shape == (len(test), 2 * max(len(schema.quantiles), 1))
    if training.get("difference") == "seasonal":
        assert error(schema, test.y, p) < 0.8 * rmse(test.y, naive_forecasts(schema, test)["seasonal_naive"])
    elif log or training.get("difference"):  # only growth extrapolates beyond the training range
        assert error(schema, test.y, p) < 0.5 * rmse(test.y, naive_forecasts(schema, test)["naive"])
    (tmp_path / "saved").mkdir()
    save_model(saved.__class__(**{**vars(saved), "metadata": {"name": "m", "fingerprint": "f"}}), tmp_path / "saved")
    write_manifest(tmp_path / "saved")
    loaded = load_model(tmp_path / "saved")
    np.testing.assert_array_equal(predict(loaded.model, test.x), p)
    assert loaded.schema == schema
    export_onnx(loaded, test.x[:2], tmp_path / "model.onnx")
    assert max(check_parity(loaded, test.x, tmp_path / "model.onnx").values()) < 1e-5
    gaps = insert_missing_values(test.x)
    gaps[0, :, 1], gaps[1, -2:, 0], gaps[2, :2, 0] = np.nan, np.nan, np.nan
    assert np.isnan(gaps[:, -1, 0]).sum() > 1  # the values that differences are added to
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    filled = [
        [pd.Series(c).ffill().bfill().fillna(dataset.train.x[..., j].mean()) for j, c in enumerate(w.T)] for w in gaps
    ]
    expected = predict(saved.model, np.array(filled).transpose(0, 2, 1))
    np.testing.assert_allclose(session.run(None, {"x": gaps})[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "select",
    [
        KBestSelection(method="k_best", score_func="f", k=4, stability_resamples=0),
        PCASelection(method="pca", n_components=2),
    ],
    ids=lambda select: select.method,
)
@pytest.mark.parametrize("base", ["last", "seasonal"])
def test_base_values_come_from_the_window_with_any_selection(
    tmp_path: Path, select: SelectionConfig, base: str
) -> None:
    dataset, test = series(log=False), series(log=False).test
    scaled = pipeline_of(dataset)
    selected = fit_selection(scaled(dataset.train.x), dataset.train.y, dataset.schema, select, 0)
    fitted = trained(dataset, tmp_path, scaled.with_steps(*selected.steps), difference=base)
    saved = replace(fitted.trained_model, metadata={"name": "m", "fingerprint": "f"})
    p = predict(saved.model, test.x)
    with torch.no_grad():
        outputs = saved.model.network(torch.from_numpy(scaled.with_steps(*selected.steps)(test.x))).double().numpy()
    before = naive_forecasts(saved.schema, test)["naive" if base == "last" else "seasonal_naive"]
    train = dataset.train
    change = train.y - naive_forecasts(saved.schema, train)["naive" if base == "last" else "seasonal_naive"]
    np.testing.assert_allclose(p, before + outputs * change.std(axis=0) + change.mean(axis=0), rtol=1e-6)
    export_onnx(saved, test.x[:2], tmp_path / "model.onnx")
    assert max(check_parity(saved, test.x, tmp_path / "model.onnx").values()) < 1e-5


def test_most_targets_are_between_their_quantiles(tmp_path: Path) -> None:
    dataset = series(log=True)
    levels = {"difference": "seasonal", "loss": {"name": "quantile", "quantiles": [0.05, 0.5, 0.95]}}
    saved = trained(dataset, tmp_path, **levels).trained_model
    low, _, high = predict(saved.model, dataset.test.x).reshape(-1, 2, 3).transpose(2, 0, 1)
    assert 0.5 < ((low <= dataset.test.y) & (dataset.test.y <= high)).mean() <= 1
    assert (low < high).mean() > 0.9
