"""Contract of every family, on the shapes and with the settings that it supports."""

import json
from itertools import product
from pathlib import Path
from typing import get_args

import onnx
import pytest
import torch

import fivefold.models
from fivefold.config.base import RecurrentCell
from fivefold.config.networks.autoencoder import Autoencoder
from fivefold.config.networks.cnn import (
    IMAGE_ARCHITECTURES,
    SEQUENCE_ARCHITECTURES,
)
from fivefold.config.networks.cyclegan import Cyclegan
from fivefold.config.networks.gan import Gan
from fivefold.config.networks.rnn import Pooling
from fivefold.data.storage import write_manifest
from fivefold.errors import ArtifactError, ParityError
from fivefold.export import check_parity, export_onnx
from fivefold.models.serialization import (
    build_output_metadata,
    infer_signature,
    load_model,
    save_model,
)

from .helpers import (
    CASES,
    ROWS,
    Case,
    model_inputs,
    network_inputs,
    network_of,
    outputs,
    records,
    saved_of,
    schema_for,
    total_loss,
    training_loss,
)


def test_every_family_has_a_case() -> None:
    folder = Path(fivefold.models.__file__).parent
    families = {path.parent.name for path in folder.glob("*/network.py")}
    assert families >= {"mlp", "cnn", "rnn", "autoencoder", "gan", "cyclegan"}
    assert {case.params.family for case in CASES.values()} == families


def test_every_architecture_is_tested_with_classes_and_values() -> None:
    tested = {(case.params.architecture, bool(case.classes)) for case in CASES.values() if case.params.family == "cnn"}
    assert len(IMAGE_ARCHITECTURES + SEQUENCE_ARCHITECTURES) == 7
    assert tested == set(product((*IMAGE_ARCHITECTURES, *SEQUENCE_ARCHITECTURES), (True, False)))


def test_every_cell_is_tested_with_every_pooling() -> None:
    pairs = {(case.params.cell, case.params.pool) for case in CASES.values() if case.params.family == "rnn"}
    assert pairs == set(product(get_args(RecurrentCell), get_args(Pooling)))


def test_sequence_families_are_tested_with_classes_and_values() -> None:
    tested = {(case.params.family, case.kind, bool(case.classes)) for case in CASES.values()}
    assert tested >= set(product(("cnn", "rnn"), ("sequences", "tokens"), (True, False)))
    assert tested >= set(product(("cnn", "rnn"), ("series",), (False,)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
class TestFamily:
    def test_network_has_finite_outputs_for_each_row(self, case: Case) -> None:
        out = outputs(network_of(case), network_inputs(case))
        if not isinstance(case.params, Autoencoder | Cyclegan | Gan):
            assert out.shape == (ROWS, case.classes or case.values)
        assert out.dtype == torch.float32
        assert out.isfinite().all()

    def test_deployed_model_matches_its_signature(self, case: Case) -> None:
        signature = infer_signature(case.params, schema_for(case))
        x = model_inputs(case)
        assert (x.shape[1:], str(x.dtype)) == (signature.input_shape, signature.input_dtype)
        out = outputs(saved_of(case).model, torch.from_numpy(x))
        assert (tuple(out.shape[1:]), str(out.dtype)) == (signature.output_shape, f"torch.{signature.output_dtype}")

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        network = network_of(case).train()
        total_loss(case, network).backward()
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert gradients
        without_gradient = [name for name, gradient in gradients.items() if gradient is None or not gradient.any()]
        assert without_gradient == []

    def test_it_memorizes_one_batch(self, case: Case) -> None:
        network = network_of(case)
        initial_loss = training_loss(case, network.eval()).detach()
        optimizer = torch.optim.Adam(network.train().parameters(), lr=0.01)
        for step in range(200):
            optimizer.zero_grad()
            training_loss(case, network.train()).backward()
            optimizer.step()
            if step % 20 == 19 and training_loss(case, network.eval()).detach() < 0.025 * initial_loss:
                break  # half of the bound below
        assert training_loss(case, network.eval()) < 0.05 * initial_loss

    def test_loaded_model_has_equal_predictions(self, case: Case, tmp_path: Path) -> None:
        saved, x = saved_of(case), torch.from_numpy(model_inputs(case))
        before = outputs(saved.model, x)
        save_model(saved, tmp_path)
        write_manifest(tmp_path)
        torch.manual_seed(99)  # weights that are not loaded would differ
        loaded = load_model(tmp_path)
        assert not any(module.training for module in loaded.model.modules())
        torch.testing.assert_close(outputs(loaded.model, x), before, rtol=0, atol=0, equal_nan=True)
        assert (loaded.schema, loaded.network_config) == (saved.schema, saved.network_config)
        assert loaded.metadata["best_epoch"] == 3

    def test_weights_depend_on_the_seed_only(self, case: Case) -> None:
        first, again, other = (network_of(case, seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(first[name], again[name]) for name in first)
        assert any(not torch.equal(first[name], other[name]) for name in first)

    def test_predictions_do_not_depend_on_the_batch_size(self, case: Case) -> None:
        network, x = network_of(case), network_inputs(case)
        one_by_one = torch.cat([outputs(network, x[i : i + 1]) for i in range(ROWS)])
        torch.testing.assert_close(one_by_one, outputs(network, x), rtol=1e-4, atol=1e-5)

    def test_onnx_equals_pytorch_at_other_batch_sizes(self, case: Case, tmp_path: Path) -> None:
        saved, x = saved_of(case), records(case)
        export_onnx(saved, model_inputs(case)[:2], tmp_path / "model.onnx")
        differences = check_parity(saved, x, tmp_path / "model.onnx")
        assert set(differences) == {"1", "7", "64"}
        assert max(differences.values()) < 1e-5
        (properties,) = onnx.load(tmp_path / "model.onnx").metadata_props
        assert json.loads(properties.value)["output"] == json.loads(json.dumps(build_output_metadata(saved)))


def test_an_onnx_file_with_other_weights_is_detected(tmp_path: Path) -> None:
    x = records(CASES["mlp"])
    export_onnx(saved_of(CASES["mlp"], seed=1), x[:2], tmp_path / "model.onnx")
    message = (
        r"\Amodel\.onnx must match PyTorch to 0\.0001, but differs by .* at batch size \d+; do not deploy it, and"
        r" report the network as a bug\Z"
    )
    with pytest.raises(ParityError, match=message):
        check_parity(saved_of(CASES["mlp"], seed=2), x, tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [(" 64", " 65", r"Error\(s\) in loading state_dict"), ("float64", "float65", "'float65'")],
    ids=["units", "numbers"],
)
def test_a_file_of_another_network_is_rejected(tmp_path: Path, old: str, new: str, reason: str) -> None:
    save_model(saved_of(CASES["mlp"]), tmp_path)
    model = tmp_path / "model.json"
    assert old in model.read_text()
    model.write_text(model.read_text().replace(old, new))
    write_manifest(tmp_path)
    with pytest.raises(ArtifactError, match=f"must contain a model saved by this version, but: {reason}"):
        load_model(tmp_path)
