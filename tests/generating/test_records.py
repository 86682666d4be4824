"""A generator's records as files: in words, with a seed, of a class."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fivefold import cli
from fivefold.data.storage import write_manifest
from fivefold.errors import InputError
from fivefold.families.saved import save_model
from fivefold.generating.records import makes_records, write

from ..families.test_contract import CASES, saved_of
from .test_sample import PARAMS

TABLE, IMAGES = saved_of(CASES["gan of labelled rows"]), saved_of(CASES["gan dcgan of a label"])


def test_only_what_makes_records_of_noise_writes_them() -> None:
    made = {name for name, case in CASES.items() if "gan" in name or "generates" in name}
    assert {name for name in ("mlp", "autoencoder", *made) if makes_records(saved_of(CASES[name]))} == made


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_are_written_each_class_in_turn(tmp_path: Path, suffix: str) -> None:
    path = write(TABLE, 25, tmp_path / "deep" / f"a.{suffix}", seed=3)
    frame = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    assert list(frame) == [*"abcdefghijkl", "y"]
    assert frame["y"].tolist() == [f"class{i % 10}" for i in range(25)]
    again, other = (write(TABLE, 25, tmp_path / f"b.{suffix}", seed=seed).read_bytes() for seed in (3, 4))
    assert again == path.read_bytes()
    assert other != again


def test_rows_of_one_class_are_written(tmp_path: Path) -> None:
    assert set(pd.read_csv(write(TABLE, 9, tmp_path / "a.csv", asked="class7"))["y"]) == {"class7"}


def test_images_are_written_as_an_array_or_shown(tmp_path: Path) -> None:
    with np.load(write(IMAGES, 12, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert (file["x"].shape, file["x"].dtype) == ((12, 3, 33, 17), np.uint8)
        assert file["y"].tolist() == [*range(10), 0, 1]
        assert set(file.files) == {"x", "y"}
    with Image.open(write(IMAGES, 12, tmp_path / "a.png")) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"n": 0}, "rows must be 1 or more, and below 2^32, but is 0; change it"),
        ({"seed": -1}, "seed must be 0 or more, and below 2^32, but is -1; change it"),
        ({"out": Path("a.npz")}, "--out must end in .parquet or .csv for table, but is 'a.npz'; change it"),
        ({"asked": "class77"}, "--class must be one of class0, "),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError) as caught:
        write(TABLE, **{"n": 5, "out": None, **changes})
    assert str(caught.value).startswith(line)


def test_a_model_that_cannot_be_asked_says_so() -> None:
    with pytest.raises(InputError, match=r"m cannot be asked for a class such as 'a'; set network\.condition, and"):
        write(saved_of(CASES["gan"]), 5, None, asked="a")


def test_the_command_writes_where_it_was_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "params.yaml").write_text(PARAMS)
    folder = tmp_path / "models/poet"
    folder.mkdir(parents=True)
    save_model(TABLE, folder)
    write_manifest(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["fivefold", "sample", "poet", "--rows", "7", "--out", "rows.parquet"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert len(pd.read_parquet(folder / "rows.parquet")) == 7
    assert capsys.readouterr().out.startswith("7 records: ")
