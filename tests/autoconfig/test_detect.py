"""Detection of the kind of a source and its dataset block."""

import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fivefold.autoconfig.detect import detect_dataset
from fivefold.autoconfig.table import Block
from fivefold.autoconfig.target import infer_task
from fivefold.errors import DataError

SHARED = Path(__file__).parents[3] / "shared/data"
RANDOM = np.random.default_rng(0)


def detect(source: Path, target: str = "", kind: str = "") -> Block:
    return detect_dataset(source, target, kind).block


def csv(folder: Path, header: bool = True, **columns: Any) -> Path:
    path = folder / "source.csv"
    pd.DataFrame(columns).to_csv(path, index=False, header=header)
    return path


def classes(n: int) -> list[str]:
    return ["no", "yes"] * (n // 2)


class TestTables:
    def test_strings_are_classes_and_the_split_is_stratified(self, tmp_path: Path) -> None:
        block = detect(csv(tmp_path, a=RANDOM.random(40), answer=classes(40)), "answer", "")
        assert block == {
            "kind": "table",
            "task": "classification",
            "target": "answer",
            "split": {"by": "stratified", "validation": 0.15, "test": 0.15},
            "normalize": "standard",
        }

    def test_a_rare_class_is_not_stratified(self, tmp_path: Path) -> None:
        block = detect(csv(tmp_path, a=RANDOM.random(40), answer=["rare", *["no"] * 19, *["yes"] * 20]), "answer", "")
        assert block["split"]["by"] == "random"

    @pytest.mark.parametrize(
        ("values", "task"),
        [
            (RANDOM.normal(size=60), "regression"),
            (np.arange(60) % 3, "classification"),
            (np.arange(60) % 3 * 1.0, "classification"),
            (np.arange(60), "regression"),
            (np.arange(60) % 2 == 0, "classification"),
            ([f"{i}.5" if i else "NA" for i in range(60)], "regression"),
        ],
    )
    def test_the_task_is_inferred_from_the_target(self, tmp_path: Path, values: Any, task: str) -> None:
        assert infer_task(pd.read_csv(csv(tmp_path, goal=values), keep_default_na=False)["goal"]) == task

    @pytest.mark.parametrize("name", ["label", "Target", "class", "y"])
    def test_the_target_is_inferred_from_its_name(self, tmp_path: Path, name: str) -> None:
        assert detect(csv(tmp_path, a=RANDOM.random(20), **{name: classes(20)}), "", "")["target"] == name

    def test_without_a_target_the_message_lists_the_columns(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"no column is named target, label, class, y; set --target to one of a, b \(for"
        ):
            detect(csv(tmp_path, a=RANDOM.random(20), b=classes(20)), "", "")

    def test_a_target_that_is_not_a_column_raises(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"--target must be a column, but is 'c'; the columns are a, b"):
            detect(csv(tmp_path, a=RANDOM.random(20), b=classes(20)), "c", "")

    def test_a_file_of_numbers_has_no_header(self, tmp_path: Path) -> None:
        block = detect(csv(tmp_path, header=False, a=RANDOM.random(30), b=np.arange(30) % 2), "1", "")
        assert (block["format"], block["target"]) == ({"header": False}, "1")

    def test_a_column_of_train_and_test_is_the_split(self, tmp_path: Path) -> None:
        block = detect(csv(tmp_path, a=RANDOM.random(30), y=classes(30), part=["Train", "val", "test"] * 10), "y", "")
        assert block["split"] == {"by": "predefined", "column": "part", "validation": 0.15}


class TestSeries:
    def test_unique_dates_and_a_numeric_column_are_a_series(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=120).strftime("%Y-%m-%d")
        block = detect(csv(tmp_path, day=days, load=RANDOM.random(120)), "", "")
        assert (block["kind"], block["time"], block["targets"]) == ("series", "day", ["load"])
        assert "exogenous" not in block

    def test_other_numeric_columns_are_exogenous(self, tmp_path: Path) -> None:
        times = pd.date_range("2020-01-01", periods=96, freq="30min").strftime("%Y-%m-%d %H:%M")
        block = detect(csv(tmp_path, when=times, load=RANDOM.random(96), heat=RANDOM.random(96)), "load", "")
        assert (block["targets"], block["exogenous"]) == (["load"], ["heat"])

    def test_dates_and_classes_are_a_table(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d")
        assert detect(csv(tmp_path, day=days, load=RANDOM.random(40), y=classes(40)), "y", "")["kind"] == "table"

    def test_dates_and_categories_are_a_table(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d")
        path = csv(tmp_path, day=days, color=["red", "blue"] * 20, price=RANDOM.random(40))
        assert detect(path, "price", "")["kind"] == "table"

    def test_events_at_irregular_times_are_a_table(self, tmp_path: Path) -> None:
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(RANDOM.integers(1, 90, 60)), unit="D")
        path = csv(tmp_path, day=days.strftime("%Y-%m-%d"), price=RANDOM.random(60))
        assert detect(path, "price", "")["kind"] == "table"

    def test_a_series_without_times_raises(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"must have a column of unique dates or times, but has none"):
            detect(csv(tmp_path, a=RANDOM.random(20), b=RANDOM.random(20)), "b", "series")


class TestSequences:
    def test_steps_of_many_sequences(self, tmp_path: Path) -> None:
        path = csv(tmp_path, id=np.repeat(np.arange(20), 5), t=np.tile(np.arange(5), 20), v=RANDOM.random(100),
                   label=np.repeat(classes(20), 5))  # fmt: skip
        block = detect(path, "", "")
        assert (block["kind"], block["sequence_id"], block["time_step"], block["task"]) == (
            "sequences",
            "id",
            "t",
            "classification",
        )

    def test_other_typical_names(self, tmp_path: Path) -> None:
        path = csv(tmp_path, recording=np.repeat([f"r{i}" for i in range(20)], 6), ms=np.tile(np.arange(6) * 20, 20),
                   v=RANDOM.random(120), device=["a", "b"] * 60, activity=np.repeat(classes(20), 6))  # fmt: skip
        block = detect(path, "activity", "")
        assert (block["kind"], block["sequence_id"], block["time_step"]) == ("sequences", "recording", "ms")
        assert block["values"] == ["v"]  # categories are not values

    def test_a_row_counter_is_not_a_time_step(self, tmp_path: Path) -> None:
        countries, continents = [f"c{i}" for i in range(20)], classes(20)
        world = {"country": np.repeat(countries, 6), "gdp": RANDOM.random(120), "continent": np.repeat(continents, 6)}
        assert detect(csv(tmp_path, row=np.arange(120), **world), "continent", "")["kind"] == "table"
        assert detect(csv(tmp_path, row=np.arange(120), **world), "continent", "sequences")["sequence_id"] == "country"
        visits = {"patient": np.repeat(np.arange(20), 6), "age": RANDOM.random(120), "died": np.repeat(continents, 6)}
        for counter in ("visit_id", "index", "time"):
            assert detect(csv(tmp_path, **{counter: np.arange(120)}, **visits), "died", "")["kind"] == "table"

    def test_years_of_countries_are_sequences_only_with_the_kind_option(self, tmp_path: Path) -> None:
        path = csv(tmp_path, country=np.repeat([f"c{i}" for i in range(20)], 6), year=np.tile(np.arange(6), 20),
                   gdp=RANDOM.random(120), continent=np.repeat(classes(20), 6))  # fmt: skip
        assert detect(path, "continent", "")["kind"] == "table"
        assert detect(path, "continent", "sequences")["time_step"] == "year"

    def test_a_table_of_groups_is_not_sequences(self, tmp_path: Path) -> None:
        path = csv(tmp_path, site=np.repeat([f"s{i}" for i in range(10)], 6), a=RANDOM.random(60), y=classes(60))
        assert detect(path, "y", "")["kind"] == "table"

    def test_a_target_that_changes_within_an_id_is_not_the_label_of_a_sequence(self, tmp_path: Path) -> None:
        path = csv(tmp_path, id=np.repeat(np.arange(20), 5), t=np.tile(np.arange(5), 20), label=classes(100))
        assert detect(path, "", "")["kind"] == "table"


class TestText:
    def test_long_strings_are_text(self, tmp_path: Path) -> None:
        block = detect(
            csv(tmp_path, says=[f"the {i} brown foxes jump over it" for i in range(40)], y=classes(40)), "y", ""
        )
        assert (block["kind"], block["text"], block["max_length"]) == ("text", "says", 8)

    def test_single_words_are_not_text(self, tmp_path: Path) -> None:
        words = np.random.default_rng(0).choice(["good", "bad", "nice", "dirty"], (60, 6))
        columns = {
            "uuid": [f"00000000-0000-0000-0000-{i:012}" for i in range(60)],
            "a": np.random.default_rng(0).random(60),
        }
        comments = [" ".join(row) for row in words]
        block = detect(csv(tmp_path, **columns, comment=comments, y=classes(60)))
        assert (block["kind"], block["text"]) == ("text", "comment")
        assert detect(csv(tmp_path, **columns, y=classes(60)))["kind"] == "table"
        short = detect(
            csv(tmp_path, **columns, comment=[" ".join(row[:2]) for row in words], y=classes(60)), kind="text"
        )
        assert short["text"] == "comment"
        proposal = detect_dataset(csv(tmp_path, **columns, comment=comments, y=classes(60)), kind="table")
        assert proposal.text_columns == ("comment",)
        assert proposal.notes == ("comment: text is not used in a table; --kind text uses only the text",)

    def test_a_txt_file_is_for_language_modeling(self, tmp_path: Path) -> None:
        (tmp_path / "novel.txt").write_text("a" * 100)
        block = detect(tmp_path / "novel.txt", "", "")
        assert (block["kind"], block["task"], block["tokenizer"]) == ("text", "language_modeling", "character")

    def test_a_table_without_text_raises_for_kind_text(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"must have a text column besides 'y', but has none"):
            detect(csv(tmp_path, a=RANDOM.random(20), y=classes(20)), "y", "text")


class TestImages:
    def test_class_folders_and_the_same_in_a_zip(self, tmp_path: Path) -> None:
        for name in ("cat", "dog"):
            (tmp_path / "pets" / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / "pets" / name / "1.png")
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            for path in (tmp_path / "pets").rglob("*.png"):
                archive.write(path, path.relative_to(tmp_path))
        for source in ("pets", "pets.zip"):
            block = detect(tmp_path / source, "", "")
            assert (block["kind"], block["split"]["by"]) == ("images", "stratified")

    def test_train_and_test_folders_are_the_split(self, tmp_path: Path) -> None:
        for part in ("train", "test"):
            (tmp_path / part / "cat").mkdir(parents=True)
        assert detect(tmp_path, "", "")["split"] == {"by": "predefined", "validation": 0.15}

    def test_train_and_test_folders_in_a_zip_are_the_split(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            for part in ("train", "test"):
                archive.writestr(f"pets/{part}/cat/1.png", b"")
        assert detect(tmp_path / "pets.zip", "", "")["split"] == {"by": "predefined", "validation": 0.15}

    def test_a_single_idx_file_raises(self, tmp_path: Path) -> None:
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(b"")
        with pytest.raises(
            DataError,
            match=r"an IDX file needs its labels, but .* is a single file; specify the folder of the IDX files",
        ):
            detect(path, "", "")

    def test_a_square_number_of_byte_columns_are_pixels(self, tmp_path: Path) -> None:
        pixels = {f"p{i}": RANDOM.integers(0, 256, 30) for i in range(64)}
        assert detect(csv(tmp_path, **pixels, y=classes(30)), "", "")["kind"] == "images"

    @pytest.mark.parametrize(
        ("x", "kind"),
        [
            (np.zeros((4, 8, 8), np.uint8), "images"),
            (np.zeros((4, 8, 8, 3), np.uint8), "images"),
            (np.zeros((4, 8, 3)), "sequences"),
            (np.zeros((4, 8)), "sequences"),
        ],
    )
    def test_an_npz_of_bytes_is_images(self, tmp_path: Path, x: Any, kind: str) -> None:
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(4) % 2)
        assert detect(tmp_path / "a.npz", "", "")["kind"] == kind


def test_numeric_labels_of_npz_and_ts_are_a_regression(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=RANDOM.random((40, 8)), y=RANDOM.random(40))
    lines = [f"1,2,3:{value}" for value in RANDOM.random(40)]
    (tmp_path / "a.ts").write_text("\n".join(["@targetLabel true", "@data", *lines]))
    for name in ("a.npz", "a.ts"):
        block = detect(tmp_path / name, "", "")
        assert (block["kind"], block["task"], block["split"]["by"]) == ("sequences", "regression", "random")


@pytest.mark.parametrize("suffix", [".ts", ".tsv", ".txt"])
def test_a_pair_of_training_and_test_files_is_a_predefined_split(tmp_path: Path, suffix: str) -> None:
    for part in ("TRAIN", "TEST"):
        rows = [f"1,2,{i}:{i % 2}" if suffix == ".ts" else f"{i % 2} 1 2 {i}" for i in range(9)]
        text = "\n".join((["@classLabel true", "@data"] if suffix == ".ts" else []) + rows)
        (tmp_path / f"Gun_{part}{suffix}").write_text(text)
    block = detect(tmp_path, "", "")
    assert (block["kind"], block["task"], block["split"]) == (
        "sequences",
        "classification",
        {"by": "predefined", "validation": 0.15},
    )
    with pytest.raises(DataError, match=r"--kind must be sequences for a folder of sequences, but is 'images'"):
        detect(tmp_path, "", "images")


def test_repeated_integers_may_be_classes(tmp_path: Path) -> None:
    label = np.repeat(np.arange(30), 10)
    note = "30 distinct integers in 300 rows are predicted as numbers; if they are classes, use --task classification"
    table = csv(tmp_path, x=np.random.default_rng(0).random(300), label=label)
    assert detect_dataset(table).notes == (f"label: {note}",)
    assert not detect_dataset(table, task="regression").notes
    assert not detect_dataset(csv(tmp_path, x=np.random.default_rng(0).random(300), label=np.arange(300) // 9)).notes
    np.savez(tmp_path / "a.npz", x=np.zeros((300, 8, 8), np.uint8), y=label)
    assert f"labels: {note}" in detect_dataset(tmp_path / "a.npz").notes


def test_class_labels_of_a_ts_are_classes_even_if_numeric(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text(
        "\n".join(["@classLabel true 1 2", "@data", *(f"1,2,{i}:{1 + i % 2}" for i in range(9))])
    )
    assert detect(tmp_path / "a.ts", "", "")["task"] == "classification"


def test_an_unknown_kind_raises(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"--kind must be one of table, images, sequences, series, text, but is 'video'"
    ):
        detect(csv(tmp_path, a=[1], y=[2]), "", "video")


def test_many_columns_are_inspected_within_seconds(tmp_path: Path) -> None:
    categories = {f"w{i}": RANDOM.choice(["a", "b", "c"], 300) for i in range(200)}
    numbers = {f"n{i}": RANDOM.random(300).round(3) for i in range(200)}
    path = csv(tmp_path, **categories, **numbers, y=classes(300))
    before = time.process_time()
    assert detect(path, "y", "")["kind"] == "table"
    assert time.process_time() - before < 4  # one second when written, ten if all pairs of columns are tried


def test_an_unsupported_format_raises(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(
        DataError, match=re.escape("must be .csv, .csv.gz, .tsv, .tsv.gz, .parquet, .sklearn, .txt, .ts, .npz, .zip")
    ):
        detect(tmp_path / "a.docx", "", "")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
@pytest.mark.parametrize(
    ("file", "target", "kind"),
    [
        ("penguins.csv", "species", "table"),
        ("concrete.csv", "compressive_strength", "table"),
        ("mnist_5k.csv.gz", "784", "images"),
        ("italy_power.csv.gz", "", "sequences"),
        ("osu_leaf.csv.gz", "", "sequences"),
        ("pickup_gesture.csv.gz", "", "sequences"),
        ("airline.csv", "", "series"),
        ("sunspots.csv", "", "series"),
        ("fine_foods.csv.gz", "", "text"),
        ("northanger_abbey.txt", "", "text"),
    ],
)
def test_kinds_of_real_files(file: str, target: str, kind: str) -> None:
    assert detect(SHARED / file, target, "")["kind"] == kind


@pytest.mark.parametrize(("freq", "season"), [("MS", 12), ("30min", 48), ("D", 7), ("YS", 0)])
def test_the_season_length_is_inferred_from_the_frequency(tmp_path: Path, freq: str, season: int) -> None:
    times = pd.date_range("1920-01-01", periods=300, freq="D" if freq == "YS" else freq).strftime("%Y-%m-%d %H:%M")
    if freq == "YS":
        times = np.arange(1700, 2000)
    assert detect(csv(tmp_path, time=times, load=RANDOM.random(300))).get("season_length", 0) == season
