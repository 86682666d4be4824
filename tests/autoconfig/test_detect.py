"""`fivefold add` tells what a source is, from what stands in it."""

import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fivefold.autoconfig import detect as looking
from fivefold.autoconfig.table import Block
from fivefold.autoconfig.target import infer_task
from fivefold.errors import DataError

SHARED = Path(__file__).parents[3] / "shared/data"
RANDOM = np.random.default_rng(0)


def look(source: Path, target: str = "", kind: str = "") -> Block:
    return looking.detect_dataset(source, target, kind).block


def csv(folder: Path, header: bool = True, **columns: Any) -> Path:
    path = folder / "source.csv"
    pd.DataFrame(columns).to_csv(path, index=False, header=header)
    return path


def classes(n: int) -> list[str]:
    return ["no", "yes"] * (n // 2)


class TestTables:
    def test_words_are_classes_and_many_of_each_are_stratified(self, tmp_path: Path) -> None:
        block = look(csv(tmp_path, a=RANDOM.random(40), answer=classes(40)), "answer", "")
        assert block == {
            "kind": "table",
            "task": "classification",
            "target": "answer",
            "split": {"by": "stratified", "validation": 0.15, "test": 0.15},
            "normalize": "standard",
        }

    def test_a_rare_class_is_not_stratified(self, tmp_path: Path) -> None:
        block = look(
            csv(tmp_path, a=RANDOM.random(40), answer=["min_frequency", *["no"] * 19, *["yes"] * 20]), "answer", ""
        )
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
    def test_the_task_is_told_from_the_target(self, tmp_path: Path, values: Any, task: str) -> None:
        assert infer_task(pd.read_csv(csv(tmp_path, goal=values), keep_default_na=False)["goal"]) == task

    @pytest.mark.parametrize("name", ["label", "Target", "class", "y"])
    def test_a_target_is_known_by_its_name(self, tmp_path: Path, name: str) -> None:
        assert look(csv(tmp_path, a=RANDOM.random(20), **{name: classes(20)}), "", "")["target"] == name

    def test_without_a_target_the_columns_are_listed(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"say which column to predict with --target; the columns are a, b"):
            look(csv(tmp_path, a=RANDOM.random(20), b=classes(20)), "", "")

    def test_a_target_that_is_no_column_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"--target must name a column, but 'c' is none; the columns are a, b"):
            look(csv(tmp_path, a=RANDOM.random(20), b=classes(20)), "c", "")

    def test_a_file_of_numbers_has_no_header(self, tmp_path: Path) -> None:
        block = look(csv(tmp_path, header=False, a=RANDOM.random(30), b=np.arange(30) % 2), "1", "")
        assert (block["format"], block["target"]) == ({"header": False}, "1")

    def test_a_column_that_says_train_and_test_is_the_split(self, tmp_path: Path) -> None:
        block = look(csv(tmp_path, a=RANDOM.random(30), y=classes(30), part=["Train", "val", "test"] * 10), "y", "")
        assert block["split"] == {"by": "column", "column": "part", "validation": 0.15}


class TestSeries:
    def test_dates_that_never_repeat_and_one_column_of_numbers(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=120).strftime("%Y-%m-%d")
        block = look(csv(tmp_path, day=days, load=RANDOM.random(120)), "", "")
        assert (block["kind"], block["time"], block["targets"]) == ("series", "day", ["load"])
        assert "exogenous" not in block

    def test_other_numbers_are_exogenous(self, tmp_path: Path) -> None:
        times = pd.date_range("2020-01-01", periods=96, freq="30min").strftime("%Y-%m-%d %H:%M")
        block = look(csv(tmp_path, when=times, load=RANDOM.random(96), heat=RANDOM.random(96)), "load", "")
        assert (block["targets"], block["exogenous"]) == (["load"], ["heat"])

    def test_dates_beside_classes_are_a_table(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d")
        assert look(csv(tmp_path, day=days, load=RANDOM.random(40), y=classes(40)), "y", "")["kind"] == "table"

    def test_one_date_a_row_beside_words_is_a_table(self, tmp_path: Path) -> None:
        days = pd.date_range("2020-01-01", periods=40).strftime("%Y-%m-%d")
        path = csv(tmp_path, day=days, colour=["red", "blue"] * 20, price=RANDOM.random(40))
        assert look(path, "price", "")["kind"] == "table"

    def test_events_at_odd_times_are_a_table(self, tmp_path: Path) -> None:
        days = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.cumsum(RANDOM.integers(1, 90, 60)), unit="D")
        path = csv(tmp_path, day=days.strftime("%Y-%m-%d"), price=RANDOM.random(60))
        assert look(path, "price", "")["kind"] == "table"

    def test_a_series_without_times_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"must have a column of dates or times, each once, but has none"):
            look(csv(tmp_path, a=RANDOM.random(20), b=RANDOM.random(20)), "b", "series")


