"""A class and values, learnt together by one network: from the rows to the exported file."""

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

from fivefold.config.models import Model
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
from fivefold.preprocessing.pipeline import Pipeline, Step
from fivefold.training.fit import FitResult, fit

from ..conftest import schema_of

LEADING = {"class": schema_of((3,), 3), "value": schema_of((3,))}
ALSO = (ExtraTarget(name="mass"), ExtraTarget(name="sex", classes=("f", "m")))
CHAIN = Pipeline("float64", ()).with_steps(Step("affine", {"shift": np.zeros(3), "scale": np.ones(3)}))
LEARNT = {"loss_weights": {"name": "uncertainty"}}


def dataset_of(leading: str = "class", also: tuple[ExtraTarget, ...] = ALSO) -> Dataset:
    random = np.random.default_rng(0)
    x = random.normal(size=(400, 3))
    kind = np.digitize(x[:, 0] + 0.1 * random.normal(size=400), (-0.5, 0.5))
    mass = 4000 + 800 * x[:, 1] + 80 * random.normal(size=400)
    sex = (x[:, 2] > 0).astype(float)
    mass[random.random(400) < 0.3] = np.nan
    sex[random.random(400) < 0.5] = np.nan
    y = kind if leading == "class" else 5 + 0.1 * x[:, 0]
    schema = LEADING[leading].model_copy(update={"also": also})
    records = Split(x, y, np.arange(400), extra_targets=np.column_stack([mass, sex])[:, : len(also)] if also else None)
    return Dataset(schema, *(records.take(np.arange(*ends)) for ends in ((0, 240), (240, 300), (300, 400))))


def fitted(
    folder: Path, dataset: Dataset, each: Callable[[int], None] = int, network: dict[str, Any] | None = None, **how: Any
) -> FitResult:
    tree = {
        "dataset": "d",
        "depends_on": "none",
        "select": {"method": "none"},
        "network": network or {"family": "mlp", "hidden": [16], "dropout": 0.1},
        "training": {
            "max_epochs": 40,
            "patience": 0,
            "optimizer": {"name": "adamw", "lr": 0.02, "weight_decay": 0.1},
            "checkpoint_seconds": 0,
            **how,
        },
    }
    params = Model.model_validate_json(json.dumps(tree))
    return fit("m", params, dataset, CHAIN, seed=1, checkpoint_folder=folder, on_epoch=lambda epoch, *_: each(epoch))


@pytest.mark.parametrize(
    "how", [{}, LEARNT, {"class_balance": "sampling"}, {"class_balance": "weights", "ema_decay": 0.9}]
)
@pytest.mark.parametrize("leading", ["class", "value"])
def test_all_are_told_far_better_than_by_chance(tmp_path: Path, leading: str, how: dict[str, Any]) -> None:
    if leading == "value" and "class_balance" in how:
        pytest.skip("imbalance is of classes")
    dataset = dataset_of(leading)
    saved = fitted(tmp_path, dataset, **how).trained_model
    scores = compute_scores(dataset.schema, dataset.test, predict(saved.model, dataset.test.x))
    assert scores["accuracy" if leading == "class" else "r2"] > 0.85
    assert scores["mass.r2"] > 0.9
    assert scores["mass.rmse"] < 250  # of a deviation of 800
    assert scores["sex.accuracy"] > 0.9


def test_scores_are_those_of_each_target_s_own_rows(tmp_path: Path) -> None:
    dataset = dataset_of()
    p = predict(fitted(tmp_path, dataset, max_epochs=1).trained_model.model, dataset.test.x)
    scores, also = compute_scores(dataset.schema, dataset.test, p), dataset.test.extra_targets
    assert also is not None
    known = [~np.isnan(column) for column in also.T]
    assert scores["accuracy"] == (p[:, :3].argmax(1) == dataset.test.y).mean()
    assert scores["mass.mae"] == pytest.approx(np.abs(p[:, 3] - also[:, 0])[known[0]].mean())
    assert scores["sex.accuracy"] == (p[:, 4:].argmax(1) == also[:, 1])[known[1]].mean()


