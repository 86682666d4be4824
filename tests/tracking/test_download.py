"""Loading registered versions by alias or number: weights are unchanged, and errors are one line with the remedy."""

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from mlflow import MlflowClient

from fivefold.config.networks.mlp import Mlp
from fivefold.config.training import PretrainedWeights
from fivefold.data.storage import manifest_sha256, write_manifest
from fivefold.errors import ArtifactError, ParamsError, TrackingError
from fivefold.models.serialization import save_model
from fivefold.tracking import events, store
from fivefold.tracking.pretrained import load_registered
from fivefold.tracking.shipper import Shipper
from fivefold.tracking.spool import Spool

from ..models.helpers import TABLE, Case, outputs, saved_of

pytestmark = pytest.mark.filterwarnings("ignore")  # from mlflow, which no stage imports

CASE = Case(Mlp(family="mlp", hidden=(4,)), TABLE, classes=3)


def save_graph(path: Path) -> Path:
    """Save a graph of a single node."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 3]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    body = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(onnx.helper.make_model(body, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    return path


def register(folder: Path, seed: int = 0, **changes: object) -> None:
    """Register a network of random weights as `fivefold-old`, as export does."""
    model_folder = folder / f"trained{seed}"
    model_folder.mkdir(exist_ok=True)
    save_model(replace(saved_of(CASE, seed), metadata={"name": "old", "fingerprint": f"f{seed}"}), model_folder)
    (model_folder / "manifest.json").unlink(missing_ok=True)
    write_manifest(model_folder)
    spool = Spool(f"f{seed}")
    spool.append(events.Run(name="old", time=0, tags={"fivefold.fingerprint": spool.fingerprint}))
    version = {
        "spool_path": spool.copy_file(save_graph(folder / "model.onnx")),
        "sha256": str(seed),
        "training_files": tuple(spool.copy_file(path) for path in sorted(model_folder.iterdir())),
        "training_digest": manifest_sha256(model_folder),
        "model": "fivefold-old",
        "input_name": "x",
        "input_shape": (3,),
        "input_dtype": "float32",
        "output_name": "y",
        "output_shape": (3,),
        "output_dtype": "float32",
        "input_example": "[[1, 2, 3]]",
        "pip_requirements": ("onnx",),
        "tags": {},
    }
    spool.append(events.ModelVersion.model_validate(version | changes))
    Shipper(spool).send_unsent()
    assert not any((spool.folder / "files").iterdir())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a store with two versions of `fivefold-old`: the first is the champion, the second the challenger."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for seed in (0, 1):
            register(folder, seed)
    return folder


@pytest.fixture(autouse=True)
def project_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("selection", "version"),
    [({}, 1), ({"alias": "challenger"}, 2), ({"version": 2}, 2), ({"version": 1, "alias": "x"}, 1)],
)
def test_a_loaded_version_has_the_registered_weights(selection: dict[str, object], version: int) -> None:
    loaded = load_registered("new", PretrainedWeights.model_validate({"model": "old", **selection}))
    expected = saved_of(CASE, version - 1)
    assert loaded.display_name == f"fivefold-old version {version}"
    assert loaded.metadata == {"model": "fivefold-old", "version": version, "digest": loaded.digest}
    assert loaded.trained_model.network_config == CASE.params
    assert loaded.trained_model.schema == expected.schema
    x = torch.from_numpy(np.random.default_rng(0).normal(50, 10, (5, *TABLE)))
    assert torch.equal(outputs(loaded.trained_model.model, x), outputs(expected.model, x))


@pytest.mark.parametrize(
    ("pretrained", "message"),
    [
        (
            PretrainedWeights(model="odd"),
            "model must be registered, but fivefold-odd has no version in sqlite:////",
        ),
        (
            PretrainedWeights(model="old", alias="best"),
            "alias must be one of challenger, champion of fivefold-old, but is 'best'; choose one of them, or set"
            " `version` instead",
        ),
        (
            PretrainedWeights(model="old", version=7),
            "version must be one of 1, 2 of fivefold-old, but is 7; choose one of them",
        ),
    ],
)
def test_a_missing_model_alias_or_version_is_reported_with_the_existing_ones(
    pretrained: PretrainedWeights, message: str
) -> None:
    with pytest.raises(ParamsError) as error:
        load_registered("new", pretrained)
    assert str(error.value).startswith(f"models.new.training.pretrained: {message}")
    assert "\n" not in str(error.value)


def test_an_unreachable_store_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as error:
            load_registered("new", PretrainedWeights(model="old"))
    assert str(error.value) == (
        "models.new.training.pretrained: MLflow must be reachable to download fivefold-old, but"
        f" no response from {uri}; start that server or unset MLFLOW_TRACKING_URI"
    )


def artifact_folder(project: Path, version: int) -> Path:
    """Return the artifact folder of a version."""
    source = MlflowClient(store.tracking_uri()).get_model_version("fivefold-old", str(version)).source
    return next((project / "mlruns/artifacts/models").glob(f"{source.rpartition('/')[2]}/artifacts"))


def change_weights(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_weights_and_manifest(path: Path) -> None:
    """Change weights and manifest, so that only the tag of the version differs."""
    change_weights(path)
    (path.parent / "manifest.json").unlink()
    write_manifest(path.parent)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (change_weights, "weights.safetensors must have the SHA-256"),
        (change_weights_and_manifest, "the digest of manifest.json differs from the version's tag"),
        (Path.unlink, "weights.safetensors must exist"),
    ],
)
def test_changed_weights_are_rejected(project: Path, damage: Callable[[Path], None], reason: str) -> None:
    folder = artifact_folder(project, 2) / "training"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    damage(folder / "weights.safetensors")
    start = r"\Afivefold-old version 2 must be unchanged since its registration, but: "
    try:
        with pytest.raises(ArtifactError, match=rf"{start}.*{reason}") as error:
            load_registered("new", PretrainedWeights(model="old", version=2))
        assert str(error.value).endswith("; select another version, or train and export it again")
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def test_an_export_sent_again_adds_no_version_but_one_with_other_weights_does(project: Path) -> None:
    client = MlflowClient(store.tracking_uri())
    register(project, 1)
    assert len(client.search_model_versions("name = 'fivefold-old'")) == 2
    manifest = json.loads((project / "trained1/manifest.json").read_text())
    assert set(manifest["files"]) == {"weights.safetensors", "model.json"}
    register(project, 1, training_digest="another")
    assert len(client.search_model_versions("name = 'fivefold-old'")) == 3


def test_a_version_without_weights_is_reported_with_the_remedy(project: Path) -> None:
    client = MlflowClient(store.tracking_uri())
    client.delete_model_version_tag("fivefold-old", "1", "fivefold.training_digest")
    message = (
        "models.new.training.pretrained: fivefold-old version 1 must include its weights, but does not;"
        " run `dvc repro export@old`, which registers it again"
    )
    with pytest.raises(ParamsError) as error:
        load_registered("new", PretrainedWeights(model="old", version=1))
    assert str(error.value) == message
