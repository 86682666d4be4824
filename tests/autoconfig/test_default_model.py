"""Default models of texts, and their epochs for a few minutes on a CPU."""

from pathlib import Path

import numpy as np
import pytest

from fivefold.autoconfig.default_model import Block, propose_model
from fivefold.autoconfig.detect import detect_dataset
from fivefold.config.models import Model

from ..conftest import dataset_of, schema_of


def proposed(task: str, rows: int) -> Block:
    classes = () if task == "regression" else ("a", "b")
    text = {"kind": "text", "task": task, "classes": classes, "vocabulary": ("", "?", "so"), "features": ()}
    split = (np.zeros((rows, 4), np.int32), np.arange(rows) % 2)
    return propose_model("d", dataset_of(schema_of((4,), 2).model_copy(update=text), split, split, split))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_text_classification_uses_bigrams_and_weight_decay(task: str) -> None:
    block = proposed(task, 3_400)
    assert (block["network"]["ngrams"], block["network"]["hidden"]) == (2, [])
    assert block["training"]["optimizer"] == {"name": "adamw", "lr": 0.01, "weight_decay": 0.1}
    Model.model_validate(block, strict=False)


@pytest.mark.parametrize(("rows", "epochs"), [(3_400, 20), (15_000, 20), (50_000, 10), (200_000, 3)])
def test_more_texts_have_fewer_epochs(rows: int, epochs: int) -> None:
    assert proposed("classification", rows)["training"]["max_epochs"] == epochs


@pytest.mark.parametrize(("rows", "epochs"), [(20_000, 20), (368_000, 20), (4_000_000, 2), (9_000_000, 1)])
def test_language_modeling_uses_an_lstm_for_a_few_minutes(rows: int, epochs: int) -> None:
    block = proposed("language_modeling", rows)
    assert (block["network"]["cell"], block["network"]["hidden"]) == ("lstm", [256])
    assert block["training"]["max_epochs"] == epochs
    Model.model_validate(block, strict=False)


def test_text_of_a_language_model_is_not_lowercased(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("It was a dark and stormy Night. " * 100)
    block = detect_dataset(tmp_path / "novel.txt").block
    assert (block["max_length"], block["lowercase"]) == (128, False)
