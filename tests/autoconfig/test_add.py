"""`fivefold add` prepares the dataset before it writes blocks, and reports dropped columns."""

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


def report_text(result: AddResult) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_report(result, console)
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_row_counters_are_dropped_and_reported() -> None:
    result = added(number=np.arange(N))
    assert result.dataset_block["drop"] == ["number"]
    assert "dropped, identifiers: number" in report_text(result)


def test_an_identifier_that_predicts_the_target_is_kept() -> None:
    dose = np.random.default_rng(1).permutation(N)
    result = added(dose=dose, outcome=np.where(dose > N / 2, "cured", "ill"))
    assert "drop" not in result.dataset_block
    assert "leakage" in report_text(result)


def test_names_that_look_like_markup_are_printed_verbatim() -> None:
    assert "[/bold]" in report_text(added(**{"[/bold]": np.random.default_rng(2).normal(size=N)}))


def test_rare_categories_of_many_are_merged_and_reported() -> None:
    towns = np.random.default_rng(3).integers(0, 40, N).astype(str)
    result = added(town=np.char.add("town", towns))
    assert result.dataset_block["min_frequency"] == 0.01
    assert "categories with less than 1% of the rows are merged (`min_frequency`)" in report_text(result)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            ["1,5", "2,25"] * (N // 2),
            r"column 'odd' must contain finite numbers up to 1e\+37, but contains '1,5' in rows 1",
        ),
        (
            ["3", "7", "-"] * (N // 3 - 1) + ["3-4"] * 3,
            r"column 'odd' must contain .*, but contains '3-4' in rows 598, 599, 60",
        ),
        (
            ["31/12/2020", "12/31/2020", "a"] * (N // 3),
            r"column 'odd' does not show whether the day or the month comes first \('31/12/2020' in row 1\)",
        ),
    ],
)
def test_invalid_numbers_and_ambiguous_dates_raise(cells: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        added(odd=cells)


@pytest.mark.parametrize("name", ["empty.csv", "empty.csv.gz"])
def test_an_empty_file_raises_a_single_line(name: str) -> None:
    Path(name).write_bytes(b"")
    with pytest.raises(DataError, match=r"\A[^\n]+\Z"):
        add(Path(name), target="outcome")


CELLS = [(i % 7 + i / 8, "oui" if i % 7 > 3 else "né") for i in range(N)]


@pytest.mark.parametrize(
    ("name", "separator", "decimal", "encoding", "file_format"),
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
def test_the_format_of_a_csv_is_inferred(
    name: str, separator: str, decimal: str, encoding: str, file_format: object
) -> None:
    frame = pd.DataFrame(CELLS, columns=["größe", "outcome"])
    frame.to_csv(name, index=False, sep=separator, decimal=decimal, encoding=encoding)
    result = add(Path(name), target="outcome", name="mine")
    assert result.dataset_block.get("format", {}) == file_format
    assert result.dataset.schema.features == ("größe",)
    assert result.dataset.schema.classes == ("né", "oui")
    assert result.dataset.schema.columns[0].type == "numeric"


def test_the_index_written_by_pandas_is_dropped() -> None:
    pd.DataFrame(CELLS, columns=["size", "outcome"]).to_csv("a.csv")
    result = add(Path("a.csv"), target="outcome", name="mine")
    assert result.dataset_block["drop"] == ["index"]
    assert result.dataset.schema.features == ("size",)


def test_an_identifier_may_have_a_few_duplicates() -> None:
    assert added(id=[*range(N - 2), 5, 6]).dataset_block["drop"] == ["id"]
    assert "drop" not in added(draw=np.random.default_rng(4).integers(0, N, N)).dataset_block


def test_a_column_without_values_is_dropped_and_reported() -> None:
    result = added(nothing=[None] * N)
    assert (result.dataset_block["drop"], result.empty_columns) == (["nothing"], ("nothing",))
    assert "dropped, no valid values: nothing" in report_text(result)
    assert "identifiers" not in report_text(result)


def test_codes_and_fold_numbers_are_reported() -> None:
    random = np.random.default_rng(5)
    result = added(zip=[f"{code:05d}" for code in random.integers(0, 99_999, N)], fold=random.integers(0, 5, N))
    assert "set `columns: {zip: {type: categorical}}`" in report_text(result).replace("\n", " ")
    assert "fold: fold numbers are not a feature; add it to `drop`" in result.notes


def test_a_class_with_one_row_explains_the_random_split() -> None:
    outcome = np.where(np.arange(N) % 2 > 0, "up", "down").astype(object)
    outcome[0] = "flat"
    message = "split at random, not stratified by class: class flat has one row, fewer than 10"
    assert any(note.startswith(message) for note in added(outcome=outcome).notes)


def test_a_rare_class_doubles_the_epochs() -> None:
    even, rare = (np.where(np.arange(N) % every, "up", "down") for every in (2, 30))
    assert added(outcome=even).model_block["training"]["max_epochs"] == 40
    assert added(outcome=rare).model_block["training"]["max_epochs"] == 80


def test_a_target_with_a_long_tail_is_log_transformed() -> None:
    result = added(outcome=np.exp(np.random.default_rng(6).normal(9, 1.5, N)))
    assert (result.dataset_block["task"], result.dataset_block["log_target"]) == ("regression", True)
    assert result.dataset.schema.log_target
    assert any(note.startswith("outcome: the distribution has a long tail") for note in result.notes)


def test_a_constant_column_is_dropped_and_reported() -> None:
    result = added(unit=["kg"] * N, zero=0)
    assert (result.dataset_block["drop"], result.constant_columns) == (["unit", "zero"], ("unit", "zero"))
    assert "dropped, constant: unit, zero" in report_text(result)


def test_labels_keep_leading_zeros_without_a_note() -> None:
    result = added(outcome=["007", "042"] * (N // 2), zip=["01234", "02345", "12345"] * (N // 3))
    assert result.dataset.schema.classes == ("007", "042")
    assert [note for note in result.notes if "is parsed as a number" in note] == [
        "zip: 01234 is parsed as a number; if it is a code, set `columns: {zip: {type: categorical}}`"
    ]


def test_booleans_are_two_classes_in_any_spelling() -> None:
    result = added(outcome=["Yes", "no", "yes", "No", "Yes", "no", "YES", "no", "Yes", " NO"] * (N // 10))
    assert result.dataset.schema.classes == ("Yes", "no")
    assert result.dataset_block["split"]["by"] == "stratified"


@pytest.mark.parametrize("cell", ["#{}.54", "u{}", "2020-01-01 {}"])
def test_a_class_per_row_raises(cell: str) -> None:
    with pytest.raises(DataError, match=rf"\A[^\n]*column 'outcome' has {N} classes in {N} rows, such as [^\n]*\Z"):
        added(outcome=[cell.format(i) for i in range(N)])


@pytest.mark.parametrize("source", ["/", ".", ".."])
def test_a_folder_that_contains_the_project_raises(source: str) -> None:
    with pytest.raises(DataError, match=r"\Aa source must be data, but [/.]+ contains this project; specify a folder"):
        add(Path(source), name="mine")


@pytest.mark.parametrize("function", ["fivefold.autoconfig.add.detect_dataset", "fivefold.data.prepare.read_images"])
def test_a_folder_that_vanishes_raises_a_single_line(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "proc/7")

    monkeypatch.setattr(function, vanish)
    Path("proc").mkdir()
    with pytest.raises(
        DataError, match=r"\Aproc must be a readable file or folder, but is not: [^\n]+; fix its access rights\Z"
    ):
        add(Path("proc"))


def test_accents_are_removed_from_names() -> None:
    pd.DataFrame(CELLS, columns=["size", "outcome"]).to_csv("Été 2020.csv", index=False)
    assert add(Path("Été 2020.csv"), target="outcome").name == "ete_2020"
