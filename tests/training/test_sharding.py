"""A generator of a table's rows, from the source to rows in words: with its target, whatever that is."""

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
from .test_adversarial import divided, model

ROWS = 400


def frame() -> pd.DataFrame:
    """Fruits: the colour and the weight follow from the kind, the price from the weight; half of them cost nothing."""
    random = np.random.default_rng(0)
    kind = random.choice(["apple", "plum"], ROWS, p=[0.7, 0.3])
    weight = np.where(kind == "apple", random.normal(150, 5, ROWS), random.normal(30, 3, ROWS)).round(1)
    colour = np.where(kind == "plum", "blue", random.choice(["red", "green"], ROWS)).astype(object)
    colour[::20] = None
    count, price = random.integers(0, 9, ROWS), np.where(random.random(ROWS) < 0.5, 0, weight / 100).round(3)
    return pd.DataFrame({"colour": colour, "weight": weight, "count": count, "price": price, "kind": kind})


class Trained(NamedTuple):
    """A generator, and what is said of it."""

    dataset: Dataset
    block: Table
    saved: TrainedModel
    report: EvaluationReport


def trained(folder: Path, target: str, task: str, epochs: int, **network: Any) -> Trained:
    frame().to_csv(folder / "fruit.csv", index=False)
    block = table_block(folder / "fruit.csv", target=target, task=task)
    rows = encode_as_training(block)
    dataset = divided(rows.schema, rows.train.x, rows.train.y)
    chosen = model(
        {"hidden": [64, 64], "r1": 1.0, "r1_every": 1, "latent": 16, **network},
        max_epochs=epochs,
        batch_size=50,
        ema=0.98,
        keep="last",
        checkpoint_seconds=1000,
    )
    learnt, chain = adapt_dataset(chosen, block, dataset, fit_scaling(dataset.train.x, dataset.schema, block))
    fitted = fit("m", chosen, learnt, chain, seed=1, checkpoint_folder=folder, on_epoch=lambda *_: None)
    saved = replace(fitted.trained_model, metadata={"params": {"seed": 1}, "name": "m", "fingerprint": "f"})
    return Trained(dataset, block, saved, evaluate("m", saved, dataset, fitted.history, {"gradient": {}}))


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("kind"), "kind", "classification", 150)


@pytest.fixture(scope="module")
def of_values(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("price"), "price", "regression", 3)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("asked"), "kind", "classification", 3, condition="label", pac=2)


@pytest.mark.parametrize("each", ["of_classes", "of_values", "asked"])
def test_whole_rows_are_made_in_words_and_read_again(each: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    made: Trained = request.getfixturevalue(each)
    rows = made.report.predictions
    assert sorted(rows) == sorted(frame())
    assert len(rows) == len(made.dataset.train)
    assert rows["count"].dtype == np.int64
    assert rows["count"].between(0, 8).all()
    assert set(rows["colour"].dropna()) <= {"red", "green", "blue"}
    assert set(rows["kind"]) == {"apple", "plum"}
    assert (rows["weight"].round(1) == rows["weight"]).all()
    rows.to_parquet(tmp_path / "made.parquet")
    again = encode_as_training(made.block.model_copy(update={"source": str(tmp_path / "made.parquet")}))
    assert again.schema.classes == made.dataset.schema.classes
    assert [column.type for column in again.schema.columns] == [c.type for c in made.dataset.schema.columns]


def test_made_rows_hold_what_real_ones_do(of_classes: Trained) -> None:
    rows, scores = of_classes.report.predictions, of_classes.report.scores["test"]
    assert (rows["colour"][rows["kind"] == "plum"].dropna() == "blue").mean() > 0.9
    assert ((rows["weight"] > 90) == (rows["kind"] == "apple")).mean() > 0.9
    assert (rows["price"] == 0).mean() == pytest.approx(0.5, abs=0.15)
    assert scores["tstr"] > 0.95
    assert scores["wasserstein"] < 0.25
    assert scores["total_variation"] < 0.15
    assert scores["exact_copies"] < scores["exact_copies_real"] + 0.1


def test_every_score_of_rows_stands_beside_that_of_real_ones(of_values: Trained) -> None:
    for scores in of_values.report.scores.values():
        names = {"tstr", "wasserstein", "total_variation", "correlation_difference", "dcr", "exact_copies"}
        assert names <= set(scores)
        assert all(f"{name}_real" in scores for name in scores if not name.endswith("_real"))
        assert np.isfinite(list(scores.values())).all()


def test_the_exported_file_makes_the_same_rows(of_classes: Trained, tmp_path: Path) -> None:
    saved, x = of_classes.saved, of_classes.dataset.test.x
    export_onnx(
        saved, build_input_example(infer_signature(saved.network_config, saved.schema), x, 2), tmp_path / "model.onnx"
    )
    assert max(check_parity(saved, x, tmp_path / "model.onnx").values()) < 1e-4


def test_other_networks_learn_the_rows_as_they_are(of_classes: Trained) -> None:
    chosen = model({}).model_copy(update={"network": Mlp(family="mlp")})
    chain = fit_scaling(of_classes.dataset.train.x, of_classes.dataset.schema, of_classes.block)
    assert adapt_dataset(chosen, of_classes.block, of_classes.dataset, chain) == (of_classes.dataset, chain)
