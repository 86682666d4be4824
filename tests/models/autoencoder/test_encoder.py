"""The encoder of an autoencoder as preprocessing of another model, without PyTorch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.selection import EncoderSelection
from fivefold.data.storage import write_manifest
from fivefold.errors import ArtifactError
from fivefold.models.autoencoder.network import AutoencoderNetwork
from fivefold.models.inference import Preprocess
from fivefold.models.serialization import save_model
from fivefold.preprocessing.pipeline import Pipeline
from fivefold.preprocessing.selection import fit_selection, load_encoder

from ..helpers import CASES, features, pipeline_of, records, saved_of, schema_for

AUTOENCODERS = [name for name, case in CASES.items() if isinstance(case.params, Autoencoder)]
WITH_ENCODER = [name for name in AUTOENCODERS if CASES[name].params.architecture != "recurrent"]  # type: ignore[union-attr]


def save_case(folder: Path, name: str) -> AutoencoderNetwork:
    saved = saved_of(CASES[name])
    with torch.no_grad():
        for module in saved.model.network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):  # as after training
                module.running_mean.uniform_(-1, 1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
                module.bias.uniform_(-1, 1)
    save_model(saved, folder)
    write_manifest(folder)
    return saved.model.network  # type: ignore[return-value]


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_steps_compute_the_latent_codes_of_the_network(name: str, tmp_path: Path) -> None:
    network, x = save_case(tmp_path, name), features(CASES[name])
    pipeline = Pipeline("float32", load_encoder(tmp_path))
    with torch.no_grad():
        codes = network.encode(x).numpy()
        np.testing.assert_allclose(pipeline(x.numpy()), codes, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(Preprocess(pipeline)(x).numpy(), codes, rtol=1e-4, atol=1e-5)
    assert pipeline.output_shape(tuple(x.shape[1:])) == codes.shape[1:]


@pytest.mark.parametrize("name", ["autoencoder of words", "autoencoder conv"])
def test_selected_codes_have_mean_0_and_standard_deviation_1(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    save_case(tmp_path, name)
    scaling = pipeline_of(case)
    x, y = scaling(records(case)), np.arange(len(records(case))) % 2.0
    selected = fit_selection(
        x, y, schema_for(case), EncoderSelection(method="autoencoder"), 0, (), load_encoder(tmp_path)
    )
    codes = scaling.with_steps(*selected.steps)(records(case))
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=1e-3)
    assert sorted(selected.table.feature) == sorted(f"latent_{i + 1}" for i in range(codes.shape[1]))
    assert selected.summary == f"{x[0].size} features encoded into {codes.shape[1]} dimensions"


@pytest.mark.parametrize("name", ["autoencoder recurrent", "mlp"])
def test_a_model_without_such_an_encoder_is_rejected(name: str, tmp_path: Path) -> None:
    save_case(tmp_path, name)
    with pytest.raises(ArtifactError, match="must hold a dense or conv autoencoder, but does not"):
        load_encoder(tmp_path)
