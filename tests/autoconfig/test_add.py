"""`fivefold add` prepares the data before it writes, and says what it leaves out."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from fivefold.autoconfig.add import AddResult, add
from fivefold.autoconfig.report import print_report
from fivefold.errors import DataError

ROOT = Path(__file__).parents[2]
N = 600


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def added(**columns: object) -> AddResult:
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"v": random.normal(size=N), **columns})
    if "outcome" not in frame:
        frame["outcome"] = np.where(frame["v"] > 0, "up", "down")
    frame.to_csv("mine.csv", index=False)
    return add(Path("mine.csv"), target="outcome")


def screen(found: AddResult) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_report(found, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_what_counts_the_rows_is_left_out_and_named() -> None:
    found = added(number=np.arange(N))
    assert found.dataset_block["drop"] == ["number"]
    assert "left out, as identifiers: number" in screen(found)


def test_a_number_that_tells_the_target_stays() -> None:
    dose = np.random.default_rng(1).permutation(N)
    found = added(dose=dose, outcome=np.where(dose > N / 2, "cured", "ill"))
    assert "drop" not in found.dataset_block
    assert "leakage" in screen(found)


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    assert "[/bold]" in screen(added(**{"[/bold]": np.random.default_rng(2).normal(size=N)}))


def test_many_words_are_merged_and_it_is_said() -> None:
    towns = np.random.default_rng(3).integers(0, 40, N).astype(str)
    found = added(town=np.char.add("town", towns))
    assert found.dataset_block["min_frequency"] == 0.01
    assert "categories of under 1 % of the rows are merged" in screen(found)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["1,5", "2,25"] * (N // 2), r"column 'odd' must contain finite numbers up to 1e\+37, but contains '1,5' in rows 1"),
        (
            ["3", "7", "-"] * (N // 3 - 1) + ["3-4"] * 3,
            r"column 'odd' must contain .*, but contains '3-4' in rows 598, 599, 60",
        ),
        (["31/12/2020", "12/31/2020", "a"] * (N // 3), r"column 'odd' no number tells \('31/12/2020' in row 1\)"),
    ],
)
def test_numbers_and_dates_written_otherwise_are_refused_not_lost(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        added(odd=cells)


@pytest.mark.parametrize("name", ["empty.csv", "empty.csv.gz"])
def test_an_empty_file_is_one_line(name: str) -> None:
    Path(name).write_bytes(b"")
    with pytest.raises(DataError, match=r"\A[^\n]+\Z"):
        add(Path(name), target="outcome")


CELLS = [(i % 7 + i / 8, "oui" if i % 7 > 3 else "né") for i in range(N)]


@pytest.mark.parametrize(
    ("name", "separator", "decimal", "encoding", "said"),
    [
        ("a.csv", ",", ".", "utf-8", {}),
        ("a.csv", ",", ".", "latin-1", {}),
        ("a.csv", ",", ".", "utf-8-sig", {}),
        ("a.csv", ";", ".", "utf-8", {"separator": ";"}),
        ("a.csv", ";", ",", "utf-8", {"separator": ";", "decimal": ","}),
        ("a.csv.gz", "|", ",", "latin-1", {"separator": "|", "decimal": ","}),
        ("A.TSV", "\t", ",", "utf-8", {"separator": "\t", "decimal": ","}),
    ],
)
def test_a_csv_is_read_as_it_is_written(name: str, separator: str, decimal: str, encoding: str, said: object) -> None:
    frame = pd.DataFrame(CELLS, columns=["größe", "outcome"])
    frame.to_csv(name, index=False, sep=separator, decimal=decimal, encoding=encoding)
    found = add(Path(name), target="outcome", name="mine")
    assert found.dataset_block.get("format", {}) == said
    assert found.dataset.schema.features == ("größe",)
    assert found.dataset.schema.classes == ("né", "oui")
    assert found.dataset.schema.columns[0].type == "numeric"


def test_the_index_that_pandas_writes_is_left_out() -> None:
    pd.DataFrame(CELLS, columns=["size", "outcome"]).to_csv("a.csv")
    found = add(Path("a.csv"), target="outcome", name="mine")
    assert found.dataset_block["drop"] == ["index"]
    assert found.dataset.schema.features == ("size",)


def test_an_identifier_may_have_a_few_repeated_rows() -> None:
    assert added(id=[*range(N - 2), 5, 6]).dataset_block["drop"] == ["id"]
    assert "drop" not in added(draw=np.random.default_rng(4).integers(0, N, N)).dataset_block


def test_a_column_without_a_value_is_left_out_and_named() -> None:
    found = added(nothing=[None] * N)
    assert (found.dataset_block["drop"], found.empty_columns) == (["nothing"], ("nothing",))
    assert "left out, without any value that can be read: nothing" in screen(found)
    assert "as identifiers" not in screen(found)


def test_codes_and_folds_are_said() -> None:
    random = np.random.default_rng(5)
    found = added(zip=[f"{code:05d}" for code in random.integers(0, 99_999, N)], fold=random.integers(0, 5, N))
    assert "set `columns: {zip: {type: categorical}}`" in screen(found).replace("\n", " ")
    assert "fold: the number of a fold, not a feature; name it under `drop`" in found.notes


def test_a_class_of_one_row_is_told_to_be_why_rows_are_drawn_at_random() -> None:
    outcome = np.where(np.arange(N) % 2 > 0, "up", "down").astype(object)
    outcome[0] = "flat"
    said = "split at random, not stratified by class: class flat has one row, fewer than 10"
    assert any(note.startswith(said) for note in added(outcome=outcome).notes)


def test_a_rare_class_is_seen_in_twice_as_many_epochs() -> None:
    even, rare = (np.where(np.arange(N) % every, "up", "down") for every in (2, 30))
    assert added(outcome=even).model_block["training"]["max_epochs"] == 40
    assert added(outcome=rare).model_block["training"]["max_epochs"] == 80


def test_incomes_are_learnt_by_their_logarithms() -> None:
    found = added(outcome=np.exp(np.random.default_rng(6).normal(9, 1.5, N)))
    assert (found.dataset_block["task"], found.dataset_block["log"]) == ("regression", True)
    assert found.dataset.schema.log_target
    assert any(note.startswith("outcome: a few values are far above the rest") for note in found.notes)


def test_a_column_of_one_value_is_left_out_and_named() -> None:
    found = added(unit=["kg"] * N, zero=0)
    assert (found.dataset_block["drop"], found.constant_columns) == (["unit", "zero"], ("unit", "zero"))
    assert "left out, of one value in all rows: unit, zero" in screen(found)


def test_labels_keep_their_zeros_and_no_type_is_advised_for_them() -> None:
    found = added(outcome=["007", "042"] * (N // 2), zip=["01234", "02345", "12345"] * (N // 3))
    assert found.dataset.schema.classes == ("007", "042")
    assert [note for note in found.notes if "is read as a number" in note] == [
        "zip: 01234 is read as a number; if it is a code, set `columns: {zip: {type: categorical}}`"
    ]


def test_flags_are_two_classes_however_they_are_written() -> None:
    found = added(outcome=["Yes", "no", "yes", "No", "Yes", "no", "YES", "no", "Yes", " NO"] * (N // 10))
    assert found.dataset.schema.classes == ("Yes", "no")
    assert found.dataset_block["split"]["by"] == "stratified"


@pytest.mark.parametrize("cell", ["#{}.54", "u{}", "2020-01-01 {}"])
def test_a_class_for_each_row_is_refused(cell: str) -> None:
    with pytest.raises(DataError, match=rf"\A[^\n]*column 'outcome' has {N} classes in {N} rows, such as [^\n]*\Z"):
        added(outcome=[cell.format(i) for i in range(N)])


@pytest.mark.parametrize("source", ["/", ".", ".."])
def test_a_folder_that_holds_the_project_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"\Aa source must be data, but [/.]+ holds this project; name a folder"):
        add(Path(source), name="mine")


@pytest.mark.parametrize("room", ["fivefold.autoconfig.add.look", "fivefold.data.prepare.read_images"])
def test_a_folder_that_vanishes_is_one_line(room: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "proc/7")

    monkeypatch.setattr(room, vanish)
    Path("proc").mkdir()
    with pytest.raises(
        DataError, match=r"\Aproc must be a file or folder that can be read, but is not: [^\n]+; mend that\Z"
    ):
        add(Path("proc"))


def test_a_name_loses_its_accents_not_its_letters() -> None:
    pd.DataFrame(CELLS, columns=["size", "outcome"]).to_csv("Été 2020.csv", index=False)
    assert add(Path("Été 2020.csv"), target="outcome").name == "ete_2020"
