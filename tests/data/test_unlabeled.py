"""Task unsupervised in every format: sources without labels, and with labels that are ignored."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from fivefold.config.datasets import DatasetConfig as Params
from fivefold.data.dataset import Dataset
from fivefold.data.prepare import prepare
from fivefold.errors import DataError

from .helpers import encode_image, idx_bytes, random_pixels, write_folder, write_zip

BLOCKS: TypeAdapter[Any] = TypeAdapter(Params)
N = 20
RANDOM = {"by": "random", "validation": 4, "test": 4}
PIXELS = random_pixels(N, 4, 5)
PNGS = {f"{i:02}.png": encode_image(write_pixel_table) for i, write_pixel_table in enumerate(PIXELS)}
VALUES = np.random.default_rng(0).normal(size=(N, 6)).round(3)
LINES = [",".join(map(str, row)) for row in VALUES]


def prepared(source: Path, kind: str, **changes: Any) -> Dataset:
    block = {"kind": kind, "source": str(source), "task": "unsupervised", "split": RANDOM, "normalize": "none"}
    return prepare(BLOCKS.validate_python({**block, **changes}, strict=False), 0)[0]


def write_archive(root: Path, **arrays: Any) -> Path:
    np.savez(root / "a.npz", **arrays)
    return root / "a.npz"


def write_idx(root: Path) -> Path:
    (root / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx_bytes(PIXELS)))
    return root


def write_file(root: Path, name: str, text: str) -> Path:
    (root / name).write_text(text)
    return root / name


def write_pixel_table(root: Path) -> Path:
    pd.DataFrame(PIXELS[:, :, :4].reshape(N, 16)).to_csv(root / "a.csv", index=False)
    return root / "a.csv"


def write_long_table(root: Path, **more: Any) -> Path:
    """Write a long table in which sequence i has the six values of its row."""
    long = {"series": np.repeat(np.arange(N), 6), "t": np.tile(np.arange(6), N), "v": VALUES.ravel(), **more}
    pd.DataFrame(long).to_parquet(root / "a.parquet")
    return root / "a.parquet"


IMAGES: dict[str, Callable[[Path], Path]] = {
    "a flat folder": lambda root: write_folder(root, PNGS),
    "a flat zip": lambda root: write_zip(root, PNGS),
    "folders that are no classes": lambda root: write_folder(
        root, {f"day{i % 3}/{n}": png for i, (n, png) in enumerate(sorted(PNGS.items()))}
    ),
    "some in a folder": lambda root: write_folder(
        root, {("more/" if name > "15" else "") + name: png for name, png in PNGS.items()}
    ),
    "an archive": lambda root: write_archive(root, x=PIXELS),
    "an archive with labels": lambda root: write_archive(root, x=PIXELS, y=np.arange(N) % 2),
    "IDX files": write_idx,
    "columns of pixels": write_pixel_table,
}
SEQUENCES: dict[str, Callable[[Path], Path]] = {
    "a long form": write_long_table,
    "an archive": lambda root: write_archive(root, x=VALUES),
    ".ts with @classLabel false": lambda root: write_file(
        root, "a.ts", "\n".join(["@classLabel false", "@data", *LINES])
    ),
    ".ts without @classLabel": lambda root: write_file(root, "a.ts", "\n".join(["@data", *LINES])),
    ".ts with labels": lambda root: write_file(
        root,
        "a.ts",
        "\n".join(["@classLabel true a b", "@data", *(f"{line}:{'ab'[i % 2]}" for i, line in enumerate(LINES))]),
    ),
}


def everything(dataset: Dataset) -> Any:
    """Return all samples in the order of the source."""
    sets = dataset.splits().values()
    order = np.argsort(np.concatenate([samples.rows for samples in sets]))
    return np.concatenate([samples.x for samples in sets])[order]


@pytest.mark.parametrize("write", IMAGES.values(), ids=IMAGES)
def test_images_are_read_without_labels(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    dataset = prepared(write(tmp_path), "images")
    x = everything(dataset)
    assert (dataset.schema.target, dataset.train.y.shape) == ("", (12, 0))
    assert sorted(x.sum(axis=(1, 2, 3)).tolist()) == sorted(PIXELS[:, :, : x.shape[3]].sum(axis=(1, 2)).tolist())


@pytest.mark.parametrize("write", SEQUENCES.values(), ids=SEQUENCES)
def test_sequences_are_read_without_labels(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    dataset = prepared(write(tmp_path), "sequences")
    assert (dataset.schema.target, dataset.train.y.shape) == ("", (12, 0))
    np.testing.assert_array_equal(everything(dataset)[..., 0], VALUES)


def test_a_pair_of_files_defines_the_split(tmp_path: Path) -> None:
    for part, lines in (("TRAIN", LINES[:15]), ("TEST", LINES[15:])):
        write_file(tmp_path, f"A_{part}.tsv", "\n".join(f"1\t{line}" for line in lines))
    dataset = prepared(tmp_path, "sequences", split={"by": "predefined"})
    assert dataset.test.rows.tolist() == [15, 16, 17, 18, 19]
    assert (len(dataset.train), dataset.test.y.shape) == (12, (5, 0))


def test_folders_named_train_and_test_define_the_split(tmp_path: Path) -> None:
    parts = {f"{'train' if name < '15' else 'test'}/{name}": png for name, png in PNGS.items()}
    dataset = prepared(write_folder(tmp_path, parts), "images", split={"by": "predefined"})
    assert [len(samples) for samples in dataset.splits().values()] == [12, 3, 5]
    np.testing.assert_array_equal(np.sort(dataset.test.x.sum(axis=(1, 2, 3))), np.sort(PIXELS[15:].sum(axis=(1, 2))))


def test_an_empty_folder_is_not_a_missing_class(tmp_path: Path) -> None:
    (write_folder(tmp_path, PNGS) / "bird").mkdir()
    block = {"kind": "images", "source": str(tmp_path / "set"), "task": "unsupervised", "split": RANDOM}
    _, results = prepare(BLOCKS.validate_python({**block, "normalize": "none"}, strict=False), 0)
    assert "absent_class" not in {result.rule for result in results}


SPLITS: dict[str, dict[str, Any]] = {
    "group": {"column": "who", "validation": 3, "test": 4},
    "time": {"column": "day", "validation": 4, "test": 4},
    "predefined": {"column": "part"},
}


class TestTable:
    @pytest.mark.parametrize("by", SPLITS)
    def test_every_column_except_the_split_column_is_a_feature(self, tmp_path: Path, by: str) -> None:
        frame = pd.DataFrame(VALUES[:, :2], columns=["a", "b"])
        frame["who"], frame["day"], frame["part"] = np.arange(N) // 2, np.arange(N)[::-1], ["train"] * 15 + ["test"] * 5
        frame.to_csv(tmp_path / "a.csv", index=False)
        column = SPLITS[by]["column"]
        dataset = prepared(tmp_path / "a.csv", "table", split={"by": by, **SPLITS[by]})
        assert [each.name for each in dataset.schema.columns] == [name for name in frame if name != column]
        groups = [set(frame[column].iloc[samples.rows]) for samples in dataset.splits().values()]
        if by == "group":
            assert not groups[0] & groups[1] | groups[0] & groups[2] | groups[1] & groups[2]
        elif by == "time":
            assert max(groups[0]) < min(groups[1]) <= max(groups[1]) < min(groups[2])
        else:
            assert groups == [{"train"}, {"train"}, {"test"}]

    def test_missing_values_and_duplicates_are_dropped_as_with_a_target(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": [*range(18), 2, None], "word": ["x", "y"] * 10})
        frame.to_csv(tmp_path / "a.csv", index=False)
        cleaning = {"missing": {"numeric": "drop"}, "duplicates": "drop"}
        dataset = prepared(tmp_path / "a.csv", "table", **cleaning)
        rows = {int(row) for samples in dataset.splits().values() for row in samples.rows}
        assert len(rows) == 18
        assert len(rows & {2, 18}) == 1

    def test_a_table_without_columns_is_refused(self, tmp_path: Path) -> None:
        pd.DataFrame({"a": range(N)}).to_csv(tmp_path / "a.csv", index=False)
        with pytest.raises(DataError, match=r"must have a feature, but has none; add columns"):
            prepared(tmp_path / "a.csv", "table", drop=["a"])


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (
            "a.ts",
            "@data\n1,2:3\n",
            "a line must have as many dimensions as the first, all of the same length, but line 2",
        ),
        ("a.npz", {"y": np.arange(4)}, "must contain an array x, but contains y; save it with numpy.savez"),
        ("set", {}, "must contain PNG or JPEG files, but contains none; fix `source`"),
    ],
)
def test_invalid_sources_are_refused(tmp_path: Path, name: str, content: Any, line: str) -> None:
    if name == "a.npz":
        write_archive(tmp_path, **content)
    elif name == "set":
        (tmp_path / "set").mkdir()
    else:
        write_file(tmp_path, name, content)
    with pytest.raises(DataError, match=line):
        prepared(tmp_path / name, "sequences" if name != "set" else "images")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.npz", "images"), ("a.ts", "sequences"), ("train-images-idx3-ubyte.gz", "images"), ("set", "images")],
)
def test_missing_labels_are_refused_with_the_unsupervised_task_as_remedy(tmp_path: Path, name: str, kind: str) -> None:
    write_archive(tmp_path, x=PIXELS)
    write_file(tmp_path, "a.ts", "@data\n1,2\n")
    write_idx(tmp_path)
    write_folder(tmp_path, PNGS)
    with pytest.raises(DataError, match=r"\A[^\n]*`task: unsupervised`\Z"):
        prepared(tmp_path / name, kind, task="classification")
