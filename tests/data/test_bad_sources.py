"""An invalid source is refused in one line with file, position, value and remedy."""

import gc
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fivefold.data.prepare import read_raw_dataset
from fivefold.data.readers.csv import read_frame
from fivefold.data.schema import apply_levels
from fivefold.errors import DataError

from ..conftest import encode_as_training, images_block, table_block

TABLES = [
    # file name, content, message after the path
    ("a.csv", b"", " must be CSV in UTF-8 with one header, but is not: it is empty; add rows"),
    ("a.csv", b"a,y\n", " must have rows and columns, but has 0 rows; add more"),
    ("a.csv", b"y\nu\nv\n", " must have a feature besides 'y', but has none; add columns"),
    (
        "a.csv",
        b"a,b,a,a,y\n1,2,3,4,u\n",
        ": every column must have a unique name, but 'a' occurs 3 times; rename it",
    ),
    ("a.csv", b"a,b\n1,2\n", ": target must name a column, but 'y' does not exist; the columns are a, b"),
    ("a.csv", b"a;y\n1;u\n", ": target must name a column, but 'y' does not exist; the columns are a;y"),
    ("a.csv", b"a,y\n1,u\n2,\n3,\n", ": every row must have a target, but row 2 of column 'y' is empty (2 in total);"),
    (
        "a.csv",
        b"a,y\n1,u\n2,u\n",
        ": the target must have at least 2 distinct values, but column 'y' contains only 'u'; set `target`",
    ),
    ("a.csv", b"a,y\n1,0.5\n2,1\n", ": classes must be text or integers, but column 'y' contains"),
    (
        "a.csv",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        " must be CSV in UTF-8 with one header, but is not: it contains zero bytes, so it is not a text file",
    ),
    (
        "a.csv",
        "a,y\n1,u\n2,v\n".encode("utf-16-le"),
        " must be text, but contains zero bytes; set `format: {encoding: utf-16",
    ),
    (
        "a.csv",
        b"a,y\n1,u\n2,v,3\n",
        " must be CSV in UTF-8 with one header, but is not: line 3 has 3 cells, previous lines have",
    ),
    (
        "a.csv",
        b'a,y\n1,u\n"2,v\n',
        " must be CSV in UTF-8 with one header, but is not: a quote that opens in line 3 is",
    ),
    ("a.csv", b"a,y\n1,u,3\n2,v,3\n", " must be CSV in UTF-8 with one header, but is not: lines have more cells than"),
    ("a.csv.gz", b"a,y\n1,u\n", " must be CSV in UTF-8 with one header, but is not: Not a gzipped file"),
    (
        "a.csv.gz",
        gzip.compress(b"a,y\n1,u\n2,v\n", mtime=0)[:-9],
        " must be CSV in UTF-8 with one header, but is not: it is truncated; copy or",
    ),
    (
        "a.csv",
        b"PK\x03\x04\n1,u\n2,v\n",
        " must be a table, but is a zip archive, as .xlsx files are too; unpack it, or",
    ),
    (
        "a.csv",
        b"\xef\xbb\xbfsep=;\na;y\n1;u\n",
        " must begin with its header, but line 1 sets the separator for Excel",
    ),
    ("a.sklearn", b"# a comment\nmnist\n", " must name one of breast_cancer, wine, iris, diabetes, digits, but names"),
    ("a.sklearn", b"", " must name one of breast_cancer, wine, iris, diabetes, digits, but names ''; fix that line"),
]


def one_line(line: str) -> str:
    return rf"\A[^\n]*{re.escape(line)}[^\n]*\Z"


@pytest.mark.parametrize(("name", "content", "line"), TABLES)
def test_invalid_tables_are_refused(tmp_path: Path, name: str, content: bytes, line: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=one_line(f"{path}{line}")):
        read_raw_dataset(table_block(path))