class InterruptedEpochError(Exception):
    pass


def interrupt(epoch: int) -> None:
    if epoch == 3:
        raise InterruptedEpochError


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_resumed_it_is_the_same_bit_for_bit_learnt_weights_included(tmp_path: Path, optimizer: str) -> None:
    chosen = {**LEARNT, "max_epochs": 6, "optimizer": {"name": optimizer, "lr": 0.02, "weight_decay": 0.1}}
    whole = fitted(tmp_path / "whole", dataset_of(), **chosen)
    with pytest.raises(InterruptedEpochError):
        fitted(tmp_path / "parts", dataset_of(), interrupt, **chosen)
    resumed = fitted(tmp_path / "parts", dataset_of(), **chosen)
    assert resumed.is_resumed
    weights, others = whole.trained_model.model.state_dict(), resumed.trained_model.model.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    assert resumed.history.equals(whole.history)
    told = whole.history[["weight/y", "weight/mass", "weight/sex"]]
    assert (told.iloc[-1] != told.iloc[0]).all()


def test_learnt_weights_do_not_decay_and_are_no_part_of_the_model(tmp_path: Path) -> None:
    strong = {"name": "adamw", "lr": 0.01, "weight_decay": 50.0}
    weak = {**strong, "weight_decay": 0.0}
    first, other = (
        fitted(tmp_path / str(i), dataset_of(), max_epochs=1, batch_size=240, optimizer=chosen, **LEARNT)
        for i, chosen in enumerate((strong, weak))
    )
    names = [name for name in first.history if name.startswith("weight/")]
    assert first.history[names].equals(other.history[names])  # after one step
    assert not any("variance" in name for name in first.trained_model.model.state_dict())


def test_where_others_count_nothing_their_values_change_no_weight(tmp_path: Path) -> None:
    dataset = dataset_of()
    nothing = {"loss_weights": {"name": "fixed", "weights": {"mass": 0.0, "sex": 0.0}}, "max_epochs": 3}
    one = fitted(tmp_path / "1", dataset, **nothing)
    random = np.random.default_rng(1)
    swapped = [
        replace(
            part, extra_targets=random.permuted(part.extra_targets, axis=0) if part.extra_targets is not None else None
        )
        for part in (dataset.train, dataset.validation, dataset.test)
    ]
    other = fitted(tmp_path / "2", Dataset(dataset.schema, *swapped), **nothing)
    assert one.history.equals(other.history)


def test_test_rows_change_nothing_that_is_learnt(tmp_path: Path) -> None:
    dataset = dataset_of()
    assert dataset.test.extra_targets is not None
    altered = replace(
        dataset, test=replace(dataset.test, extra_targets=np.full_like(dataset.test.extra_targets, np.nan))
    )
    one, other = (fitted(tmp_path / str(i), d, max_epochs=3) for i, d in enumerate((dataset, altered)))
    weights, others = one.trained_model.model.state_dict(), other.trained_model.model.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)


def kept(saved: TrainedModel, folder: Path) -> TrainedModel:
    folder.mkdir()
    save_model(replace(saved, metadata={"name": "m", "fingerprint": "0" * 32}), folder)
    write_manifest(folder)
    return load_model(folder)