class TestSequences:
    def test_steps_of_many_sequences(self, tmp_path: Path) -> None:
        path = csv(tmp_path, id=np.repeat(np.arange(20), 5), t=np.tile(np.arange(5), 20), v=RANDOM.random(100),
                   label=np.repeat(classes(20), 5))  # fmt: skip
        block = look(path, "", "")
        assert (block["kind"], block["series"], block["step"], block["task"]) == (
            "sequences",
            "id",
            "t",
            "classification",
        )

    def test_other_names_that_tell(self, tmp_path: Path) -> None:
        path = csv(tmp_path, recording=np.repeat([f"r{i}" for i in range(20)], 6), ms=np.tile(np.arange(6) * 20, 20),
                   v=RANDOM.random(120), device=["a", "b"] * 60, activity=np.repeat(classes(20), 6))  # fmt: skip
        block = look(path, "activity", "")
        assert (block["kind"], block["series"], block["step"]) == ("sequences", "recording", "ms")
        assert block["values"] == ["v"]  # words are no values

    def test_a_counter_of_rows_is_no_step(self, tmp_path: Path) -> None:
        countries, continents = [f"c{i}" for i in range(20)], classes(20)
        world = {"country": np.repeat(countries, 6), "gdp": RANDOM.random(120), "continent": np.repeat(continents, 6)}
        assert look(csv(tmp_path, row=np.arange(120), **world), "continent", "")["kind"] == "table"
        assert look(csv(tmp_path, row=np.arange(120), **world), "continent", "sequences")["series"] == "country"
        visits = {"patient": np.repeat(np.arange(20), 6), "age": RANDOM.random(120), "died": np.repeat(continents, 6)}
        for counter in ("visit_id", "index", "time"):
            assert look(csv(tmp_path, **{counter: np.arange(120)}, **visits), "died", "")["kind"] == "table"

    def test_a_year_of_each_country_is_no_step_unless_said(self, tmp_path: Path) -> None:
        path = csv(tmp_path, country=np.repeat([f"c{i}" for i in range(20)], 6), year=np.tile(np.arange(6), 20),
                   gdp=RANDOM.random(120), continent=np.repeat(classes(20), 6))  # fmt: skip
        assert look(path, "continent", "")["kind"] == "table"
        assert look(path, "continent", "sequences")["step"] == "year"

    def test_a_table_of_groups_is_no_set_of_sequences(self, tmp_path: Path) -> None:
        path = csv(tmp_path, site=np.repeat([f"s{i}" for i in range(10)], 6), a=RANDOM.random(60), y=classes(60))
        assert look(path, "y", "")["kind"] == "table"

    def test_a_target_that_changes_within_an_id_is_no_label_of_a_sequence(self, tmp_path: Path) -> None:
        path = csv(tmp_path, id=np.repeat(np.arange(20), 5), t=np.tile(np.arange(5), 20), label=classes(100))
        assert look(path, "", "")["kind"] == "table"


