"""Sources that ought to be refused in one line, or read right, and are not yet."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.data.read import read
from fivefold.errors import DataError

from ..conftest import images_block, table_block


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.csv", b"a,y\n1,inf\n2,1\n", id="infinity as a class: IntCastingNaNError"),
        pytest.param("a.csv", b"a,y\n1,1e300\n2,1\n", id="a class beyond int64, named -9223372036854775808"),
        pytest.param("a.csv", b"a,y\n1,u\n2,v,3\n", id="pandas' line break in the middle of the line"),
        pytest.param("a.csv", b"a,y\n1,5,u\n2,6,v\n", id="more cells than names: all columns shift by one"),
        pytest.param("a.csv.gz", flipped(gzip.compress(b"a,y\n1,u\n2,v\n3,w\n" * 99), 30), id="zlib.error"),
        pytest.param("a.sklearn", b"\xff\xfe", id="UnicodeDecodeError"),
    ],
)
@pytest.mark.xfail(reason="see each id")
def test_a_table_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=r"\A[^\n]*\Z"):
        read(table_block(tmp_path / name, task="classification"))


@pytest.mark.xfail(reason="pandas guesses a type per part of a long file: classes 1, 2, 1, 2, x")
@pytest.mark.filterwarnings("ignore:Columns .* have mixed types")
def test_a_class_of_a_long_table_has_one_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,y\n" + "1,1\n2,2\n" * 150_000 + "3,x\n")
    schema, _ = read(table_block(path))
    assert schema.classes == ("1", "2", "x")


@pytest.mark.parametrize(
    "arrays",
    [
        pytest.param({"x": np.uint8(3), "y": np.array([0, 1])}, id="one number for x: TypeError"),
        pytest.param({"x": np.zeros((2, 4, 4), np.uint8), "y": np.int64(3)}, id="one number for y: TypeError"),
        pytest.param({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array([0, np.inf])}, id="infinity as a class"),
        pytest.param({"x": np.zeros((2, 0, 4), np.uint8), "y": np.array([0, 1])}, id="images without a pixel: taken"),
    ],
)
@pytest.mark.xfail(reason="see each id")
def test_an_archive_is_refused_in_one_line(tmp_path: Path, arrays: dict[str, Any]) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=r"\A[^\n]*\Z"):
        read(images_block(tmp_path / "a.npz"))


@pytest.mark.xfail(reason="numpy.load gives an array, which is no context manager", raises=TypeError)
def test_an_npy_named_npz_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 4, 4), np.uint8), allow_pickle=False)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(DataError, match=r"must be an \.npz of plain arrays"):
        read(images_block(tmp_path / "a.npz"))


@pytest.mark.xfail(reason="zlib.error is not caught")
def test_an_altered_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 6), dtype=np.uint8)
    np.savez_compressed(path, x=pixels, y=np.arange(4))
    path.write_bytes(flipped(path.read_bytes(), 96))
    with pytest.raises(DataError, match=r"must be an \.npz of plain arrays"):
        read(images_block(path))
