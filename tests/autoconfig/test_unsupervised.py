"""What `fivefold add` makes of data without a target: seen by itself, or said by --task unsupervised."""

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
DRAWN = {"by": "random", "validation": 0.15, "test": 0.15}
GIVEN = {"by": "column", "validation": 0.15}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)


def screen(found: AddResult) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_report(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def pngs(*folders: str, side: int = 8) -> str:
    for i in range(N):
        place = Path("mine", folders[i % len(folders)])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (side, side), dtype=np.uint8)).save(place / f"{i}.png")
    return "mine"


def archive() -> str:
    np.savez("mine.npz", x=RANDOM.normal(size=(N, 12)))
    return "mine.npz"


def ts() -> str:
    lines = "\n".join(",".join(map(str, row)) for row in RANDOM.normal(size=(N, 5)))
    Path("mine.ts").write_text(f"@classLabel false\n@data\n{lines}\n")
    return "mine.ts"


SEEN: dict[str, tuple[Callable[[], str], str, dict[str, Any]]] = {
    "a flat folder": (lambda: pngs(""), "images", DRAWN),
    "one folder within": (lambda: pngs("all"), "images", DRAWN),
    "train and test": (lambda: pngs("train", "test"), "images", GIVEN),
    "an archive of x alone": (archive, "sequences", DRAWN),
    "a .ts without labels": (ts, "sequences", DRAWN),
}


@pytest.mark.parametrize(("write", "kind", "split"), SEEN.values(), ids=SEEN)
def test_that_there_are_no_labels_is_seen(write: Callable[[], str], kind: str, split: dict[str, Any]) -> None:
    found = add(Path(write()))
    assert (found.dataset_block["kind"], found.dataset_block["task"], found.dataset_block["split"]) == (
        kind,
        "unsupervised",
        split,
    )
    assert found.model_block["network"]["family"] == "autoencoder"
    assert "no labels were found" in screen(found)
    assert found.params.models["mine"].dataset == "mine"  # params.yaml holds with it


def test_folders_of_classes_are_classes_unless_a_person_says_otherwise() -> None:
    source = Path(pngs("cat", "dog"))
    assert add(source).dataset_block["task"] == "classification"
    found = add(source, task="unsupervised")
    assert (found.dataset_block["task"], found.dataset_block["split"]) == ("unsupervised", DRAWN)
    assert "no labels were found" not in screen(found)


@pytest.mark.parametrize(("side", "architecture"), [(8, "dense"), (16, "conv")])
def test_larger_images_are_told_by_convolutions(side: int, design: str) -> None:
    assert add(Path(pngs("", side=side))).params.models["mine"].network.architecture == design  # type: ignore[union-attr]


def table(**more: Any) -> Path:
    frame = pd.DataFrame(RANDOM.normal(size=(N, 6)), columns=list("abcdef")).assign(colour=["red", "blue"] * (N // 2))
    frame.assign(**more).to_csv("mine.csv", index=False)
    return Path("mine.csv")


class TestTable:
    def test_both_ways_are_told_where_no_name_says_the_target(self) -> None:
        with pytest.raises(DataError, match=r"--target; .* or, if nothing is to be predicted: --task unsupervised$"):
            add(table())

    def test_every_column_is_a_feature(self) -> None:
        found = add(table(row_id=np.arange(N)), task="unsupervised")
        assert {key: found.dataset_block[key] for key in ("kind", "task", "drop", "split")} == {
            "kind": "table",
            "task": "unsupervised",
            "drop": ["row_id"],
            "split": DRAWN,
        }
        assert found.dataset.schema.shape == (7,)
        assert found.model_block["network"]["latent"] == 2
        shown = screen(found)
        assert shown.startswith("mine: table, unsupervised\n")
        assert "target" not in shown

    def test_rows_of_one_person_stay_together_and_parts_are_kept(self) -> None:
        assert add(table(patient=np.arange(N) // 4), task="unsupervised").dataset_block["split"]["column"] == "patient"
        found = add(table(part=["train", "test", "train"] * (N // 3)), task="unsupervised")
        assert found.dataset_block["split"] == {**GIVEN, "column": "part"}

    def test_a_column_that_may_be_a_label_is_told(self) -> None:
        assert "Label: learnt like other columns; if it is a label, take" in screen(
            add(table(Label=["x", "y"] * (N // 2)), task="unsupervised")
        )

    def test_steps_of_sequences_and_pixels_are_known_without_a_target(self) -> None:
        steps = {"series": np.repeat(np.arange(20), 8), "t": np.tile(np.arange(8), 20), "v": RANDOM.normal(size=160)}
        pd.DataFrame(steps).to_csv("waves.csv", index=False)
        found = add(Path("waves.csv"), task="unsupervised")
        assert [found.dataset_block[key] for key in ("kind", "series", "step")] == ["sequences", "series", "t"]
        pd.DataFrame(RANDOM.integers(0, 256, (N, 64))).to_parquet("dots.parquet")
        assert add(Path("dots.parquet"), task="unsupervised").dataset.schema.shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            {"task": "clustering"},
            "--task must be one of classification, regression, forecasting, unsupervised, but is 'clustering'; choose",
        ),
        ({"task": "unsupervised", "target": "a"}, "has no target, but --target names 'a'; leave out one of them"),
        ({"task": "unsupervised", "kind": "series"}, "is of table, images, sequences, but --kind is series; leave out"),
    ],
)
def test_options_that_exclude_each_other_are_refused(said: dict[str, str], line: str) -> None:
    with pytest.raises(DataError, match=line):
        add(table(), **said)


def test_a_text_is_refused() -> None:
    pd.DataFrame({"text": [f"It was the {i}th dark and stormy night, and it rained" for i in range(N)]}).to_csv("n.csv")
    with pytest.raises(DataError, match=r"^--task unsupervised is of table, images, sequences, but n.csv is taken for"):
        add(Path("n.csv"), task="unsupervised")