class TestText:
    def test_long_words_are_text(self, tmp_path: Path) -> None:
        block = look(
            csv(tmp_path, says=[f"the {i} brown foxes jump over it" for i in range(40)], y=classes(40)), "y", ""
        )
        assert (block["kind"], block["text"], block["length"]) == ("text", "says", 8)

    def test_one_word_is_no_text_however_long(self, tmp_path: Path) -> None:
        words = np.random.default_rng(0).choice(["good", "bad", "nice", "dirty"], (60, 6))
        columns = {
            "uuid": [f"00000000-0000-0000-0000-{i:012}" for i in range(60)],
            "a": np.random.default_rng(0).random(60),
        }
        comments = [" ".join(row) for row in words]
        block = look(csv(tmp_path, **columns, comment=comments, y=classes(60)))
        assert (block["kind"], block["text"]) == ("text", "comment")
        assert look(csv(tmp_path, **columns, y=classes(60)))["kind"] == "table"
        short = look(csv(tmp_path, **columns, comment=[" ".join(row[:2]) for row in words], y=classes(60)), kind="text")
        assert short["text"] == "comment"
        found = looking.detect_dataset(csv(tmp_path, **columns, comment=comments, y=classes(60)), kind="table")
        assert found.text_columns == ("comment",)
        assert found.notes == ("comment: text, of which a table learns nothing; --kind text would read it, alone",)

    def test_a_novel_is_a_language(self, tmp_path: Path) -> None:
        (tmp_path / "novel.txt").write_text("a" * 100)
        block = look(tmp_path / "novel.txt", "", "")
        assert (block["kind"], block["task"], block["level"]) == ("text", "language", "character")

    def test_a_table_without_text_is_no_text(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"must have a column of text beside 'y', but has none"):
            look(csv(tmp_path, a=RANDOM.random(20), y=classes(20)), "y", "text")