def test_a_target_of_a_regression_must_be_finite(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,y\n1,2\n2,inf\n")
    with pytest.raises(
        DataError,
        match=one_line(": column 'y' must contain finite numbers up to 1e+37, but contains inf in row 2; clean it, or"),
    ):
        read_raw_dataset(table_block(path, task="regression"))


def test_a_dropped_column_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,y\n1,u\n2,v\n")
    with pytest.raises(DataError, match=one_line("drop must name a column, but 'b' does not exist")):
        read_raw_dataset(table_block(path, drop=("b",)))


CELLS = [
    # content, message, rule
    (b"a,y\n1,u\nhot,v\n", "'hot' in row 2; clean it,", "mixed_types"),
    (b'a,y\n"1,5",u\n2,v\n', "'1,5' in row 1; clean it,", "mixed_types"),
    (
        b"a,y\n" + b"1,u\n2,v\n" * 9 + b"hot,u\n" * 7,
        "'hot' in rows 19, 20, 21, 22, 23, ... (7 rows);",
        "mixed_types",
    ),
    (b"a,y\n1,u\n2,v\ninf,v\n", "inf in row 3; clean it,", "non_finite"),
    (b"a,y\n-1e999,u\n2,v\n", "-inf in row 1; clean it,", "non_finite"),
    (b"a,y\n1,u\n2,v\n1e38,v\n", "1e+38 in row 3; clean it,", "non_finite"),
    (b"a,y\n1,u\nNA,v\ninf,v\n", "'inf' in row 3; clean it,", "non_finite"),
]


@pytest.mark.parametrize(("content", "line", "rule"), CELLS)
def test_a_cell_that_is_not_a_number_is_an_error_with_row_and_rule(
    tmp_path: Path, content: bytes, line: str, rule: str
) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    pattern = rf"\A{rule}: column 'a' must contain finite numbers up to 1e\+37, but contains {re.escape(line)}[^\n]*"
    with pytest.raises(DataError, match=rf"{pattern}; to continue anyway, set `checks: {{{rule}: warning}}`\Z"):
        apply_levels(encode_as_training(table_block(tmp_path / "a.csv")).checks, {})


@pytest.mark.parametrize("block", [table_block("nowhere.csv"), images_block("nowhere.npz")], ids=["table", "images"])
def test_a_missing_source_is_named(block: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=one_line(f"source must be a file, but '{block.source}' does not exist; add")):
        read_raw_dataset(block)


@pytest.mark.parametrize("name", ["a.xlsx", "a.npz", "a", "a.csv.zip"])
def test_a_table_of_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a,y\n1,u\n2,v\n")
    with pytest.raises(
        DataError,
        match=r"must be one of \.csv, \.csv\.gz, \.tsv, \.tsv\.gz, \.parquet, \.sklearn, but source is .*; convert it",
    ):
        read_raw_dataset(table_block(tmp_path / name))


GRAY = np.zeros((4, 5, 6), np.uint8)
LABELS = np.array([0, 1, 0, 1])

IMAGES: list[tuple[dict[str, Any], str]] = [
    (
        {"x": GRAY},
        " must contain arrays x and y, or x_train, y_train, x_test and y_test, but contains x; save it",
    ),
    ({"x": GRAY, "y": np.array([{}, 1, 2, 3], object)}, " must be an .npz of plain arrays, but is not: Object arrays"),
    ({"x": GRAY, "y": LABELS[:3]}, ": y must contain one label per image, but x is (4, 5, 6) and y is (3,); fix"),
    (
        {"x": GRAY, "y": LABELS[:, None]},
        ": y must contain one label per image, but x is (4, 5, 6) and y is (4, 1); fix",
    ),
    ({"x": GRAY / 255, "y": LABELS}, ": pixels must be uint8, 0 to 255, but are float64; multiply x by 255 and"),
    ({"x": GRAY + 1.5, "y": LABELS}, ": pixels must be uint8, 0 to 255, but are float64; convert x with astype"),
    (
        {"x": GRAY, "y": np.eye(4)},
        ": y must contain one label per image, but x is (4, 5, 6) and y is (4, 4); save y.argmax(axis=1) instead",
    ),
    ({"x": GRAY.astype("i4"), "y": LABELS}, ": pixels must be uint8, 0 to 255, but are int32; convert x with astype"),
    ({"x": GRAY[:, 0], "y": LABELS}, ": x must be (n, height, width) or (n, height, width, 1, 3 or 4), but is (4, 6);"),
    (
        {"x": GRAY[:, None], "y": LABELS},
        ": x must be (n, height, width) or (n, height, width, 1, 3 or 4), but is (4, 1,",
    ),
    (
        {"x": GRAY, "y": LABELS * 0},
        ": the target must have at least 2 distinct values, but column 'label' contains only",
    ),
    ({"x": GRAY, "y": [0, np.nan, 1, 1]}, ": every row must have a target, but row 2 of column 'label' is empty (1"),
    ({"x": GRAY[:0], "y": LABELS[:0]}, ": x must contain at least one image and one pixel, but is (0, 5, 6)"),
]


@pytest.mark.parametrize(("arrays", "line"), IMAGES)
def test_invalid_archives_are_refused(tmp_path: Path, arrays: dict[str, Any], line: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=one_line(f"{path}{line}")):
        read_raw_dataset(images_block(path))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.filterwarnings("ignore:Exception ignored in. <_io:pytest.PytestUnraisableExceptionWarning")
def test_a_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=GRAY, y=LABELS)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=one_line(f"{path} must be an .npz of plain arrays, but is not: ")):
        read_raw_dataset(images_block(path))
    gc.collect()  # numpy does not close a file that is not an archive: its warning belongs to this test


def test_text_in_place_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("hello")
    with pytest.raises(DataError, match=one_line(f"{path} must be an .npz of plain arrays, but is not: ")):
        read_raw_dataset(images_block(path))


def test_a_table_in_place_of_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.sklearn"
    path.write_text("wine")
    with pytest.raises(DataError, match=one_line(f"{path} must name images, but names a table; set `kind: table`")):
        read_raw_dataset(images_block(path))


def test_images_of_another_suffix_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tiff").write_text("")
    with pytest.raises(
        DataError, match=r"\Aimages must be a folder, a \.zip, .* or \.sklearn, but source is .*; convert"
    ):
        read_raw_dataset(images_block(tmp_path / "a.tiff"))


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"a,y\n")
        for _ in range(33):
            file.write(b"1,2\n" * 2**19)
    with pytest.raises(DataError, match=r"bomb\.csv\.gz must decompress to at most 64 MiB or 100 times its size, but"):
        read_frame(path)