@pytest.mark.parametrize(
    ("leading", "also", "output", "dtype"),
    [
        ("class", ALSO, "predictions", np.float64),
        ("value", ALSO, "predictions", np.float64),
        ("class", ALSO[1:], "probabilities", np.float32),
        ("value", ALSO[:1], "values", np.float64),
    ],
)
def test_saved_and_exported_it_tells_the_same(
    tmp_path: Path, leading: str, also: tuple[ExtraTarget, ...], output: str, dtype: type
) -> None:
    dataset = dataset_of(leading, ALSO)
    if also == ALSO[1:]:
        parts = (
            replace(part, extra_targets=part.extra_targets[:, 1:])
            for part in dataset.splits().values()
            if part.extra_targets is not None
        )
        dataset = Dataset(dataset.schema.model_copy(update={"also": also}), *parts)
    elif also == ALSO[:1]:
        dataset = dataset_of(leading, also)
    saved = fitted(tmp_path / "work", dataset, max_epochs=2).trained_model
    loaded = kept(saved, tmp_path / "model")
    p = predict(saved.model, dataset.test.x)
    assert (p.shape, p.dtype) == ((100, dataset.schema.n_outputs), dtype)
    np.testing.assert_array_equal(predict(loaded.model, dataset.test.x), p)
    path = tmp_path / "model.onnx"
    export_onnx(loaded, dataset.test.x[:2], path)
    assert max(check_parity(loaded, dataset.test.x, path).values()) < 1e-5
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (told,) = session.run([output], {"x": dataset.test.x})
    assert told.dtype == dtype
    facts = json.loads(session.get_modelmeta().custom_metadata_map["fivefold"])["gives"]
    assert json.loads((tmp_path / "model" / "model.json").read_text())["output"] == facts
    for part, further in zip(facts["also"], also, strict=True):
        first, end = part["columns"]
        assert (part["target"], tuple(part["classes"])) == (further.name, further.classes)
        if part["classes"]:
            np.testing.assert_allclose(told[:, first:end].sum(1), 1, rtol=1e-5)
    onnx.checker.check_model(path)


def test_a_wrong_column_of_the_exported_file_is_found_out(tmp_path: Path) -> None:
    dataset = dataset_of()
    saved = fitted(tmp_path / "work", dataset, max_epochs=1).trained_model
    loaded = kept(saved, tmp_path / "model")
    path = tmp_path / "model.onnx"
    export_onnx(loaded, dataset.test.x[:2], path)
    rescale = loaded.model.head.parts[1]
    rescale.shift += 1.0  # a little more than a thousandth of the deviation
    with pytest.raises(ParityError, match=r"must give what PyTorch gives to 0\.0001"):
        check_parity(loaded, dataset.test.x, path)


class TestTables:
    schema: Schema = dataset_of().schema
    records: Split = dataset_of().test.take(np.arange(20))
    p = np.concatenate(
        [np.full((20, 3), [0.2, 0.5, 0.3]), np.full((20, 1), 4000.0), np.full((20, 2), [0.1, 0.9])], axis=1
    )

    def test_predictions_have_columns_for_each_target(self) -> None:
        frame = prediction_table(self.schema, self.records, self.p)
        classes = [f"p_class{i}" for i in range(3)]
        mass, sex = (
            ["mass.target", "mass.prediction"],
            ["sex.target", "sex.prediction", "sex.p_f", "sex.p_m"],
        )
        assert list(frame) == ["row", "target", "prediction", *classes, *mass, *sex]
        assert self.records.extra_targets is not None
        assert frame["mass.target"].isna().tolist() == np.isnan(self.records.extra_targets[:, 0]).tolist()
        assert frame["sex.target"].isna().tolist() == np.isnan(self.records.extra_targets[:, 1]).tolist()
        known = frame.dropna(subset="sex.target")
        expected = [ALSO[1].classes[int(i)] for i in self.records.extra_targets[known.index, 1]]
        assert known["sex.target"].tolist() == expected
        assert set(frame["sex.prediction"]) == {"m"}

    def test_they_can_be_kept_as_parquet(self, tmp_path: Path) -> None:
        frame = prediction_table(self.schema, self.records, self.p)
        frame.to_parquet(tmp_path / "p.parquet", index=False)
        assert list(pd.read_parquet(tmp_path / "p.parquet")) == list(frame)

    def test_plots_show_the_leading_target(self) -> None:
        history = pd.DataFrame({"epoch": [1, 2], "train/loss": [1.0, 0.5], "val/loss": [1.1, -0.7]})
        shown = build_tables(self.schema, self.records, self.p, history)
        assert list(shown) == ["learning_curve", "confusion", "roc", "calibration"]
        assert set(shown["confusion"].predicted) == {"class1"}
        assert [goal.prefix for goal in target_specs(self.schema)] == ["", "mass.", "sex."]
