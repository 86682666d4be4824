"""A GAN of table rows including the target, from the source file to generated rows and the exported model."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import Table
from fivefold.config.networks.mlp import Mlp
from fivefold.data.dataset import Dataset
from fivefold.evaluation.evaluate import evaluate
from fivefold.evaluation.report import EvaluationReport
from fivefold.export import check_parity, export_onnx
from fivefold.models.serialization import TrainedModel, build_input_example, infer_signature
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit
from fivefold.training.supervised import adapt_dataset

from ..conftest import encode_as_training, table_block
from .helpers import gan_model, split_dataset

ROWS = 400


def frame() -> pd.DataFrame:
    """Return fruits: color and weight depend on the kind, the price on the weight; half of the prices are 0."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["apple", "plum"], ROWS, p=[0.7, 0.3])
    weight = np.where(kind == "apple", rng.normal(150, 5, ROWS), rng.normal(30, 3, ROWS)).round(1)
    color = np.where(kind == "plum", "blue", rng.choice(["red", "green"], ROWS)).astype(object)
    color[::20] = None
    count, price = rng.integers(0, 9, ROWS), np.where(rng.random(ROWS) < 0.5, 0, weight / 100).round(3)
    return pd.DataFrame({"color": color, "weight": weight, "count": count, "price": price, "kind": kind})


class Trained(NamedTuple):
    """A trained GAN and its evaluation."""

    dataset: Dataset
    block: Table
    saved: TrainedModel
    report: EvaluationReport


def train(folder: Path, target: str, task: str, epochs: int, **network: Any) -> Trained:
    frame().to_csv(folder / "fruit.csv", index=False)
    block = table_block(folder / "fruit.csv", target=target, task=task)
    source = encode_as_training(block)
    dataset = split_dataset(source.schema, source.train.x, source.train.y)
    params = gan_model(
        {"hidden": [64, 64], "r1": 1.0, "r1_every": 1, "latent_dim": 16, **network},
        max_epochs=epochs,
        batch_size=50,
        ema_decay=0.98,
        checkpoint="last",
        checkpoint_seconds=1000,
    )
    adapted, pipeline = adapt_dataset(params, block, dataset, fit_scaling(dataset.train.x, dataset.schema, block))
    fitted = fit("m", params, adapted, pipeline, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)
    saved = replace(fitted.trained_model, metadata={"params": {"seed": 1}, "name": "m", "fingerprint": "f"})
    return Trained(dataset, block, saved, evaluate("m", saved, dataset, fitted.history, {"gradient_norm": {}}))


@pytest.fixture(scope="module")
def classification(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("kind"), "kind", "classification", 150)


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("price"), "price", "regression", 3)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(tmp_path_factory.mktemp("conditional"), "kind", "classification", 3, conditioning="label", pac=2)


@pytest.mark.parametrize("fixture", ["classification", "regression", "conditional"])
def test_generated_rows_have_the_columns_of_the_source_and_can_be_read(
    fixture: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    trained: Trained = request.getfixturevalue(fixture)
    rows = trained.report.predictions
    assert sorted(rows) == sorted(frame())
    assert len(rows) == len(trained.dataset.train)
    assert rows["count"].dtype == np.int64
    assert rows["count"].between(0, 8).all()
    assert set(rows["color"].dropna()) <= {"red", "green", "blue"}
    assert set(rows["kind"]) == {"apple", "plum"}
    assert (rows["weight"].round(1) == rows["weight"]).all()
    rows.to_parquet(tmp_path / "generated.parquet")
    again = encode_as_training(trained.block.model_copy(update={"source": str(tmp_path / "generated.parquet")}))
    assert again.schema.classes == trained.dataset.schema.classes
    assert [column.type for column in again.schema.columns] == [c.type for c in trained.dataset.schema.columns]


def test_generated_rows_have_the_dependencies_of_real_ones(classification: Trained) -> None:
    rows, scores = classification.report.predictions, classification.report.scores["test"]
    assert (rows["color"][rows["kind"] == "plum"].dropna() == "blue").mean() > 0.9
    assert ((rows["weight"] > 90) == (rows["kind"] == "apple")).mean() > 0.9
    assert (rows["price"] == 0).mean() == pytest.approx(0.5, abs=0.15)
    assert scores["tstr"] > 0.95
    assert scores["wasserstein"] < 0.25
    assert scores["total_variation"] < 0.15
    assert scores["exact_copies"] < scores["exact_copies_real"] + 0.1


def test_each_score_has_a_baseline_of_real_rows(regression: Trained) -> None:
    for scores in regression.report.scores.values():
        names = {"tstr", "wasserstein", "total_variation", "correlation_difference", "dcr", "exact_copies"}
        assert names <= set(scores)
        assert all(f"{name}_real" in scores for name in scores if not name.endswith("_real"))
        assert np.isfinite(list(scores.values())).all()


def test_exported_model_generates_the_same_rows(classification: Trained, tmp_path: Path) -> None:
    saved, x = classification.saved, classification.dataset.test.x
    export_onnx(
        saved, build_input_example(infer_signature(saved.network_config, saved.schema), x, 2), tmp_path / "model.onnx"
    )
    assert max(check_parity(saved, x, tmp_path / "model.onnx").values()) < 1e-4


def test_dataset_of_other_networks_is_not_adapted(classification: Trained) -> None:
    params = gan_model({}).model_copy(update={"network": Mlp(family="mlp")})
    pipeline = fit_scaling(classification.dataset.train.x, classification.dataset.schema, classification.block)
    assert adapt_dataset(params, classification.block, classification.dataset, pipeline) == (
        classification.dataset,
        pipeline,
    )
