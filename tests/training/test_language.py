"""A language model from the text file to the exported model, which predicts the next character."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from fivefold.config.datasets import Text
from fivefold.config.models import Model
from fivefold.config.splits import TimeSplit
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare
from fivefold.evaluation.metrics import bits_per_token
from fivefold.evaluation.predict import predict_for_metrics, subsample_for_scoring
from fivefold.export import check_parity, export_onnx
from fivefold.models.serialization import TrainedModel
from fivefold.preprocessing.scaling import fit_scaling
from fivefold.training.fit import fit

RNN = {"family": "rnn", "cell": "gru", "hidden": (24,), "embedding_dim": 8}
MLP = {"family": "mlp", "hidden": (32,), "embedding_dim": 8, "pool": "flatten"}


def train(folder: Path, network: dict[str, Any]) -> tuple[Dataset, TrainedModel, pd.DataFrame]:
    """Train a model of a random sequence of two words with equal probabilities."""
    words = np.random.default_rng(0).choice(["abc ", "xyz "], 300)
    (folder / "a.txt").write_text("".join(words))
    split = TimeSplit(by="time", validation=0.2, test=0.2)
    options = {"task": "language_modeling", "tokenizer": "character", "min_count": 1, "max_length": 8, "checks": {}}
    block = Text.model_validate({"kind": "text", "source": str(folder / "a.txt"), "split": split, **options})
    dataset, _ = prepare(block, 0)
    optimizer = {"name": "adam", "lr": 0.02}
    tree = {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": network}
    params = Model.model_validate({**tree, "training": {"max_epochs": 6, "batch_size": 8, "optimizer": optimizer}})
    pipeline = fit_scaling(dataset.train.x, dataset.schema, block)
    fitted = fit(
        "m", params, dataset, pipeline, seed=1, checkpoint_folder=folder / "checkpoints", on_epoch=lambda *_: None
    )
    metadata = {"name": "m", "fingerprint": "f"}
    return dataset, TrainedModel(**{**vars(fitted.trained_model), "metadata": metadata}), fitted.history


@pytest.mark.parametrize("network", [RNN, MLP], ids=["rnn", "mlp"])
def test_bits_per_token_are_those_of_the_source(network: dict[str, Any], tmp_path: Path) -> None:
    dataset, trained_model, history = train(tmp_path, network)
    p = predict_for_metrics(trained_model, dataset.test)
    assert len(p) == len(dataset.test)
    assert bits_per_token(dataset.test.y, p) == pytest.approx(0.25, abs=0.03)  # one of four characters has one bit
    with torch.inference_mode():
        probabilities = trained_model.model(torch.from_numpy(np.array(dataset.test.x))).numpy()
    np.testing.assert_allclose(p[:, 0], probabilities[np.arange(len(p)), dataset.test.y], rtol=1e-4)
    assert history["val/loss"].min() < history["val/loss"].iloc[0]
    export_onnx(trained_model, dataset.test.x[:2], tmp_path / "m.onnx")
    assert max(check_parity(trained_model, dataset.test.x, tmp_path / "m.onnx").values()) < 1e-5


def test_scoring_uses_a_subsample_of_many_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, trained_model, _ = train(tmp_path, MLP)
    monkeypatch.setattr("fivefold.evaluation.predict.MAX_LANGUAGE_ROWS", 100)
    sample = subsample_for_scoring(trained_model, dataset.train)
    assert (len(sample), sample.rows[1] - sample.rows[0]) == (90, 8)  # every eighth of 715
    np.testing.assert_array_equal(sample.x[1], dataset.train.x[8])
