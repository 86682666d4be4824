"""From the registry into another training: a network that knows ten digits learns from a few others which are even."""

import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from .project import Project
from .test_crash import answers, free_port, until

TRAIN = ("python", "-m", "pipeline.train", "new")
NEW = "models.new.training.pretrained"


def history(project: Project, name: str) -> pd.DataFrame:
    return pd.read_csv(project.folder / "models" / name / "history.csv")


def block(project: Project, dataset: str, **training: object) -> dict[str, object]:
    """The project's network of images, on a dataset."""
    cnn = YAML(typ="safe").load(project.folder / "params.yaml")["models"]["cnn"]
    return {**cnn, "dataset": dataset, "training": {**cnn["training"], **training}}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Three models, prepared: old tells digits; scratch and new tell even ones from odd, new starting from old."""
    project = Project(tmp_path_factory.mktemp("transfer") / "fivefold")
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    parity = np.array(["even", "odd"])[found.target % 2]
    for name, rows, y in (("many", order[:1400], found.target), ("few", order[1400:1640], parity)):
        np.savez(project.folder / f"data/raw/{name}.npz", x=found.images[rows].astype(np.uint8), y=y[rows])
    yaml = YAML()
    tree = yaml.load(project.folder / "params.yaml")
    split = {"validation": 0.25, "test": 0.25, "by": "stratified"}
    tree["datasets"] = {
        name: {**tree["datasets"]["digits"], "source": f"data/raw/{name}.npz", "split": split}
        for name in ("many", "few")
    }
    pretrained = {"model": "old", "layer_lr_decay": 0.9}
    constant = {
        "max_epochs": 4,
        "batch_size": 16,
        "schedule": {"name": "constant"},
        "optimizer": {"name": "adam", "lr": 0.002},
    }
    tree["models"] = {
        "old": block(project, "many", max_epochs=10),
        "scratch": block(project, "few", **constant),
        "new": block(project, "few", **constant, pretrained=pretrained),
    }
    yaml.dump(tree, project.folder / "params.yaml")
    project.run("fivefold", "dvc-update")
    project.run("dvc", "repro", "select_features@new", "select_features@scratch")
    return project


def test_before_the_model_is_registered_it_says_what_to_run(digits: Project) -> None:
    done = digits.run(*TRAIN, ok=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {NEW}: model must be registered, but fivefold-old has no version in sqlite:")
    assert done.stderr.endswith("; run `dvc repro export@old`, which registers it\n")


def test_a_network_learns_sooner_from_one_that_knows_its_digits_by_other_names(digits: Project) -> None:
    digits.run("dvc", "repro", "export@old")
    told = digits.run("dvc", "repro", "train@new", "train@scratch").stdout
    assert (
        "new starts from fivefold-old version 1: 3 of 4 layers transferred (layers.0, layers.3, layers.7);"
        " newly initialized:" in told
    )
    warm, cold = history(digits, "new"), history(digits, "scratch")
    assert warm["val/loss"][2] < 0.7 * cold["val/loss"][2]
    assert warm["val/accuracy"][2] > cold["val/accuracy"][2]

    facts = digits.json("models/new/model.json")
    version = digits.mlflow().get_model_version("fivefold-old", "1")
    assert facts["pretrained"] == {
        "model": "fivefold-old",
        "version": 1,
        "digest": version.tags["fivefold.training_digest"],
    }
    assert "pretrained" not in digits.json("models/scratch/model.json")
    until(lambda: digits.runs("new")[0].data.tags.get("pretrained") == "fivefold-old version 1")

    digits.run("dvc", "repro", "export@new")
    exported = digits.mlflow().get_model_version_by_alias("fivefold-new", "champion")
    assert exported.tags["pretrained"] == "fivefold-old version 1"
    assert not {"train@new", "export@new"} & digits.status()


def test_another_version_is_another_state_and_the_same_one_the_same(digits: Project) -> None:
    before = digits.json("models/new/model.json")
    weights = (digits.folder / "models/new/weights.safetensors").read_bytes()
    digits.run(*TRAIN)
    assert digits.json("models/new/model.json") == before
    assert (digits.folder / "models/new/weights.safetensors").read_bytes() == weights

    digits.change("models.old.training.max_epochs", 2)
    digits.run("dvc", "repro", "export@old")
    client = digits.mlflow()
    client.set_registered_model_alias("fivefold-old", "champion", "2")
    assert "train@new" not in digits.status()  # DVC does not see an alias move
    assert "starts from fivefold-old version 2" in digits.run("dvc", "repro", "-f", "-s", "train@new").stdout
    after = digits.json("models/new/model.json")
    assert after["pretrained"]["version"] == 2
    assert after["fingerprint"] != before["fingerprint"]


@pytest.mark.parametrize(
    ("start", "code", "said"),
    [
        (
            {"model": "old", "alias": "best"},
            2,
            "alias must be one of challenger, champion of fivefold-old, but is 'best'",
        ),
        (
            {"model": "old", "version": 9},
            2,
            "version must be one of 1, 2 of fivefold-old, but is 9; choose one of them",
        ),
    ],
)
def test_a_start_that_is_not_there_is_one_line(digits: Project, start: dict[str, object], code: int, said: str) -> None:
    kept = (digits.folder / "params.yaml").read_text()
    digits.change(NEW, start)
    try:
        done = digits.run(*TRAIN, ok=False)
    finally:
        (digits.folder / "params.yaml").write_text(kept)
    assert done.returncode == code
    assert done.stderr.startswith(f"error: {NEW}: {said}")
    assert done.stderr.count("\n") == 1


def test_a_store_out_of_reach_is_one_line(digits: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{taken.getsockname()[1]}"
        done = digits.run(*TRAIN, ok=False, MLFLOW_TRACKING_URI=away)
    assert done.returncode == 1
    assert done.stderr == (
        f"error: {NEW}: MLflow must be reachable to download fivefold-old, but no response from {away};"
        " start that server or unset MLFLOW_TRACKING_URI\n"
    )


def test_what_sync_tells_a_server_anew_can_be_started_from(digits: Project, tmp_path: Path) -> None:
    for file in ("mlflow.db", "artifacts"):
        (digits.folder / "mlruns" / file).rename(tmp_path / file)
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    server = digits.start("fivefold", "ui", "--port", str(port))
    try:
        until(lambda: answers(port), seconds=180)
        digits.run("fivefold", "sync", MLFLOW_TRACKING_URI=uri)
        told = digits.run(*TRAIN, MLFLOW_TRACKING_URI=uri).stdout
        assert "new starts from fivefold-old version 1: 3 of 4 layers" in told
        version = MlflowClient(uri).get_model_version("fivefold-old", "1")
        assert digits.json("models/new/model.json")["pretrained"]["digest"] == version.tags["fivefold.training_digest"]
    finally:
        server.terminate()
        server.communicate()
