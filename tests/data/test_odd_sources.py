"""Unusual sources that once caused a traceback, a message of several lines, or wrong values."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.data.prepare import read_raw_dataset
from fivefold.errors import DataError

from ..conftest import images_block, table_block


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", b"a,y\n1,inf\n2,1\n", id="infinity as a class"),
        pytest.param("a.csv", b"a,y\n1,1e300\n2,1\n", id="a class beyond int64"),
        pytest.param("a.csv", b"a,y\n1,u\n2,v,3\n", id="a row of too many cells"),
        pytest.param("a.csv", b"a,y\n1,5,u\n2,6,v\n", id="more cells than names"),
        pytest.param(
            "a.csv.gz", flipped(gzip.compress(b"a,y\n1,u\n2,v\n3,w\n" * 99, mtime=0), 30), id="a flipped byte"
        ),
        pytest.param("a.csv", b"a,y,y\n1,u,u\n2,v,v\n", id="the target twice, which would be a feature"),
        pytest.param("a.csv", b"a,,y\n1,2,u\n2,3,v\n", id="a column without a name"),
        pytest.param("a.sklearn", b"\xff\xfe", id="no text"),
    ],
)
def test_a_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"\A[^\n]*\Z"):
        read_raw_dataset(table_block(tmp_path / name, task="classification"))


def test_a_class_has_one_name_in_a_long_table(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "1,1\n2,2\n" * 150_000 + "3,x\n")
    assert read_raw_dataset(table_block(path)).keys.classes == ("1", "2", "x")


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param({"x": np.uint8(3), "y": np.array([0, 1])}, id="one number for x"),
        pytest.param({"x": np.zeros((2, 4, 4), np.uint8), "y": np.int64(3)}, id="one number for y"),
        pytest.param({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, np.inf])}, id="infinity as a class"),
        pytest.param({"x": np.zeros((2, 0, 4), np.uint8), "y": np.array([0, 1])}, id="images without a pixel"),
    ],
)
def test_an_archive_is_refused_in_one_line(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"\A[^\n]*\Z"):
        read_raw_dataset(images_block(tmp_path / "a.npz"))


def test_an_npy_file_named_npz_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8), allow_pickle=False)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"must be an \.npz of plain arrays"):
        read_raw_dataset(images_block(tmp_path / "a.npz"))


def test_an_altered_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 6), dtype=np.uint8)
    np.savez_compressed(path, x=pixels, y=np.arange(4))
    path.write_bytes(flipped(path.read_bytes(), 96))
    with pytest.raises(DataError, match=r"must be an \.npz of plain arrays"):
        read_raw_dataset(images_block(path))


@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning")
def test_an_archive_of_an_unknown_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((2, 4, 4), np.uint8), y=np.arange(2))
    content = path.read_bytes()
    # APPNOTE.TXT 4.3.12: the compression method of a file is 10 bytes after its signature in the central directory
    path.write_bytes(flipped(content, content.index(b"PK\1\2") + 10))
    with pytest.raises(DataError, match=r"must be an \.npz of plain arrays"):
        read_raw_dataset(images_block(path))


def test_a_class_may_be_named_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "1,None\n2,NA\n" * 9)
    assert read_raw_dataset(table_block(path)).keys.classes == ("NA", "None")


def test_byte_labels_are_text(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 4, 4), np.uint8), y=np.array([b"cat", b"dog"]))
    assert read_raw_dataset(images_block(tmp_path / "a.npz")).keys.classes == ("cat", "dog")
