"""Options that do not fit the source raise; ignored columns are reported."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.autoconfig.detect import detect_dataset
from fivefold.errors import DataError

N = 40
Y = ["no", "yes"] * (N // 2)
TEXT = [f"the {i} brown foxes jump over it" for i in range(N)]
LONG = [f"{text}, and the {i} lazy dogs sleep on" for i, text in enumerate(TEXT)]
NUMBERS = np.arange(N) % 7 + 0.5


def table(folder: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).to_csv(folder / "mine.csv", index=False)
    return folder / "mine.csv"


def make_source(folder: Path, name: str) -> Path:
    """Create an empty file or folder; only its name matters."""
    path = folder / name
    if path.suffix:
        path.write_bytes(b"")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("a.txt", "table", "--kind must be text for .txt, but is 'table'; omit it"),
        ("a.ts", "series", "--kind must be sequences for .ts, but is 'series'; omit it"),
        ("a.npz", "table", "--kind must be images or sequences for .npz, but is 'table'; omit it"),
        ("pets", "table", "--kind must be images for a folder or zip of images, but is 'table'; omit it"),
        ("pets.zip", "text", "--kind must be images for a folder or zip of images, but is 'text'; omit it"),
    ],
)
def test_a_kind_that_does_not_fit_the_source_raises(tmp_path: Path, name: str, kind: str, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        detect_dataset(make_source(tmp_path, name), kind=kind)


@pytest.mark.parametrize("name", ["a.txt", "a.ts", "a.npz", "pets", "pets.zip"])
def test_a_target_for_a_source_without_columns_raises(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"--target needs a column, but .* has none: .*; omit --target species$"):
        detect_dataset(make_source(tmp_path, name), target="species")


def test_bundled_images_have_a_fixed_target(tmp_path: Path) -> None:
    (tmp_path / "d.sklearn").write_text("digits\n")
    assert detect_dataset(tmp_path / "d.sklearn", target="digit").block["kind"] == "images"
    with pytest.raises(DataError, match=r"--target must be omitted or digit for .*, but is 'number'"):
        detect_dataset(tmp_path / "d.sklearn", target="number")


@pytest.mark.parametrize(
    ("target", "reason"), [("", "it cannot be inferred"), ("word", "'word' is not numeric")], ids=["none", "words"]
)
def test_a_series_without_a_numeric_target_raises(tmp_path: Path, target: str, reason: str) -> None:
    days = pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d")
    path = table(tmp_path, day=days, a=NUMBERS, b=NUMBERS, word=TEXT)
    with pytest.raises(DataError, match=f"a numeric column to forecast, but {reason}; choose one with --target: a, b"):
        detect_dataset(path, target=target, kind="series")


def test_the_longest_text_is_used_and_ignored_columns_are_reported(tmp_path: Path) -> None:
    proposal = detect_dataset(table(tmp_path, title=TEXT, body=LONG, stars=NUMBERS, y=Y))
    assert (proposal.block["kind"], proposal.block["text"]) == ("text", "body")
    assert proposal.notes == (
        "only body (the longest text) is used, not title, stars: text models use one column; choose it with `text` in"
        " params.yaml, or use --kind table for numbers and categories",
        "detected as text; override with --kind",
    )


def test_a_text_among_many_numeric_columns_is_a_table(tmp_path: Path) -> None:
    proposal = detect_dataset(table(tmp_path, name=TEXT, y=Y, **{f"n{i}": NUMBERS for i in range(8)}))
    assert proposal.block["kind"] == "table"
    assert proposal.notes == ("name: text is not used in a table; --kind text uses only the text",)


def test_short_strings_are_text_with_the_kind_option(tmp_path: Path) -> None:
    path = table(tmp_path, says=["so so", "fine"] * (N // 2), n=NUMBERS, y=Y)
    assert detect_dataset(path).block["kind"] == "table"
    assert detect_dataset(path, kind="text").block["text"] == "says"


@pytest.mark.parametrize(
    ("cell", "cell_type"), [([1.0, 2.0], "lists"), (b"\x89PNG", "bytes"), ({"bytes": b"", "path": "a"}, "structures")]
)
def test_nested_cells_of_parquet_raise(tmp_path: Path, cell: Any, cell_type: str) -> None:
    pd.DataFrame({"image": [cell] * N, "label": Y}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=f"cells must be numbers, strings or dates, but column 'image' contains {cell_type}"
    ):
        detect_dataset(tmp_path / "a.parquet")


def test_tables_in_a_zip_or_a_folder_raise(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    table(tmp_path / "all", a=NUMBERS, y=Y)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "all/mine.csv", "mine.csv")
    with pytest.raises(DataError, match=r"but contains mine.csv and no images; add one of them"):
        detect_dataset(tmp_path / "all")
    with pytest.raises(DataError, match=r"but contains mine.csv and no images; unpack it, and add one of them"):
        detect_dataset(tmp_path / "all.zip")
