"""Files of generated samples: decoded, seeded, of a class."""

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

from ..models.test_contract import CASES, saved_of
from .helpers import PARAMS

GENERATOR = {"variant": VariationalVariant(name="variational"), "mode": GenerationMode(name="generation")}
TABLE, IMAGES = saved_of(CASES["gan of labelled rows"]), saved_of(CASES["gan dcgan of a label"])


def test_only_models_with_noise_as_input_are_generators() -> None:
    generators = {name for name, case in CASES.items() if name.startswith("gan") or "generates" in name}
    assert {
        name for name in ("mlp", "autoencoder", "cyclegan", *generators) if is_record_generator(saved_of(CASES[name]))
    } == generators


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_rows_cycle_through_the_classes(tmp_path: Path, suffix: str) -> None:
    path = write_records(TABLE, 25, tmp_path / "folder" / f"a.{suffix}", seed=3)
    frame = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    assert list(frame) == [*"abcdefghijkl", "y"]
    assert frame["y"].tolist() == [f"class{i % 10}" for i in range(25)]
    again, other = (write_records(TABLE, 25, tmp_path / f"b.{suffix}", seed=seed).read_bytes() for seed in (3, 4))
    assert again == path.read_bytes()
    assert other != again


def test_all_rows_have_the_requested_class(tmp_path: Path) -> None:
    assert set(pd.read_csv(write_records(TABLE, 9, tmp_path / "a.csv", class_name="class7"))["y"]) == {"class7"}


def test_images_are_written_as_npz_or_png(tmp_path: Path) -> None:
    with np.load(write_records(IMAGES, 12, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert (file["x"].shape, file["x"].dtype) == ((12, 3, 33, 17), np.uint8)
        assert file["y"].tolist() == [*range(10), 0, 1]
        assert set(file.files) == {"x", "y"}
    with Image.open(write_records(IMAGES, 12, tmp_path / "a.png")) as image:
        assert image.format == "PNG"


def test_sequences_are_written_as_npz(tmp_path: Path) -> None:
    case = CASES["autoencoder recurrent"]
    network = case.params.model_copy(update=GENERATOR)
    saved = saved_of(case._replace(params=network))
    with np.load(write_records(saved, 3, tmp_path / "a.npz"), allow_pickle=False) as file:
        assert (file["x"].shape, file["x"].dtype) == ((3, 7, 3), np.float64)
        assert np.ptp(file["x"]) > 0
        assert not np.array_equal(file["x"], file["x"].round())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n": 0}, "rows must be at least 1 and less than 2^32, but is 0; change it"),
        ({"seed": -1}, "seed must be at least 0 and less than 2^32, but is -1; change it"),
        ({"out": Path("a.npz")}, "--out must end in .parquet or .csv for table, but is 'a.npz'; change it"),
        ({"class_name": "class77"}, "--class must be one of class0, "),
    ],
)
def test_invalid_arguments_raise(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        write_records(TABLE, **{"n": 5, "out": None, **changes})
    assert str(caught.value).startswith(message)


def test_a_class_of_an_unconditional_model_raises() -> None:
    message = (
        r"\A--class needs a conditional model, but m is unconditional, so it cannot generate class 'a';"
        r" set network\.conditioning and train the model again\Z"
    )
    with pytest.raises(InputError, match=message):
        write_records(saved_of(CASES["gan"]), 5, None, class_name="a")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Save a model as `poet`, run `fivefold generate poet` in its folder, and return the exit code."""

    def run(model: TrainedModel, *arguments: str) -> int:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / "params.yaml").write_text(PARAMS)
        folder = tmp_path / "models/poet"
        folder.mkdir(parents=True)
        save_model(model, folder)
        write_manifest(folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["fivefold", "generate", "poet", *arguments])
        with pytest.raises(SystemExit) as exit_info:
            main.main()
        return int(exit_info.value.code or 0)

    return run


def test_the_command_writes_relative_to_the_working_directory(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(TABLE, "--rows", "7", "--out", "rows.parquet") == 0
    assert len(pd.read_parquet(tmp_path / "models/poet/rows.parquet")) == 7
    assert capsys.readouterr().out.startswith("7 records: ")


@pytest.mark.parametrize("name", ["autoencoder", "cyclegan", "lstm of sequences, max", "mlp"])
def test_the_command_rejects_models_that_are_not_generators(
    command: Callable[..., int], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = saved_of(CASES[name])
    assert command(saved, "--rows", "7") == 2
    mode = " with mode reconstruction" if name == "autoencoder" else ""
    assert capsys.readouterr().err == (
        "error: the model must be a gan or an autoencoder with mode generation, but m is of family"
        f" {saved.network_config.family}{mode}; choose another model\n"
    )


def test_without_rows_the_message_names_both_kinds_of_models(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(saved_of(CASES["cyclegan"])) == 2
    assert capsys.readouterr().err == (
        "error: the model must be a language model or generate samples, but m is of family cyclegan and task"
        " classification; choose a model with task language_modeling, a gan, or an autoencoder with mode generation\n"
    )
