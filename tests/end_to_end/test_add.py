"""`fivefold add`, then `dvc repro`: from a file of each kind to a registered model, without an edit by hand."""

import csv
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from .project import Project

RANDOM = np.random.default_rng(0)


def table(folder: Path) -> list[str]:
    n = 200
    colour = RANDOM.choice(["red", "green", "blue"], n)
    size = RANDOM.normal(size=n)
    answer = np.where((size > 0) ^ (colour == "red"), "yes", "no")
    frame = pd.DataFrame({"row id": np.arange(n), "colour": colour, "size": size, "answer": answer})
    frame.loc[::10, "size"] = np.nan
    frame.to_parquet(folder / "things.parquet")
    return ["things.parquet", "--target", "answer"]


def images(folder: Path) -> list[str]:
    with zipfile.ZipFile(folder / "pets.zip", "w") as archive:
        for name, shade in (("cat", 60), ("dog", 180)):
            for i in range(40):
                pixels = RANDOM.integers(shade - 50, shade + 50, (8 + i % 3, 9, 3), dtype=np.uint8)  # of three sizes
                with archive.open(f"pets/{name}/{i}.png", "w") as file:
                    Image.fromarray(pixels).save(file, "PNG")
    return ["pets.zip"]


def sequences(folder: Path) -> list[str]:
    with (folder / "waves.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "t", "x", "y", "label"])
        for i in range(80):
            rate = 0.3 if i % 2 else 0.9
            for t in range(RANDOM.integers(15, 25)):
                writer.writerow([i, t, np.sin(rate * t), np.cos(rate * t), "slow" if i % 2 else "fast"])
    return ["waves.csv"]


def series(folder: Path) -> list[str]:
    times = pd.date_range("2024-01-01", periods=400, freq="30min")
    heat = np.sin(np.arange(400) / 24 * np.pi)
    frame = pd.DataFrame({"when": times, "load": 10 + 3 * heat + 0.1 * RANDOM.normal(size=400), "heat": heat})
    frame.drop(index=[50, 51]).to_csv(folder / "load.csv", index=False)
    return ["load.csv", "--target", "load"]


def text(folder: Path) -> list[str]:
    good, bad = "très bon café, merci beaucoup à vous", "c'était vraiment mauvais, plus jamais"
    rows = [{"mail": f"{good if i % 2 else bad} numéro {i}", "label": i % 2} for i in range(120)]
    pd.DataFrame(rows).to_csv(folder / "mails.csv.gz", index=False, encoding="latin-1")
    return ["mails.csv.gz"]


@pytest.mark.parametrize("kind", [table, images, sequences, series, text], ids=lambda kind: kind.__name__)
def test_from_a_file_to_a_registered_model(small: Project, tmp_path: Path, kind: Callable[[Path], list[str]]) -> None:
    file, *options = kind(tmp_path)
    before = (small.folder / "params.yaml").read_text()
    command = ("fivefold", "add", str(tmp_path / file), "--name", "mine", *options)

    dry = small.run(*command, "--dry-run")
    assert "+  mine:" in dry.stdout
    assert [line for line in dry.stdout.splitlines() if line.startswith("-") and line != "--- params.yaml"] == []
    assert (small.folder / "params.yaml").read_text() == before
    assert not any((small.folder / "data/raw").glob("mine*"))

    told = small.run(*command).stdout
    assert f"mine: {kind.__name__}" in told
    assert "dvc repro evaluate@mine" in told
    small.run("fivefold", "check")
    small.run("dvc", "repro", "export@mine")
    scores = small.json("reports/mine/metrics.json")["test"]
    lead = scores["r2" if kind is series else "accuracy"]
    assert lead > 0.85, scores
    assert small.mlflow().get_model_version_by_alias("fivefold-mine", "champion").version == 1

    again = small.run(*command, ok=False)
    assert again.returncode == 2
    assert "datasets.mine must be a new name" in again.stderr


def test_what_cannot_be_understood_changes_nothing(small: Project, tmp_path: Path) -> None:
    before = (small.folder / "params.yaml").read_text()
    (tmp_path / "bad.csv").write_bytes(b"a,b\n1,2\n3,4,5\n")
    (tmp_path / "short.csv").write_text("a,label\n1,x\n2,y\n")
    for file, said in (("bad.csv", "must be CSV"), ("short.csv", "rows"), ("none.csv", "does not exist")):
        refused = small.run("fivefold", "add", str(tmp_path / file), ok=False)
        assert refused.returncode == 2
        assert said in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert (small.folder / "params.yaml").read_text() == before
    assert not (small.folder / "data/raw/bad.csv").exists()


@pytest.mark.parametrize(
    ("name", "models"),
    [
        # autoencoder_32 is autoencoder_16 with another number
        ("fashion_mnist", ["tutorial_cnn", "fashion_mlp", "autoencoder_16", "denoising", "variational"]),
        ("fashion_mnist_gpu", ["fashion_resnet"]),
    ],
)
def test_an_example_runs_on_idx_files(small: Project, tmp_path: Path, name: str, models: list[str]) -> None:
    """Four small IDX files in place of Fashion-MNIST, one epoch; the store is that of the project."""
    example = small.folder / "examples" / name
    shutil.rmtree(example / "data", ignore_errors=True)
    folder = tmp_path / "idx"
    folder.mkdir()
    for part, n in (("train", 300), ("t10k", 60)):
        labels = (np.arange(n) % 10).astype(np.uint8)
        pixels = np.clip(RANDOM.integers(0, 30, (n, 28, 28)) + labels[:, None, None] * 20, 0, 255).astype(np.uint8)
        head = np.array([2051, n, 28, 28], ">u4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(np.array([2049, n], ">u4").tobytes() + labels.tobytes())
    for path in (example / "params.yaml", example / "dvc.yaml"):
        text = path.read_text().replace("/usr/share/datasets/fashion-mnist", str(folder))
        path.write_text(re.sub(r"max_epochs: \d+", "max_epochs: 1", text).replace("validation: 5000", "validation: 60"))
    small.run("dvc", "--cd", f"examples/{name}", "repro", *(f"export@{model}" for model in models))
    for model in models:
        assert (example / f"models/{model}/model.onnx").exists()
        assert [run.info.status for run in small.runs(model)] == ["FINISHED"]
    assert not (example / "mlruns").exists()
    assert not small.status() - {"train@mlp", "evaluate@mlp", "export@mlp"}
