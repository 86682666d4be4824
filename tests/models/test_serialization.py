"""The description of the output in a saved model."""

import json
from pathlib import Path

import pytest
import torch

from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.models.serialization import build_output_metadata, save_model

from .helpers import CASES, Case, saved_of


def test_anomaly_detection_stores_threshold_and_normal_classes(tmp_path: Path) -> None:
    mode = {"name": "anomaly", "normal_classes": ("class0", "class3")}
    case = Case(Autoencoder(family="autoencoder", hidden=(4,), latent_dim=2, mode=mode), (12,))
    saved = saved_of(case)
    saved.model.head.get_buffer("threshold").copy_(torch.tensor(0.25))
    expected = {"name": "anomaly", "shape": [2], "threshold": 0.25, "normal_classes": ["class0", "class3"]}
    save_model(saved, tmp_path)
    assert json.loads((tmp_path / "model.json").read_text())["output"] == expected


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("mlp", "y"),
        ("cyclegan", "y"),
        ("gan of labelled rows", "y"),
        ("gan stylegan", ""),
        ("autoencoder denoising", ""),
    ],
)
def test_the_target_is_stored_if_it_is_predicted_or_conditioned_on(name: str, target: str) -> None:
    assert build_output_metadata(saved_of(CASES[name])).get("target", "") == target
