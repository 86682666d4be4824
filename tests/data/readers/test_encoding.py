"""The encoding of a text is detected, and reported where it may be wrong."""

import gzip
import re
from pathlib import Path

import pandas as pd
import pytest

from fivefold.config.datasets import FileFormat
from fivefold.data.prepare import prepare
from fivefold.data.readers.csv import read_frame
from fivefold.data.readers.encoding import CHUNK_BYTES, detect_encoding
from fivefold.errors import DataError

from ...conftest import table_block

UMLAUTS = "Größe,Köln\n"


def write_file(path: Path, data: bytes) -> Path:
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.txt"])
@pytest.mark.parametrize(
    ("data", "encoding", "line"),
    [
        (b"a,b\n1,2\n", "utf-8", 0),
        (UMLAUTS.encode(), "utf-8", 0),
        (UMLAUTS.encode("utf-16"), "utf-16", 0),
        (UMLAUTS.encode("latin-1"), "latin-1", 1),
        (b"a\nb\n\nCaf\xe9\n", "latin-1", 4),
        (b"a\n" * (CHUNK_BYTES // 2) + b"\xe9\n", "latin-1", CHUNK_BYTES // 2 + 1),
        ("Ã©".encode("latin-1") + UMLAUTS.encode("latin-1"), "latin-1", 1),  # looks like UTF-8, by chance
        ("0,5 €\nÖsterreich\n".encode("cp1252"), "cp1252", 1),
        (b"caf\xe9\n" + b"a\n" * (CHUNK_BYTES // 2) + b"\x80\n", "cp1252", 1),  # the sign is in a later chunk
        (b"\x80 \x81\n", "latin-1", 1),  # 0x81 is undefined in cp1252
        (b"a\n\xff\0\n", "utf-8", 0),
        (UMLAUTS.encode()[:3], "utf-8", 0),
    ],
)
def test_the_encoding_is_detected(tmp_path: Path, name: str, data: bytes, encoding: str, line: int) -> None:
    assert detect_encoding(write_file(tmp_path / name, data)) == (encoding, line)


def test_a_changed_file_is_detected_again(tmp_path: Path) -> None:
    assert detect_encoding(write_file(tmp_path / "a.csv", b"a\n")).encoding == "utf-8"
    assert detect_encoding(write_file(tmp_path / "a.csv", b"a\n\xe9\n")).encoding == "latin-1"


ROWS = "".join(f"{i},{'Köln' if i % 2 else 'Bonn'},{'ja' if i % 3 else 'nein'}\n" for i in range(60))


def test_a_bad_byte_in_a_text_that_is_mostly_utf8_is_named(tmp_path: Path) -> None:
    data = ("a,b,y\n" + ROWS).encode().replace(b"4,Bonn", b"4,B\xf6nn")
    path = write_file(tmp_path / "a.csv", data)
    message = (
        f"{path} must be UTF-8, as most of it is, but line 6 contains the invalid byte 0xf6 (6 such bytes); fix it, or"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        prepare(table_block(path), 0)
    dataset, results = prepare(table_block(path, format=FileFormat(encoding="latin-1")), 0)
    assert "Bönn" in dataset.schema.columns[1].categories
    assert "encoding" not in [result.rule for result in results]


def test_a_detected_encoding_is_reported(tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.csv", ("a,b,y\n" + ROWS).encode("latin-1"))
    dataset, results = prepare(table_block(path), 0)
    assert dataset.schema.columns[1].categories == ("Bonn", "Köln")
    text = "not UTF-8, as a byte in line 3 shows: read as latin-1; if words look wrong, save the file as UTF-8"
    assert ("encoding", "note", text) in [(f.rule, f.level, f.message) for f in results]


@pytest.mark.parametrize("encoding", ["auto", "cp1252"])
def test_cp1252_is_read(tmp_path: Path, encoding: str) -> None:
    path = write_file(tmp_path / "a.csv", "price,land\n0.5 €,Österreich\n".encode("cp1252"))
    frame = read_frame(path, FileFormat(encoding=encoding))
    assert frame.iloc[0].tolist() == ["0.5 €", "Österreich"]


@pytest.mark.parametrize("encoding", ["auto", "latin-1"])
def test_a_gzipped_table_is_decompressed_once_before_it_is_read(
    tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pd.DataFrame({"a": range(50), "y": range(50)}).to_csv(tmp_path / "a.csv.gz", index=False)
    opened, unpack = [], gzip.open
    monkeypatch.setattr(gzip, "open", lambda *args, **options: opened.append(args) or unpack(*args, **options))
    assert len(read_frame(tmp_path / "a.csv.gz", FileFormat(encoding=encoding))) == 50
    assert len(opened) == 1
