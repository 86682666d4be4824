"""A generator's records as files: in words, with a seed, of a class."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fivefold.cli import main
from fivefold.config.networks.autoencoder import GenerationMode, VariationalVariant
from fivefold.data.storage import write_manifest
from fivefold.errors import InputError
from fivefold.generation.records import is_record_generator, write_records
from fivefold.models.serialization import TrainedModel, save_model

from ..models.helpers import CASES, saved_of
from .test_text import PARAMS

MAKER = {"variant": VariationalVariant(name="variational"), "mode": GenerationMode(name="generation")}
TABLE, IMAGES = saved_of(CASES["gan of labelled rows"]), saved_of(CASES["gan dcgan of a label"])


def test_only_what_makes_records_of_noise_writes_them() -> None:
    made = {name for name, case in CASES.items() if name.startswith("gan") or "generates" in name}
    assert {
        name for name in ("mlp", "autoencoder", "cyclegan", *made) if is_record_generator(saved_of(CASES[name]))
    } == made


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_are_written_each_class_in_turn(tmp_path: Path, suffix: str) -> None:
    path = write_records(TABLE, 25, tmp_path / "deep" / f"a.{suffix}", seed=3)
    frame = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    assert list(frame) == [*"abcdefghijkl", "y"]
    assert frame["y"].tolist() == [f"class{i % 10}" for i in range(25)]
    again, other = (write_records(TABLE, 25, tmp_path / f"b.{suffix}", seed=seed).read_bytes() for seed in (3, 4))
    assert again == path.read_bytes()
    assert other != again


def test_rows_of_one_class_are_written(tmp_path: Path) -> None:
    assert set(pd.read_csv(write_records(TABLE, 9, tmp_path / "a.csv", class_name="class7"))["y"]) == {"class7"}


def test_images_are_written_as_an_array_or_shown(tmp_path: Path) -> None:
    with np.load(write_records(IMAGES, 12, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert (file["x"].shape, file["x"].dtype) == ((12, 3, 33, 17), np.uint8)
        assert file["y"].tolist() == [*range(10), 0, 1]
        assert set(file.files) == {"x", "y"}
    with Image.open(write_records(IMAGES, 12, tmp_path / "a.png")) as image:
        assert image.format == "PNG"


def test_sequences_are_written_as_an_array_of_numbers(tmp_path: Path) -> None:
    case = CASES["autoencoder recurrent"]
    network = case.params.model_copy(update=MAKER)
    saved = saved_of(case._replace(params=network))
    with np.load(write_records(saved, 3, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert (file["x"].shape, file["x"].dtype) == ((3, 7, 3), np.float64)
        assert np.ptp(file["x"]) > 0
        assert not np.array_equal(file["x"], file["x"].round())


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
        write_records(TABLE, **{"n": 5, "out": None, **changes})
    assert str(caught.value).startswith(line)


def test_a_model_that_cannot_be_asked_says_so() -> None:
    with pytest.raises(InputError, match=r"m cannot be asked for a class such as 'a'; set network\.condition, and"):
        write_records(saved_of(CASES["gan"]), 5, None, class_name="a")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Save a model as `poet`, call `fivefold sample poet` in its folder, and return the exit code."""

    def run(saved: TrainedModel, *words: str) -> int:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / "params.yaml").write_text(PARAMS)
        folder = tmp_path / "models/poet"
        folder.mkdir(parents=True)
        save_model(saved, folder)
        write_manifest(folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["fivefold", "sample", "poet", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return int(ended.value.code or 0)

    return run


def test_the_command_writes_where_it_was_called(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(TABLE, "--rows", "7", "--out", "rows.parquet") == 0
    assert len(pd.read_parquet(tmp_path / "models/poet/rows.parquet")) == 7
    assert capsys.readouterr().out.startswith("7 records: ")


@pytest.mark.parametrize("name", ["autoencoder", "cyclegan", "lstm of sequences, max", "mlp"])
def test_of_another_model_records_are_refused_with_what_makes_them(
    command: Callable[..., int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = saved_of(CASES[name])
    assert command(saved, "--rows", "7") == 2
    purpose = " and purpose reconstruction" if name == "autoencoder" else ""
    assert capsys.readouterr().err == (
        "error: records are made by a gan, or by an autoencoder of purpose generation, but m is neither, being of"
        f" family {saved.network_config.family}{purpose}; name another model\n"
    )


def test_without_rows_both_uses_are_named(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(saved_of(CASES["cyclegan"])) == 2
    assert capsys.readouterr().err == (
        "error: model must tell the next token of a text, or make records, but m is of family cyclegan and task"
        " classification; choose one whose dataset has task language, a gan, or an autoencoder of purpose generation\n"
    )
