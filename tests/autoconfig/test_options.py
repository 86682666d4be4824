"""Options that a source cannot follow are refused, not passed over; what is left unread is said."""

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


def made(folder: Path, name: str) -> Path:
    """Make a source that is no table; only its name matters."""
    path = folder / name
    if path.suffix:
        path.write_bytes(b"")
    else:
        path.mkdir()
    return path


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("a.txt", "table", "--kind must be text for .txt, but is 'table'; leave it out"),
        ("a.ts", "series", "--kind must be sequences for .ts, but is 'series'; leave it out"),
        ("a.npz", "table", "--kind must be images or sequences for .npz, but is 'table'; leave it out"),
        ("pets", "table", "--kind must be images for a folder or zip of images, but is 'table'; leave it out"),
        ("pets.zip", "text", "--kind must be images for a folder or zip of images, but is 'text'; leave it out"),
    ],
)
def test_a_kind_that_a_source_cannot_be(tmp_path: Path, name: str, kind: str, said: str) -> None:
    with pytest.raises(DataError, match=f"^{said}$"):
        detect_dataset(made(tmp_path, name), kind=kind)


@pytest.mark.parametrize("name", ["a.txt", "a.ts", "a.npz", "pets", "pets.zip"])
def test_a_target_where_there_are_no_columns(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"--target names a column, but .* has none: .*; leave out --target species$"):
        detect_dataset(made(tmp_path, name), target="species")


def test_bundled_images_have_a_target_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "d.sklearn").write_text("digits\n")
    assert detect_dataset(tmp_path / "d.sklearn", target="digit").block["kind"] == "images"
    with pytest.raises(DataError, match=r"--target must be left out or be digit for .*, but is 'number'"):
        detect_dataset(tmp_path / "d.sklearn", target="number")


@pytest.mark.parametrize(
    ("target", "told"), [("", "it is not said which"), ("word", "'word' is none")], ids=["none", "words"]
)
def test_a_series_of_no_numbers_is_refused(tmp_path: Path, target: str, told: str) -> None:
    days = pd.date_range("2020-01-01", periods=N).strftime("%Y-%m-%d")
    path = table(tmp_path, day=days, a=NUMBERS, b=NUMBERS, word=TEXT)
    with pytest.raises(DataError, match=f"a column of numbers to forecast, but {told}; name one with --target: a, b"):
        detect_dataset(path, target=target, kind="series")


def test_the_longest_text_is_read_and_what_is_not_is_named(tmp_path: Path) -> None:
    looked = detect_dataset(table(tmp_path, title=TEXT, body=LONG, stars=NUMBERS, y=Y))
    assert (looked.block["kind"], looked.block["text"]) == ("text", "body")
    assert looked.notes == (
        "only body is read, the longest column of text, and not title, stars: a text is one column; `text` in"
        " params.yaml names another, --kind table takes numbers and categories instead",
        "taken for text; --kind says it otherwise",
    )


def test_names_among_many_numbers_do_not_make_a_text(tmp_path: Path) -> None:
    looked = detect_dataset(table(tmp_path, name=TEXT, y=Y, **{f"n{i}": NUMBERS for i in range(8)}))
    assert looked.block["kind"] == "table"
    assert looked.notes == ("name: text, of which a table learns nothing; --kind text would read it, alone",)


def test_short_words_are_text_if_a_person_says_so(tmp_path: Path) -> None:
    path = table(tmp_path, says=["so so", "fine"] * (N // 2), n=NUMBERS, y=Y)
    assert detect_dataset(path).block["kind"] == "table"
    assert detect_dataset(path, kind="text").block["text"] == "says"


@pytest.mark.parametrize(
    ("cell", "what"), [([1.0, 2.0], "lists"), (b"\x89PNG", "bytes"), ({"bytes": b"", "path": "a"}, "structures")]
)
def test_cells_of_parquet_that_are_no_cells(tmp_path: Path, cell: Any, what: str) -> None:
    pd.DataFrame({"image": [cell] * N, "label": Y}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=f"cells must be numbers, words or dates, but column 'image' holds {what}"):
        detect_dataset(tmp_path / "a.parquet")


def test_tables_in_a_zip_or_a_folder_are_named(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    table(tmp_path / "all", a=NUMBERS, y=Y)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "all/mine.csv", "mine.csv")
    with pytest.raises(DataError, match=r"but holds mine.csv and no image; add one of them"):
        detect_dataset(tmp_path / "all")
    with pytest.raises(DataError, match=r"but holds mine.csv and no image; unpack it, and add one of them"):
        detect_dataset(tmp_path / "all.zip")
