"""Folders with a pair of files of training and test sequences."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.config.datasets import Sequences
from fivefold.config.splits import PredefinedSplit, RandomSplit
from fivefold.data.dataset import SPLITS
from fivefold.data.prepare import prepare
from fivefold.data.readers.sequences import read_sequences

from ..helpers import assert_sequences_refused, sequences_block

PREDEFINED = PredefinedSplit(by="predefined", validation=2)
TS = "@timeStamps false\n@classLabel true 1 2\n@data\n"
ROWS = [(f"{i},{i + 1},{i}", 1 + i % 2) for i in range(8)]
TRAIN = {
    ".ts": TS + "".join(f"{row}:{label}\n" for row, label in ROWS),
    ".tsv": "".join(f"{label}\t{row}\n".replace(",", "\t") for row, label in ROWS),
    ".txt": "".join(f"   {label}.0000000e+00   {row}\n".replace(",", "   ") for row, label in ROWS),
}
TEST = {".ts": f"{TS}7,8,9,10:2\n5:1\n", ".tsv": "2\t7\t8\t9\t10\n1\t5\tNaN\tNaN\tNaN\n", ".txt": "2 7 8 9 10\n1 5\n"}


def write_pair(folder: Path, train: str, test: str, suffix: str = ".ts", name: str = "Gun") -> Path:
    (folder / "set").mkdir(exist_ok=True)
    (folder / "set" / f"{name}_TRAIN{suffix}").write_text(train)
    (folder / "set" / f"{name}_TEST{suffix}").write_text(test)
    (folder / "set" / "README.txt").write_text("about it")
    return folder / "set"


def params(source: Path, **changes: Any) -> Sequences:
    return sequences_block(source, **{"split": PREDEFINED, **changes})


@pytest.mark.parametrize("suffix", [".ts", ".tsv", ".txt"])
def test_the_pair_of_files_defines_the_split(tmp_path: Path, suffix: str) -> None:
    dataset, _ = prepare(params(write_pair(tmp_path, TRAIN[suffix], TEST[suffix], suffix)), 0)
    assert {name: len(dataset.splits()[name]) for name in SPLITS} == {"train": 6, "validation": 2, "test": 2}
    assert dataset.test.rows.tolist() == [8, 9]
    assert (dataset.schema.classes, dataset.schema.shape) == (("1", "2"), (3, 1))
    np.testing.assert_array_equal(
        dataset.test.x[..., 0], [[7, 8, 9], [5, np.nan, np.nan]]
    )  # truncated to the training length
    assert dataset.test.y.tolist() == [1, 0]
    for samples in (dataset.train, dataset.validation):
        np.testing.assert_array_equal(samples.x[:, 0, 0], samples.rows)
        np.testing.assert_array_equal(samples.y, samples.rows % 2)


def test_random_splits_use_the_rows_of_both_files(tmp_path: Path) -> None:
    split = RandomSplit(validation=2, test=3, by="random")
    dataset, _ = prepare(params(write_pair(tmp_path, TRAIN[".ts"], TEST[".ts"]), split=split), 0)
    assert [len(samples) for samples in dataset.splits().values()] == [5, 2, 3]


def test_the_first_of_several_formats_is_read(tmp_path: Path) -> None:
    write_pair(tmp_path, "9 9 9", "9 9 9", ".txt")
    source = write_pair(tmp_path, TRAIN[".ts"], TEST[".ts"])
    assert len(read_sequences(source, params(source)).x) == 10


def test_a_folder_without_a_pair_is_refused(tmp_path: Path) -> None:
    source = write_pair(tmp_path, TRAIN[".ts"], TEST[".ts"])
    (source / "Gun_TEST.ts").rename(source / "Point_TEST.ts")
    line = "must contain one pair NAME_TRAIN.ts and NAME_TEST.ts, or .tsv, or .txt, but contains none; set `source`"
    assert_sequences_refused(tmp_path, params(source), line)


def test_a_folder_with_several_pairs_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, TRAIN[".ts"], TEST[".ts"], name="Point")
    source = write_pair(tmp_path, TRAIN[".ts"], TEST[".ts"])
    assert_sequences_refused(
        tmp_path,
        params(source),
        "but contains Gun_TRAIN.ts and Point_TRAIN.ts; set `source` to another folder or a file",
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "1\t2\t3\n1\thot\t3\n",
            "must contain a label and numbers in each line, but does not: line 2 contains 'hot'; download",
        ),
        ("1\t2\t3\n1\tNaN\n", "but does not: line 2 has no label or no value; download it again"),
        ("1\t2\t3\n\n?\t2\n", "but does not: line 3 has no label or no value; download it again"),
        ("\n", "must contain sequences, but has none; download it again"),
    ],
)
def test_an_invalid_line_is_refused(tmp_path: Path, content: str, line: str) -> None:
    assert_sequences_refused(tmp_path, params(write_pair(tmp_path, TRAIN[".tsv"], content, ".tsv")), line)


def test_files_with_different_dimensions_are_refused(tmp_path: Path) -> None:
    source = write_pair(tmp_path, TRAIN[".ts"], f"{TS}1,2:3,4:1\n")
    assert_sequences_refused(
        tmp_path, params(source), "must have as many dimensions as its training sequences, 1, but has 2; download both"
    )