class TestImages:
    def test_a_folder_for_each_class_and_the_same_in_a_zip(self, tmp_path: Path) -> None:
        for name in ("cat", "dog"):
            (tmp_path / "pets" / name).mkdir(parents=True)
            Image.new("RGB", (4, 4)).save(tmp_path / "pets" / name / "1.png")
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            for path in (tmp_path / "pets").rglob("*.png"):
                archive.write(path, path.relative_to(tmp_path))
        for source in ("pets", "pets.zip"):
            block = look(tmp_path / source, "", "")
            assert (block["kind"], block["split"]["by"]) == ("images", "stratified")

    def test_folders_of_train_and_test_are_the_split(self, tmp_path: Path) -> None:
        for part in ("train", "test"):
            (tmp_path / part / "cat").mkdir(parents=True)
        assert look(tmp_path, "", "")["split"] == {"by": "column", "validation": 0.15}

    def test_a_zip_of_train_and_test_is_split_as_it_says(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
            for part in ("train", "test"):
                archive.writestr(f"pets/{part}/cat/1.png", b"")
        assert look(tmp_path / "pets.zip", "", "")["split"] == {"by": "column", "validation": 0.15}

    def test_one_idx_file_has_no_labels(self, tmp_path: Path) -> None:
        path = tmp_path / "train-images-idx3-ubyte"
        path.write_bytes(b"")
        with pytest.raises(DataError, match=r"must come with its labels; name the folder that holds the IDX files"):
            look(path, "", "")

    def test_square_columns_of_bytes_are_pixels(self, tmp_path: Path) -> None:
        pixels = {f"p{i}": RANDOM.integers(0, 256, 30) for i in range(64)}
        assert look(csv(tmp_path, **pixels, y=classes(30)), "", "")["kind"] == "images"

    @pytest.mark.parametrize(
        ("x", "kind"),
        [
            (np.zeros((4, 8, 8), np.uint8), "images"),
            (np.zeros((4, 8, 8, 3), np.uint8), "images"),
            (np.zeros((4, 8, 3)), "sequences"),
            (np.zeros((4, 8)), "sequences"),
        ],
    )
    def test_an_npz_is_images_if_its_numbers_are_bytes(self, tmp_path: Path, x: Any, kind: str) -> None:
        np.savez(tmp_path / "a.npz", x=x, y=np.arange(4) % 2)
        assert look(tmp_path / "a.npz", "", "")["kind"] == kind


def test_values_of_an_npz_and_of_a_ts_are_a_regression(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=RANDOM.random((40, 8)), y=RANDOM.random(40))
    lines = [f"1,2,3:{value}" for value in RANDOM.random(40)]
    (tmp_path / "a.ts").write_text("\n".join(["@targetLabel true", "@data", *lines]))
    for name in ("a.npz", "a.ts"):
        block = look(tmp_path / name, "", "")
        assert (block["kind"], block["task"], block["split"]["by"]) == ("sequences", "regression", "random")


@pytest.mark.parametrize("suffix", [".ts", ".tsv", ".txt"])
def test_a_pair_of_training_and_test_files_is_divided_as_it_was_given(tmp_path: Path, suffix: str) -> None:
    for part in ("TRAIN", "TEST"):
        rows = [f"1,2,{i}:{i % 2}" if suffix == ".ts" else f"{i % 2} 1 2 {i}" for i in range(9)]
        text = "\n".join((["@classLabel true", "@data"] if suffix == ".ts" else []) + rows)
        (tmp_path / f"Gun_{part}{suffix}").write_text(text)
    block = look(tmp_path, "", "")
    assert (block["kind"], block["task"], block["split"]) == (
        "sequences",
        "classification",
        {"by": "column", "validation": 0.15},
    )
    with pytest.raises(DataError, match=r"--kind must be sequences for a folder of sequences, but is 'images'"):
        look(tmp_path, "", "images")


def test_many_whole_numbers_that_repeat_may_be_classes(tmp_path: Path) -> None:
    label = np.repeat(np.arange(30), 10)
    told = "30 different whole numbers in 300 rows, learnt as values; if they number classes, say --task classification"
    table = csv(tmp_path, x=np.random.default_rng(0).random(300), label=label)
    assert looking.detect_dataset(table).notes == (f"label: {told}",)
    assert not looking.detect_dataset(table, task="regression").notes
    assert not looking.detect_dataset(
        csv(tmp_path, x=np.random.default_rng(0).random(300), label=np.arange(300) // 9)
    ).notes
    np.savez(tmp_path / "a.npz", x=np.zeros((300, 8, 8), np.uint8), y=label)
    assert f"labels: {told}" in looking.detect_dataset(tmp_path / "a.npz").notes


def test_classes_of_a_ts_are_classes_though_they_be_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text(
        "\n".join(["@classLabel true 1 2", "@data", *(f"1,2,{i}:{1 + i % 2}" for i in range(9))])
    )
    assert look(tmp_path / "a.ts", "", "")["task"] == "classification"


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"--kind must be one of table, images, sequences, series, text, but is 'video'"
    ):
        look(csv(tmp_path, a=[1], y=[2]), "", "video")


def test_many_columns_are_looked_at_in_a_second_or_two(tmp_path: Path) -> None:
    words = {f"w{i}": RANDOM.choice(["a", "b", "c"], 300) for i in range(200)}
    numbers = {f"n{i}": RANDOM.random(300).round(3) for i in range(200)}
    path = csv(tmp_path, **words, **numbers, y=classes(300))
    before = time.process_time()
    assert look(path, "y", "")["kind"] == "table"
    assert time.process_time() - before < 4  # one on this code's first machine, ten when each pair was tried


def test_what_cannot_be_understood_is_refused_with_the_formats(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(
        DataError, match=re.escape("must be .csv, .csv.gz, .tsv, .tsv.gz, .parquet, .sklearn, .txt, .ts, .npz, .zip")
    ):
        look(tmp_path / "a.docx", "", "")


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
def test_real_files_are_told_apart(file: str, target: str, kind: str) -> None:
    assert look(SHARED / file, target, "")["kind"] == kind


@pytest.mark.parametrize(("freq", "season"), [("MS", 12), ("30min", 48), ("D", 7), ("YS", 0)])
def test_the_season_of_a_series_is_told_from_its_steps(tmp_path: Path, freq: str, season: int) -> None:
    times = pd.date_range("1920-01-01", periods=300, freq="D" if freq == "YS" else freq).strftime("%Y-%m-%d %H:%M")
    if freq == "YS":
        times = np.arange(1700, 2000)
    assert look(csv(tmp_path, time=times, load=RANDOM.random(300))).get("season", 0) == season
