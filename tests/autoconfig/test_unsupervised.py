"""`fivefold add` of data without a target, inferred or with --task unsupervised."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

from fivefold.autoconfig.add import AddResult, add
from fivefold.autoconfig.report import print_report
from fivefold.errors import DataError

ROOT = Path(__file__).parents[2]
RANDOM = np.random.default_rng(0)
N = 60
RANDOM_SPLIT = {"by": "random", "validation": 0.15, "test": 0.15}
PREDEFINED = {"by": "predefined", "validation": 0.15}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)


def report_text(result: AddResult) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_report(result, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def pngs(*folders: str, side: int = 8) -> str:
    for i in range(N):
        folder = Path("mine", folders[i % len(folders)])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (side, side), dtype=np.uint8)).save(folder / f"{i}.png")
    return "mine"


def archive() -> str:
    np.savez("mine.npz", x=RANDOM.normal(size=(N, 12)))
    return "mine.npz"


def ts() -> str:
    lines = "\n".join(",".join(map(str, row)) for row in RANDOM.normal(size=(N, 5)))
    Path("mine.ts").write_text(f"@classLabel false\n@data\n{lines}\n")
    return "mine.ts"


UNLABELED: dict[str, tuple[Callable[[], str], str, dict[str, Any]]] = {
    "a flat folder": (lambda: pngs(""), "images", RANDOM_SPLIT),
    "one folder within": (lambda: pngs("all"), "images", RANDOM_SPLIT),
    "train and test": (lambda: pngs("train", "test"), "images", PREDEFINED),
    "an archive of x alone": (archive, "sequences", RANDOM_SPLIT),
    "a .ts without labels": (ts, "sequences", RANDOM_SPLIT),
}


@pytest.mark.parametrize(("write", "kind", "split"), UNLABELED.values(), ids=UNLABELED)
def test_missing_labels_are_detected(write: Callable[[], str], kind: str, split: dict[str, Any]) -> None:
    added = add(Path(write()))
    assert (added.dataset_block["kind"], added.dataset_block["task"], added.dataset_block["split"]) == (
        kind,
        "unsupervised",
        split,
    )
    assert added.model_block["network"]["family"] == "autoencoder"
    assert "no labels found" in report_text(added)
    assert added.params.models["mine"].dataset == "mine"  # the new params.yaml is valid


def test_class_folders_are_a_classification_unless_the_task_is_unsupervised() -> None:
    source = Path(pngs("cat", "dog"))
    assert add(source).dataset_block["task"] == "classification"
    added = add(source, task="unsupervised")
    assert (added.dataset_block["task"], added.dataset_block["split"]) == ("unsupervised", RANDOM_SPLIT)
    assert "no labels found" not in report_text(added)


@pytest.mark.parametrize(("side", "architecture"), [(8, "dense"), (16, "conv")])
def test_larger_images_have_a_convolutional_autoencoder(side: int, architecture: str) -> None:
    network = add(Path(pngs("", side=side))).params.models["mine"].network
    assert network.architecture == architecture  # type: ignore[union-attr]


def table(**more: Any) -> Path:
    frame = pd.DataFrame(RANDOM.normal(size=(N, 6)), columns=list("abcdef")).assign(color=["red", "blue"] * (N // 2))
    frame.assign(**more).to_csv("mine.csv", index=False)
    return Path("mine.csv")


class TestTable:
    def test_an_unknown_target_raises_with_both_options(self) -> None:
        with pytest.raises(
            DataError, match=r"set --target to one of .*, or, if there is no target, --task unsupervised$"
        ):
            add(table())

    def test_every_column_is_a_feature(self) -> None:
        added = add(table(row_id=np.arange(N)), task="unsupervised")
        assert {key: added.dataset_block[key] for key in ("kind", "task", "drop", "split")} == {
            "kind": "table",
            "task": "unsupervised",
            "drop": ["row_id"],
            "split": RANDOM_SPLIT,
        }
        assert added.dataset.schema.shape == (7,)
        assert added.model_block["network"]["latent_dim"] == 2
        shown = report_text(added)
        assert shown.startswith("mine: table, unsupervised\n")
        assert "target" not in shown

    def test_the_split_is_by_group_or_predefined(self) -> None:
        assert add(table(patient=np.arange(N) // 4), task="unsupervised").dataset_block["split"]["column"] == "patient"
        added = add(table(part=["train", "test", "train"] * (N // 3)), task="unsupervised")
        assert added.dataset_block["split"] == {**PREDEFINED, "column": "part"}

    def test_a_possible_label_is_reported(self) -> None:
        assert "Label: used as a feature; if it is a label, remove" in report_text(
            add(table(Label=["x", "y"] * (N // 2)), task="unsupervised")
        )

    def test_sequences_and_pixels_are_detected_without_a_target(self) -> None:
        steps = {"series": np.repeat(np.arange(20), 8), "t": np.tile(np.arange(8), 20), "v": RANDOM.normal(size=160)}
        pd.DataFrame(steps).to_csv("waves.csv", index=False)
        added = add(Path("waves.csv"), task="unsupervised")
        assert [added.dataset_block[key] for key in ("kind", "sequence_id", "time_step")] == [
            "sequences",
            "series",
            "t",
        ]
        pd.DataFrame(RANDOM.integers(0, 256, (N, 64))).to_parquet("dots.parquet")
        assert add(Path("dots.parquet"), task="unsupervised").dataset.schema.shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"task": "clustering"},
            "--task must be one of classification, regression, forecasting, unsupervised, but is 'clustering'; choose",
        ),
        ({"task": "unsupervised", "target": "a"}, "has no target, but --target is 'a'; omit one of them"),
        ({"task": "unsupervised", "kind": "series"}, "is for table, images, sequences, but --kind is series; omit"),
    ],
)
def test_options_that_exclude_each_other_raise(options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        add(table(), **options)


def test_a_text_raises() -> None:
    pd.DataFrame({"text": [f"It was the {i}th dark and stormy night, and it rained" for i in range(N)]}).to_csv("n.csv")
    with pytest.raises(
        DataError, match=r"^--task unsupervised is for table, images, sequences, but n.csv is detected as"
    ):
        add(Path("n.csv"), task="unsupervised")
