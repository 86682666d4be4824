"""A class and values predicted by one network: from the rows to the exported file."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import torch

from fivefold.data.dataset import Dataset, Split
from fivefold.data.schema import ExtraTarget, Schema
from fivefold.data.storage import write_manifest
from fivefold.data.targets import target_specs
from fivefold.errors import ParityError
from fivefold.evaluation.metrics import compute_scores
from fivefold.evaluation.predict import predict
from fivefold.evaluation.tables import build_tables, prediction_table
from fivefold.export import check_parity, export_onnx
from fivefold.models.serialization import TrainedModel, load_model, save_model
from fivefold.training.fit import FitResult, fit

from ..conftest import schema_of
from .helpers import PIPELINE, InterruptedEpochError, interrupt_at, model

PRIMARY = {"class": schema_of((3,), 3), "value": schema_of((3,))}
EXTRA = (ExtraTarget(name="mass"), ExtraTarget(name="sex", classes=("f", "m")))
UNCERTAINTY = {"loss_weights": {"name": "uncertainty"}}


def dataset_of(primary: str = "class", extra: tuple[ExtraTarget, ...] = EXTRA) -> Dataset:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    kind = np.digitize(x[:, 0] + 0.1 * rng.normal(size=400), (-0.5, 0.5))
    mass = 4000 + 800 * x[:, 1] + 80 * rng.normal(size=400)
    sex = (x[:, 2] > 0).astype(float)
    mass[rng.random(400) < 0.3] = np.nan
    sex[rng.random(400) < 0.5] = np.nan
    y = kind if primary == "class" else 5 + 0.1 * x[:, 0]
    schema = PRIMARY[primary].model_copy(update={"extra_targets": extra})
    extra_targets = np.column_stack([mass, sex])[:, : len(extra)] if extra else None
    split = Split(x, y, np.arange(400), extra_targets=extra_targets)
    return Dataset(schema, *(split.take(np.arange(*ends)) for ends in ((0, 240), (240, 300), (300, 400))))


def train(
    folder: Path,
    dataset: Dataset,
    on_epoch: Callable[[int], None] = int,
    network: dict[str, Any] | None = None,
    **training: Any,
) -> FitResult:
    defaults = {"max_epochs": 40, "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1}}
    params = model(network or {"family": "mlp", "hidden": [16], "dropout": 0.1}, **{**defaults, **training})
    return fit(
        "m",
        params,
        dataset,
        PIPELINE,
        seed=1,
        checkpoint_folder=folder,
        on_epoch=lambda epoch, *_: on_epoch(epoch),
    )


@pytest.mark.parametrize(
    "training",
    [
        {},
        UNCERTAINTY,
        {"class_balance": "weighted_sampler"},
        {"class_balance": "weighted_loss", "ema_decay": 0.9},
    ],
)
@pytest.mark.parametrize("primary", ["class", "value"])
def test_all_targets_are_predicted(tmp_path: Path, primary: str, training: dict[str, Any]) -> None:
    if primary == "value" and "class_balance" in training:
        pytest.skip("class_balance applies to classes")
    dataset = dataset_of(primary)
    saved = train(tmp_path, dataset, **training).trained_model
    scores = compute_scores(dataset.schema, dataset.test, predict(saved.model, dataset.test.x))
    assert scores["accuracy" if primary == "class" else "r2"] > 0.85
    assert scores["mass.r2"] > 0.9
    assert scores["mass.rmse"] < 250  # the standard deviation is 800
    assert scores["sex.accuracy"] > 0.9


def test_scores_use_the_rows_in_which_a_target_is_not_missing(tmp_path: Path) -> None:
    dataset = dataset_of()
    p = predict(train(tmp_path, dataset, max_epochs=1).trained_model.model, dataset.test.x)
    scores, extra = compute_scores(dataset.schema, dataset.test, p), dataset.test.extra_targets
    assert extra is not None
    known = [~np.isnan(column) for column in extra.T]
    assert scores["accuracy"] == (p[:, :3].argmax(1) == dataset.test.y).mean()
    assert scores["mass.mae"] == pytest.approx(np.abs(p[:, 3] - extra[:, 0])[known[0]].mean())
    assert scores["sex.accuracy"] == (p[:, 4:].argmax(1) == extra[:, 1])[known[1]].mean()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resumed_training_with_learned_task_weights_equals_uninterrupted_training(
    tmp_path: Path, optimizer: str
) -> None:
    options = {**UNCERTAINTY, "max_epochs": 6, "optimizer": {"name": optimizer, "lr": 0.02, "weight_decay": 0.1}}
    uninterrupted = train(tmp_path / "uninterrupted", dataset_of(), **options)
    with pytest.raises(InterruptedEpochError):
        train(tmp_path / "resumed", dataset_of(), interrupt_at(3), **options)
    resumed = train(tmp_path / "resumed", dataset_of(), **options)
    assert resumed.is_resumed
    weights, others = uninterrupted.trained_model.model.state_dict(), resumed.trained_model.model.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert resumed.history.equals(uninterrupted.history)
    task_weights = uninterrupted.history[["weight/y", "weight/mass", "weight/sex"]]
    assert (task_weights.iloc[-1] != task_weights.iloc[0]).all()


def test_learned_task_weights_do_not_decay_and_are_not_part_of_the_model(tmp_path: Path) -> None:
    strong = {"name": "adamw", "lr": 0.01, "weight_decay": 50.0}
    weak = {**strong, "weight_decay": 0.0}
    first, other = (
        train(tmp_path / str(i), dataset_of(), max_epochs=1, batch_size=240, optimizer=options, **UNCERTAINTY)
        for i, options in enumerate((strong, weak))
    )
    names = [name for name in first.history if name.startswith("weight/")]
    assert first.history[names].equals(other.history[names])  # after one step
    assert not any("variance" in name for name in first.trained_model.model.state_dict())


def test_extra_targets_with_weight_0_do_not_affect_training(tmp_path: Path) -> None:
    dataset = dataset_of()
    nothing = {"loss_weights": {"name": "fixed", "weights": {"mass": 0.0, "sex": 0.0}}, "max_epochs": 3}
    one = train(tmp_path / "1", dataset, **nothing)
    random = np.random.default_rng(1)
    swapped = [
        replace(
            part, extra_targets=random.permuted(part.extra_targets, axis=0) if part.extra_targets is not None else None
        )
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    other = train(tmp_path / "2", Dataset(dataset.schema, *swapped), **nothing)
    assert one.history.equals(other.history)


def test_test_rows_do_not_affect_training(tmp_path: Path) -> None:
    dataset = dataset_of()
    assert dataset.test.extra_targets is not None
    altered = replace(
        dataset, test=replace(dataset.test, extra_targets=np.full_like(dataset.test.extra_targets, np.nan))
    )
    one, other = (train(tmp_path / str(i), d, max_epochs=3) for i, d in enumerate((dataset, altered)))
    weights, others = one.trained_model.model.state_dict(), other.trained_model.model.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def save_and_load(trained_model: TrainedModel, folder: Path) -> TrainedModel:
    folder.mkdir()
    save_model(replace(trained_model, metadata={"name": "m", "fingerprint": "0" * 32}), folder)
    write_manifest(folder)
    return load_model(folder)


@pytest.mark.parametrize(
    ("primary", "extra", "output", "dtype"),
    [
        ("class", EXTRA, "predictions", np.float64),
        ("value", EXTRA, "predictions", np.float64),
        ("class", EXTRA[1:], "probabilities", np.float32),
        ("value", EXTRA[:1], "values", np.float64),
    ],
)
def test_saved_and_exported_models_have_the_same_predictions(
    tmp_path: Path, primary: str, extra: tuple[ExtraTarget, ...], output: str, dtype: type
) -> None:
    dataset = dataset_of(primary, EXTRA)
    if extra == EXTRA[1:]:
        splits = (
            replace(split, extra_targets=split.extra_targets[:, 1:])
            for split in dataset.splits().values()
            if split.extra_targets is not None
        )
        dataset = Dataset(dataset.schema.model_copy(update={"extra_targets": extra}), *splits)
    elif extra == EXTRA[:1]:
        dataset = dataset_of(primary, extra)
    saved = train(tmp_path / "work", dataset, max_epochs=2).trained_model
    loaded = save_and_load(saved, tmp_path / "model")
    p = predict(saved.model, dataset.test.x)
    assert (p.shape, p.dtype) == ((100, dataset.schema.n_outputs), dtype)
    np.testing.assert_array_equal(predict(loaded.model, dataset.test.x), p)
    path = tmp_path / "model.onnx"
    export_onnx(loaded, dataset.test.x[:2], path)
    assert max(check_parity(loaded, dataset.test.x, path).values()) < 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (predictions,) = session.run([output], {"x": dataset.test.x})
    assert predictions.dtype == dtype
    output_metadata = json.loads(session.get_modelmeta().custom_metadata_map["fivefold"])["output"]
    assert json.loads((tmp_path / "model" / "model.json").read_text())["output"] == output_metadata
    for entry, target in zip(output_metadata["extra_targets"], extra, strict=True):
        first, end = entry["columns"]
        assert (entry["target"], tuple(entry["classes"])) == (target.name, target.classes)
        if entry["classes"]:
            np.testing.assert_allclose(predictions[:, first:end].sum(1), 1, rtol=1e-5)
    onnx.checker.check_model(path)


def test_parity_check_detects_a_wrong_column(tmp_path: Path) -> None:
    dataset = dataset_of()
    saved = train(tmp_path / "work", dataset, max_epochs=1).trained_model
    loaded = save_and_load(saved, tmp_path / "model")
    path = tmp_path / "model.onnx"
    export_onnx(loaded, dataset.test.x[:2], path)
    regression_head = loaded.model.head.heads[1]
    regression_head.shift += 1.0  # slightly more than a thousandth of the standard deviation
    with pytest.raises(ParityError, match=r"must match PyTorch to 0\.0001"):
        check_parity(loaded, dataset.test.x, path)


class TestTables:
    schema: Schema = dataset_of().schema
    split: Split = dataset_of().test.take(np.arange(20))
    p = np.concatenate(
        [np.full((20, 3), [0.2, 0.5, 0.3]), np.full((20, 1), 4000.0), np.full((20, 2), [0.1, 0.9])], axis=1
    )

    def test_predictions_have_columns_for_each_target(self) -> None:
        frame = prediction_table(self.schema, self.split, self.p)
        classes = [f"p_class{i}" for i in range(3)]
        mass, sex = (
            ["mass.target", "mass.prediction"],
            ["sex.target", "sex.prediction", "sex.p_f", "sex.p_m"],
        )
        assert list(frame) == ["row", "target", "prediction", *classes, *mass, *sex]
        assert self.split.extra_targets is not None
        assert frame["mass.target"].isna().tolist() == np.isnan(self.split.extra_targets[:, 0]).tolist()
        assert frame["sex.target"].isna().tolist() == np.isnan(self.split.extra_targets[:, 1]).tolist()
        known = frame.dropna(subset="sex.target")
        expected = [EXTRA[1].classes[int(i)] for i in self.split.extra_targets[known.index, 1]]
        assert known["sex.target"].tolist() == expected
        assert set(frame["sex.prediction"]) == {"m"}

    def test_predictions_can_be_stored_as_parquet(self, tmp_path: Path) -> None:
        frame = prediction_table(self.schema, self.split, self.p)
        frame.to_parquet(tmp_path / "p.parquet", index=False)
        assert list(pd.read_parquet(tmp_path / "p.parquet")) == list(frame)

    def test_plots_show_the_primary_target(self) -> None:
        history = pd.DataFrame({"epoch": [1, 2], "train/loss": [1.0, 0.5], "val/loss": [1.1, -0.7]})
        tables = build_tables(self.schema, self.split, self.p, history)
        assert list(tables) == ["learning_curve", "confusion_matrix", "roc_curve", "calibration_curve"]
        assert set(tables["confusion_matrix"].predicted) == {"class1"}
        assert [spec.prefix for spec in target_specs(self.schema)] == ["", "mass.", "sex."]
