"""A registered version comes back as it was trained, by alias or number; what is wrong is one line with the remedy."""

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

pytestmark = pytest.mark.filterwarnings("ignore")  # within mlflow, which no stage imports

CASE = Case(Mlp(family="mlp", hidden=(4,)), TABLE, classes=3)


def graph(path: Path) -> Path:
    """The smallest graph there is."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 3]) for name in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    body = onnx.helper.make_graph([node], "g", ends[:1], ends[1:])
    onnx.save(onnx.helper.make_model(body, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)]), path)
    return path


def register(folder: Path, seed: int = 0, **changes: object) -> None:
    """Register a network of random weights as `fivefold-old`, as export does."""
    trained = folder / f"trained{seed}"
    trained.mkdir(exist_ok=True)
    saved = saved_of(CASE, seed)
    save_model(replace(saved, metadata={"name": "old", "fingerprint": f"f{seed}"}), trained)
    (trained / "manifest.json").unlink(missing_ok=True)
    write_manifest(trained)
    spool = Spool(f"f{seed}")
    spool.append(events.Run(name="old", time=0, tags={"fivefold.fingerprint": spool.fingerprint}))
    facts = {
        "place": spool.copy_file(graph(folder / "model.onnx")),
        "sha256": str(seed),
        "training": tuple(spool.copy_file(path) for path in sorted(trained.iterdir())),
        "trained": manifest_sha256(trained),
        "takes": (3,),
        "example": "[[1, 2, 3]]",
        **changes,
    }
    told = {"model": "fivefold-old", "input": "x", "takes_dtype": "float32", "output": "y", "gives": (3,)}
    told |= {"gives_dtype": "float32"}
    spool.append(events.ModelVersion.model_validate({**told, "requirements": ("onnx",), "tags": {}, **facts}))
    Shipper(spool).send_unsent()
    assert not any((spool.folder / "files").iterdir())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which `fivefold-old` has two versions: the first is the champion, the second the challenger."""
    folder = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for seed in (0, 1):
            register(folder, seed)
    return folder


@pytest.fixture(autouse=True)
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(
    ("start", "version"),
    [({}, 1), ({"alias": "challenger"}, 2), ({"version": 2}, 2), ({"version": 1, "alias": "x"}, 1)],
)
def test_a_version_comes_back_as_it_was_trained(start: dict[str, object], version: int) -> None:
    source = load_registered("new", PretrainedWeights.model_validate({"model": "old", **start}))
    expected = saved_of(CASE, version - 1)
    assert source.display_name == f"fivefold-old version {version}"
    assert source.metadata == {"model": "fivefold-old", "version": version, "digest": source.digest}
    assert source.trained_model.network_config == CASE.params
    assert source.trained_model.schema == expected.schema
    x = torch.from_numpy(np.random.default_rng(0).normal(50, 10, (5, *TABLE)))
    assert torch.equal(outputs(source.trained_model.model, x), outputs(expected.model, x))


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (
            PretrainedWeights(model="odd"),
            "model must be registered, but fivefold-odd has no version in sqlite:////",
        ),
        (
            PretrainedWeights(model="old", alias="best"),
            "alias must be one of challenger, champion of fivefold-old, but is 'best'; choose one of them, or name",
        ),
        (
            PretrainedWeights(model="old", version=7),
            "version must be one of 1, 2 of fivefold-old, but is 7; choose one of them",
        ),
    ],
)
def test_what_is_not_there_is_named_with_what_is(start: PretrainedWeights, said: str) -> None:
    with pytest.raises(ParamsError) as error:
        load_registered("new", start)
    assert str(error.value).startswith(f"models.new.training.pretrained: {said}")
    assert "\n" not in str(error.value)


def test_where_no_store_answers_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(TrackingError) as error:
            load_registered("new", PretrainedWeights(model="old"))
    assert str(error.value) == (
        f"models.new.training.pretrained: MLflow must be reachable to start from fivefold-old, but nothing answers at"
        f" {address}; start that server, or unset MLFLOW_TRACKING_URI"
    )


def place(project: Path, version: int) -> Path:
    """The folder of a version in the store."""
    source = MlflowClient(store.tracking_uri()).get_model_version("fivefold-old", str(version)).source
    return next((project / "mlruns/artifacts/models").glob(f"{source.rpartition('/')[2]}/artifacts"))


def altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def relisted(path: Path) -> None:
    """A weight altered, and the manifest with it: only the tag of the version knows."""
    altered(path)
    (path.parent / "manifest.json").unlink()
    write_manifest(path.parent)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (altered, "weights.safetensors must have the SHA-256"),
        (relisted, "its manifest.json is another than the version's tag says"),
        (Path.unlink, "weights.safetensors must exist"),
    ],
)
def test_weights_that_are_not_those_registered_are_refused(
    project: Path, harm: Callable[[Path], None], said: str
) -> None:
    folder = place(project, 2) / "training"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    harm(folder / "weights.safetensors")
    try:
        with pytest.raises(
            ArtifactError, match=rf"\Afivefold-old version 2 in the registry must hold .*{said}"
        ) as error:
            load_registered("new", PretrainedWeights(model="old", version=2))
        assert str(error.value).endswith("; start from another version, or train and export it again")
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def test_the_same_export_told_again_makes_no_version_and_one_with_other_weights_does(project: Path) -> None:
    client = MlflowClient(store.tracking_uri())
    register(project, 1)
    assert len(client.search_model_versions("name = 'fivefold-old'")) == 2
    manifest = json.loads((project / "trained1/manifest.json").read_text())
    assert set(manifest["files"]) == {"weights.safetensors", "model.json"}
    register(project, 1, trained="another")
    assert len(client.search_model_versions("name = 'fivefold-old'")) == 3


def test_a_version_of_a_graph_alone_says_how_to_get_its_weights(project: Path) -> None:
    client = MlflowClient(store.tracking_uri())
    client.delete_model_version_tag("fivefold-old", "1", "fivefold.trained")
    said = "fivefold-old version 1 must have its weights, but has not; run `dvc repro export@old`"
    with pytest.raises(ParamsError, match=said):
        load_registered("new", PretrainedWeights(model="old", version=1))
