"""A novel from the file to an exported model that tells the next character."""

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

RNN = {"family": "rnn", "cell": "gru", "hidden": (24,), "embedding": 8}
MLP = {"family": "mlp", "hidden": (32,), "embedding": 8, "pool": "flatten"}


def learnt(folder: Path, network: dict[str, Any]) -> tuple[Dataset, TrainedModel, pd.DataFrame]:
    """A model of a text of two words: after a space it is a coin that says which one comes."""
    words = np.random.default_rng(0).choice(["abc ", "xyz "], 300)
    (folder / "a.txt").write_text("".join(words))
    split = TimeSplit(by="time", validation=0.2, test=0.2)
    told = {"task": "language", "level": "character", "min_count": 1, "length": 8, "split": split, "checks": {}}
    block = Text.model_validate({"kind": "text", "source": str(folder / "a.txt"), **told})
    dataset, _ = prepare(block, 0)
    optimizer = {"name": "adam", "lr": 0.02}
    tree = {"dataset": "d", "depends_on": "none", "select": {"method": "none"}, "network": network}
    params = Model.model_validate({**tree, "training": {"max_epochs": 6, "batch_size": 8, "optimizer": optimizer}})
    chain = fit_scaling(dataset.train.x, dataset.schema, block)
    fitted = fit("m", params, dataset, chain, seed=1, checkpoint_folder=folder / "kept", on_epoch=lambda *_: None)
    facts = {"name": "m", "fingerprint": "f"}
    return dataset, TrainedModel(**{**vars(fitted.trained_model), "facts": facts}), fitted.history


@pytest.mark.parametrize("network", [RNN, MLP], ids=["rnn", "mlp"])
def test_it_tells_what_can_be_told(network: dict[str, Any], tmp_path: Path) -> None:
    dataset, saved, history = learnt(tmp_path, network)
    p = predict_for_metrics(saved, dataset.test)
    assert len(p) == len(dataset.test)
    assert bits_per_token(dataset.test.y, p) == pytest.approx(
        0.25, abs=0.03
    )  # of four characters one is a coin's: a bit
    with torch.inference_mode():
        whole = saved.model(torch.from_numpy(np.array(dataset.test.x))).numpy()
    np.testing.assert_allclose(p[:, 0], whole[np.arange(len(p)), dataset.test.y], rtol=1e-4)
    assert history["val/loss"].min() < history["val/loss"].iloc[0]
    export_onnx(saved, dataset.test.x[:2], tmp_path / "m.onnx")
    assert max(check_parity(saved, dataset.test.x, tmp_path / "m.onnx").values()) < 1e-5


def test_of_many_rows_a_few_are_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, saved, _ = learnt(tmp_path, MLP)
    monkeypatch.setattr("fivefold.evaluation.predict.MAX_LANGUAGE_ROWS", 100)
    few = subsample_for_scoring(saved, dataset.train)
    assert (len(few), few.rows[1] - few.rows[0]) == (90, 8)  # of 715 every eighth
    np.testing.assert_array_equal(few.x[1], dataset.train.x[8])
