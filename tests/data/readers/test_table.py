"""Tables from their file to split, encoded rows: formats, cleaning, dropped rows, rules for columns."""

import gzip
import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fivefold.config.datasets import ColumnOptions, FileFormat, MissingValues
from fivefold.config.splits import GroupSplit, PredefinedSplit, RandomSplit, TimeSplit
from fivefold.data.dataset import Array
from fivefold.data.prepare import prepare, read_raw_dataset
from fivefold.errors import DataError
from fivefold.preprocessing.scaling import fit_scaling

from ...conftest import encode_as_training, schema_and_rows, table_block

RANDOM = np.random.default_rng(0)
N = 80
FRAME = pd.DataFrame(
    {
        "size": RANDOM.normal(size=N),
        "color": RANDOM.choice(["red", "blue", "green"], N),
        "rank": RANDOM.choice(["low", "medium", "high"], N),
        "flag": RANDOM.choice(["yes", "no"], N),
        "when": pd.date_range("2024-01-01", periods=N, freq="7h").strftime("%Y-%m-%d %H:%M"),
        "site": [f"s{i}" for i in RANDOM.integers(0, 12, N)],
        "part": RANDOM.choice(["Train", " TRAINING", "dev", "test"], N, p=[0.4, 0.3, 0.1, 0.2]),
        "y": RANDOM.choice(["u", "v"], N),
    }
)


def write_file(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_file(FRAME, tmp_path / "a.csv")


class TestFormats:
    @pytest.mark.parametrize("name", ["b.parquet", "b.csv.gz"])
    def test_a_table_is_the_same_in_each(self, source: Path, tmp_path: Path, name: str) -> None:
        schema, samples = schema_and_rows(table_block(source))
        other_schema, other = schema_and_rows(table_block(write_file(FRAME, tmp_path / name)))
        assert other_schema == schema
        np.testing.assert_array_equal(other.x, samples.x)
        np.testing.assert_array_equal(other.y, samples.y)

    def test_a_csv_without_header_names_its_columns_by_number(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("1.5,red,u\n2.5,blue,v\n")
        schema, samples = schema_and_rows(table_block(tmp_path / "a.csv", format=FileFormat(header=False), target="2"))
        assert schema.features == ("0", "1")
        assert schema.classes == ("u", "v")
        assert samples.x.tolist() == [[1.5, 1], [2.5, 0]]

    def test_a_missing_header_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("1,1,u\n2,3,v\n")
        with pytest.raises(
            DataError, match=r"every column must have a unique name, but '1' occurs 2 times; .*`format: {header: f"
        ):
            read_raw_dataset(table_block(tmp_path / "a.csv", target="u"))

    def test_text_is_read_unchanged(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("a,b,y\n007,1.0,u\n7,2.0,v\n")
        options = {"a": ColumnOptions(type="categorical"), "b": ColumnOptions(categories=("2.0", "1.0"))}
        schema, samples = schema_and_rows(table_block(tmp_path / "a.csv", columns=options))
        assert schema.columns[0].categories == ("007", "7")
        assert samples.x.tolist() == [[0, 1], [1, 0]]

    def test_decimal_commas_are_parsed_in_a_column_with_text(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("a;y\n1,5;u\n-,25;v\nhot;v\n2;v\n")
        dataset = encode_as_training(table_block(tmp_path / "a.csv", format=FileFormat(separator=";", decimal=",")))
        np.testing.assert_array_equal(dataset.train.x[:, 0], [1.5, -0.25, np.nan, 2])
        assert [f.message.split("; ")[0] for f in dataset.checks] == [
            "column 'a' must contain finite numbers up to 1e+37, but contains 'hot' in row 3"
        ]

    def test_parquet_keeps_its_types(self, tmp_path: Path) -> None:
        frame = pd.DataFrame(
            {
                "whole": pd.array([1, None, 3], dtype="Int64"),
                "truth": pd.array([True, None, False], dtype="boolean"),
                "day": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
                "grade": pd.Categorical(["b", None, "c"], ["a", "b", "c"], ordered=True),
                "shade": pd.Categorical(["x", None, "w"]),
                "y": [0.5, 1.5, 2.5],
            }
        )
        schema, samples = schema_and_rows(table_block(write_file(frame, tmp_path / "a.parquet"), task="regression"))
        types = ["numeric", "boolean", "date", "ordinal", "categorical"]
        assert [column.type for column in schema.columns] == types
        assert schema.columns[3].categories == ("a", "b", "c")
        assert np.isnan(samples.x[1]).all()
        assert samples.x[[0, 2]][:, [0, 1, 4, 5]].tolist() == [[1, 1, 1, 1], [3, 0, 2, 0]]

    def test_parquet_rows_are_counted_from_one_for_any_index(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": [1.0, np.inf, 3], "y": [0, 1, 0]}, index=[70, 80, 90])
        (result,) = encode_as_training(table_block(write_file(frame, tmp_path / "a.parquet"))).checks
        assert "inf in row 2; clean it" in result.message

    def test_a_named_index_of_parquet_is_a_column(self, tmp_path: Path) -> None:
        frame = pd.DataFrame({"a": [1.0, 2, 3], "y": [0, 1, 0]}, index=pd.Index([7, 8, 9], name="b"))
        schema, _ = schema_and_rows(table_block(write_file(frame, tmp_path / "a.parquet")))
        assert set(schema.features) == {"a", "b"}

    def test_an_invalid_parquet_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing")
        with pytest.raises(DataError, match=r"\A[^\n]*a\.parquet must be Parquet, but is not: [^\n]*; fix the file\Z"):
            read_raw_dataset(table_block(tmp_path / "a.parquet"))

    def test_a_truncated_gzip_is_refused(self, tmp_path: Path) -> None:
        content = gzip.compress(FRAME.to_csv(index=False).encode(), mtime=0)
        (tmp_path / "a.csv.gz").write_bytes(content[: len(content) // 2])
        with pytest.raises(DataError, match=r"\A[^\n]*must be CSV[^\n]*\Z"):
            read_raw_dataset(table_block(tmp_path / "a.csv.gz"))


class TestTarget:
    @pytest.mark.parametrize("cell", ["", "NA", "nan", "?"])
    def test_a_regression_target_must_not_be_missing(self, tmp_path: Path, cell: str) -> None:
        (tmp_path / "a.csv").write_text(f"a,y\n1,2\n2,{cell}\n3,4\n")
        with pytest.raises(DataError, match=r"every row must have a target, but row 2 of column 'y' is empty \(1 in t"):
            read_raw_dataset(table_block(tmp_path / "a.csv", task="regression"))

    def test_a_regression_target_must_be_a_number(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_text("a,y\n1,2\n2,hot\n3,4\n")
        with pytest.raises(
            DataError, match=r"column 'y' must contain finite numbers up to 1e\+37, but contains 'hot' in row 2"
        ):
            read_raw_dataset(table_block(tmp_path / "a.csv", task="regression"))


def test_every_error_names_the_file(source: Path) -> None:
    for changes in (
        {"split": RandomSplit(by="random", validation=50, test=50)},
        {"checks": {"class_balance": "error"}},
    ):
        with pytest.raises(DataError, match=rf"\A{re.escape(str(source))}: "):
            prepare(table_block(source, drop=("site", "part"), **changes), 0)
    with pytest.raises(
        DataError, match=r"a.csv: class_balance: .*; to continue anyway, set `checks: {class_balance: w"
    ):
        prepare(table_block(source, checks={"class_balance": "error"}), 0)


def test_categories_are_not_normalized(source: Path) -> None:
    message = (
        r"`normalize` applies to numbers, but column 'color' is categorical; remove `normalize: minmax` from `columns`"
    )
    with pytest.raises(DataError, match=message):
        prepare(table_block(source, columns={"color": ColumnOptions(normalize="minmax")}), 0)
    prepare(
        table_block(
            source, columns={"color": ColumnOptions(normalize="none"), "flag": ColumnOptions(normalize="minmax")}
        ),
        0,
    )


class TestDroppedRows:
    FRAME = pd.DataFrame(
        {"a": [1, 1, np.nan, 2, 1], "b": ["x", "x", "y", None, "x"], "y": ["u", "u", "v", "v", "v"]},
    )

    @pytest.mark.parametrize(
        ("changes", "rows"),
        [
            ({}, [0, 1, 2, 3, 4]),
            ({"duplicates": "drop"}, [0, 2, 3, 4]),  # rows with different targets are not duplicates
            ({"missing": MissingValues(numeric="drop")}, [0, 1, 3, 4]),
            ({"missing": MissingValues(categorical="drop")}, [0, 1, 2, 4]),
            ({"missing": MissingValues(numeric="drop", categorical="drop"), "duplicates": "drop"}, [0, 4]),
        ],
    )
    def test_rows_keep_their_index(self, tmp_path: Path, changes: dict[str, Any], rows: list[int]) -> None:
        _, samples = schema_and_rows(table_block(write_file(self.FRAME, tmp_path / "a.csv"), **changes))
        assert samples.rows.tolist() == rows
        assert samples.y.tolist() == np.array([0, 0, 1, 1, 1])[rows].tolist()

    def test_a_table_without_remaining_rows_is_refused(self, tmp_path: Path) -> None:
        frame = self.FRAME.assign(c=np.nan)
        with pytest.raises(DataError, match=r"`missing: drop` drops all rows of the train split; impute instead, or"):
            encode_as_training(
                table_block(write_file(frame, tmp_path / "a.csv"), missing=MissingValues(numeric="drop"))
            )

    def test_dropped_rows_are_removed_after_the_split(self, tmp_path: Path) -> None:
        frame = FRAME.assign(size=FRAME["size"].where(FRAME.index % 7 != 3))
        block = table_block(write_file(frame, tmp_path / "a.csv"))
        complete, _ = prepare(block, 0)
        remaining, _ = prepare(block.model_copy(update={"missing": MissingValues(numeric="drop")}), 0)
        for name, samples in complete.splits().items():
            assert remaining.splits()[name].rows.tolist() == [row for row in samples.rows if row % 7 != 3]
            assert not np.isnan(remaining.splits()[name].x).any()

    def test_duplicates_across_splits_keep_the_training_row(self, tmp_path: Path) -> None:
        part = ["test", "test", "dev", "train", "train", "train", "dev", "test", "test"]
        frame = pd.DataFrame({"a": [1, 2, 2, 1, 1, 3, 5, 5, 6], "part": part, "y": [*"uvvuuvuuv"]})
        block = table_block(
            write_file(frame, tmp_path / "a.csv"), split=PredefinedSplit(by="predefined", column="part")
        )
        dataset, results = prepare(block.model_copy(update={"duplicates": "drop"}), 0)
        assert [samples.rows.tolist() for samples in dataset.splits().values()] == [[3, 5], [2, 6], [8]]
        text = "`duplicates: drop` drops 4 rows: 1 train, 0 validation, 3 test"
        assert ("duplicates", "note", text) in [(f.rule, f.level, f.message) for f in results]

    def test_dropped_rows_are_counted_per_split(self, tmp_path: Path) -> None:
        frame = FRAME.assign(size=FRAME["size"].where(FRAME["part"] != "dev").where(FRAME.index != 3))
        frame.loc[frame["part"].eq("dev").idxmax(), "size"] = 1.0
        split = PredefinedSplit(by="predefined", column="part")
        block = table_block(write_file(frame, tmp_path / "a.csv"), split=split, missing=MissingValues(numeric="drop"))
        dev = int((FRAME["part"] == "dev").sum()) - 1
        text = f"`missing: drop` drops {dev + 1} rows: 1 train, {dev} validation, 0 test"
        assert text in [result.message for result in prepare(block, 0)[1]]

    def test_rows_without_a_target_are_refused_or_dropped_before_the_split(self, tmp_path: Path) -> None:
        frame = FRAME.assign(y=FRAME["y"].where(FRAME.index % 9 != 2), part=FRAME["part"].where(FRAME.index != 2))
        block = table_block(
            write_file(frame, tmp_path / "a.csv"), split=PredefinedSplit(by="predefined", column="part")
        )
        with pytest.raises(
            DataError, match=r"row 3 of column 'y' is empty \(9 in total\); .* `missing: {target: drop}`"
        ):
            read_raw_dataset(block)
        block = block.model_copy(update={"missing": MissingValues(target="drop")})
        dataset, results = prepare(block, 0)
        rows = np.concatenate([samples.rows for samples in dataset.splits().values()])
        assert sorted(rows) == [i for i in range(N) if i % 9 != 2]
        assert "`missing: {target: drop}` drops 9 rows without y" in [result.message for result in results]
        frame.loc[7, "part"] = "elsewhere"
        write_file(frame, tmp_path / "a.csv")
        with pytest.raises(DataError, match=r"column 'part' must contain train, .* but row 8 contains 'elsewhere'"):
            read_raw_dataset(block)

    def test_remaining_rows_must_have_two_classes(self, tmp_path: Path) -> None:
        frame = FRAME.assign(size=FRAME["size"].where(FRAME["y"] == "u"))
        block = table_block(write_file(frame, tmp_path / "a.csv"), missing=MissingValues(numeric="drop"))
        with pytest.raises(
            DataError, match=r"training rows must belong to at least 2 classes, but all belong to 'u'; add"
        ):
            prepare(block, 0)

    def test_invalid_cells_are_reported_with_their_rows(self, tmp_path: Path) -> None:
        cells = [*map(str, range(58)), "inf", "oops"]
        frame = pd.DataFrame({"a": cells, "y": ["u", "v"] * 30})
        message = r"mixed_types: column 'a' must contain .*, but contains 'inf' in row 59, 'oops' in row 60 \(2 rows\);"
        with pytest.raises(DataError, match=message):
            prepare(table_block(write_file(frame, tmp_path / "a.csv")), 0)

    def test_an_invalid_cell_at_level_warning_becomes_missing(self, tmp_path: Path) -> None:
        frame = FRAME.assign(size=FRAME["size"].where(FRAME.index != 3, np.inf), rank=FRAME["rank"])
        block = table_block(write_file(frame, tmp_path / "a.csv"), checks={"non_finite": "warning"})
        dataset, results = prepare(block, 0)
        assert [f.level for f in results if f.rule == "non_finite"] == ["warning"]
        x = np.concatenate([part.x for part in dataset.splits().values()])
        assert np.isnan(x).sum() == 1
        assert not np.isinf(x).any()


RULES = [
    # column options, cells, message
    ({"min": 0}, "3\n-2\n-5", "column 'a' must be at least 0, but row 2 contains -2 (2 such cells);"),
    ({"max": 2.5}, "3\n2.5\n", "column 'a' must be at most 2.5, but row 1 contains 3.0 (1 such cells);"),
    ({"min": 0, "max": 2}, "0\n2\n7", "column 'a' must be at most 2, but row 3 contains 7 (1 such cells);"),
    ({"allowed_values": ("1", "2")}, "1\n2\n3", "column 'a' must be one of 1, 2, but row 3 contains 3 (1 such cells);"),
    (
        {"allowed_values": ("x", "y")},
        "x\nz\ny",
        "column 'a' must be one of x, y, but row 2 contains 'z' (1 such cells);",
    ),
    (
        {"allowed_values": ("no",)},
        "no\nyes\nNo",
        "column 'a' must be one of no, but row 2 contains 'yes' (1 such cells);",
    ),
    (
        {"allowed_values": ("low",)},
        "low\nhigh\nlow",
        "column 'a' must be one of low, but row 2 contains 'high' (1 such cells);",
    ),
    (
        {"allowed_values": ("2024-01-01",)},
        "2024-01-01\n2025-01-01\n2024-01-01",
        "column 'a' must be one of 2024-01-01, but row 2 contains '2025-01-01' (1 such cells);",
    ),
]


class TestRules:
    @staticmethod
    def block(folder: Path, cells: str, **changes: Any) -> Any:
        rows = [f"{cell},{target}" for cell, target in zip(cells.split("\n"), "uvuvuv", strict=False)]
        (folder / "a.csv").write_text("\n".join(["a,y", *rows]) + "\n")
        return table_block(folder / "a.csv", **changes)

    @pytest.mark.parametrize(("options", "cells", "line"), RULES)
    def test_a_cell_that_violates_a_rule_is_named(
        self, tmp_path: Path, options: dict[str, Any], cells: str, line: str
    ) -> None:
        block = self.block(tmp_path, cells, columns={"a": ColumnOptions(**options)})
        whole_line = rf"\A[^\n]*{re.escape(line)} clean it, or fix `columns` in params\.yaml\Z"
        with pytest.raises(DataError, match=whole_line):
            encode_as_training(block)

    @pytest.mark.parametrize(
        ("options", "cells"),
        [
            ({"min": 0, "max": 3}, "0\n3\n\n1.5"),
            ({"allowed_values": ("1", "2.50")}, "1\n2.5\n\n1"),
            ({"allowed_values": ("x", "y")}, "x\n\ny\nx"),
            ({"allowed_values": ("yes", "no")}, "Yes\nNO\n\nyes"),
            ({"allowed_values": ("low", "high")}, "High\nlow\nNA"),
        ],
    )
    def test_valid_and_missing_cells_pass(self, tmp_path: Path, options: dict[str, Any], cells: str) -> None:
        encode_as_training(self.block(tmp_path, cells, columns={"a": ColumnOptions(**options)}))

    def test_targets_can_have_rules(self, tmp_path: Path) -> None:
        block = self.block(tmp_path, "1\n2\n3", columns={"y": ColumnOptions(allowed_values=("v", "w"))})
        with pytest.raises(DataError, match=r"column 'y' must be one of v, w, but row 1 contains 'u' \(2 such cells\)"):
            encode_as_training(block)

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            (
                {"min": 0},
                "column 'a' must be numeric to have a `min` or `max`, but is categorical; use `allowed_values`",
            ),
            (
                {"allowed_values": ("x", "2"), "type": "numeric"},
                "column 'a' is numeric, but its `allowed_values` contain 'x'; fix `columns`",
            ),
        ],
    )
    def test_a_rule_that_does_not_fit_the_type_is_refused(
        self, tmp_path: Path, options: dict[str, Any], line: str
    ) -> None:
        with pytest.raises(DataError, match=rf"\A{re.escape(line)}\Z"):
            encode_as_training(self.block(tmp_path, "x\nz\nw", columns={"a": ColumnOptions(**options)}))

    def test_a_configured_column_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(
            DataError, match=r"columns must name a column, but 'b' does not exist; the columns are a, y"
        ):
            encode_as_training(self.block(tmp_path, "1\n2", columns={"b": ColumnOptions(type="date")}))


class TestSplits:
    def test_the_group_column_is_not_a_feature_and_groups_are_stored(self, source: Path) -> None:
        split = GroupSplit(by="group", column="site", validation=0.2, test=0.2)
        dataset, _ = prepare(table_block(source, split=split, drop=("part",)), 0)
        assert "site" not in dataset.schema.features
        groups = [set(FRAME["site"].iloc[part.rows]) for part in dataset.splits().values()]
        assert sum(map(len, groups)) == FRAME["site"].nunique()
        assert dataset.train.groups is not None

    def test_every_row_must_have_a_group(self, tmp_path: Path) -> None:
        path = write_file(FRAME.assign(site=FRAME["site"].where(FRAME.index != 4)), tmp_path / "a.csv")
        split = GroupSplit(by="group", column="site", validation=0.2, test=0.2)
        with pytest.raises(DataError, match=r"every row must have a group, but row 5 of column 'site' is empty"):
            read_raw_dataset(table_block(path, split=split))

    def test_the_latest_rows_are_test_rows(self, tmp_path: Path) -> None:
        frame = FRAME.sample(frac=1, random_state=1)
        split = TimeSplit(by="time", column="when", validation=0.2, test=10)
        dataset, _ = prepare(table_block(write_file(frame, tmp_path / "a.csv"), split=split), 0)
        assert "when.days" not in dataset.schema.features
        when = frame["when"].to_numpy()
        assert set(when[dataset.test.rows]) == set(FRAME["when"][-10:])
        assert when[dataset.train.rows].max() < when[dataset.validation.rows].min()

    @pytest.mark.parametrize("column", ["color", "flag"])
    def test_time_must_be_a_date_or_a_number(self, source: Path, column: str) -> None:
        split = TimeSplit(by="time", column=column, validation=0.2, test=0.2)
        message = rf"column '{column}' must contain an ISO date or a number in every row, but row 1 contains"
        with pytest.raises(DataError, match=message):
            read_raw_dataset(table_block(source, split=split))

    def test_split_names_can_be_spelled_differently(self, source: Path) -> None:
        dataset, _ = prepare(table_block(source, split=PredefinedSplit(by="predefined", column="part")), 0)
        splits = FRAME["part"].to_numpy()
        assert {name: set(splits[part.rows]) for name, part in dataset.splits().items()} == {
            "train": {"Train", " TRAINING"},
            "validation": {"dev"},
            "test": {"test"},
        }

    @pytest.mark.parametrize(
        ("word", "line"),
        [
            (
                "holdout",
                r"column 'part' must contain train, validation or test, but row 1 contains 'holdout'; fix it, or",
            ),
            (None, r"column 'part' must contain train, validation or test, but row 1 contains nan; fix it, or"),
        ],
    )
    def test_an_unknown_split_name_is_refused(self, tmp_path: Path, word: str | None, line: str) -> None:
        frame = FRAME.assign(part=["train"] * 40 + ["test"] * 40)
        frame.loc[0, "part"] = word
        with pytest.raises(DataError, match=line):
            read_raw_dataset(
                table_block(
                    write_file(frame, tmp_path / "a.csv"), split=PredefinedSplit(by="predefined", column="part")
                )
            )

    def test_a_missing_split_is_reported(self, tmp_path: Path) -> None:
        path = write_file(FRAME.assign(part="train"), tmp_path / "a.csv")
        with pytest.raises(
            DataError, match=r"column 'part' must assign rows to test, but assigns none; use another `split.by`"
        ):
            read_raw_dataset(table_block(path, split=PredefinedSplit(by="predefined", column="part")))


class TestLeakage:
    """Everything fitted on a table is fitted on its training rows."""

    BLOCK = MappingProxyType(
        {"missing": MissingValues(add_indicator=True), "clip": 2.0, "min_frequency": 0.05, "drop": ("part", "site")}
    )

    @staticmethod
    def prepared(folder: Path, frame: pd.DataFrame) -> tuple[str, bytes, dict[str, Array]]:
        """Return schema and scaling as stored, and the rows of each split."""
        dataset, _ = prepare(table_block(write_file(frame, folder / "a.csv"), **TestLeakage.BLOCK), 7)
        fit_scaling(dataset.train.x, dataset.schema, table_block(folder / "a.csv", **TestLeakage.BLOCK)).save(
            folder / "scaling.safetensors"
        )
        written_schema = dataset.schema.model_dump_json()
        rows = {name: part.rows for name, part in dataset.splits().items()}
        return written_schema, (folder / "scaling.safetensors").read_bytes(), rows

    @staticmethod
    def altered(rows: Array) -> pd.DataFrame:
        frame = FRAME.copy()
        frame.loc[rows, "size"] = 1e6
        frame.loc[rows[::2], "size"] = np.nan
        frame.loc[rows, "color"] = "violet"
        frame.loc[rows, "rank"] = "HIGH"
        frame.loc[rows, "flag"] = "Yes"
        frame.loc[rows, "when"] = "2031-12-31 23:59"
        frame.loc[rows, "y"] = np.where(FRAME["y"][rows] == "u", "v", "u")
        return frame

    @pytest.mark.parametrize("part", ["validation", "test"])
    def test_held_out_rows_do_not_change_what_is_fitted(self, tmp_path: Path, part: str) -> None:
        schema, scaling, rows = self.prepared(tmp_path, FRAME)
        other_schema, other_scaling, other_rows = self.prepared(tmp_path, self.altered(rows[part]))
        assert other_schema == schema
        assert other_scaling == scaling
        assert all((rows[name] == other_rows[name]).all() for name in rows)

    def test_training_rows_change_what_is_fitted(self, tmp_path: Path) -> None:
        schema, scaling, rows = self.prepared(tmp_path, FRAME)
        other_schema, other_scaling, _ = self.prepared(tmp_path, self.altered(rows["train"]))
        assert other_schema != schema
        assert other_scaling != scaling


def test_a_large_table_with_a_rare_class_is_prepared(tmp_path: Path) -> None:
    n = 50_000
    frame = pd.DataFrame({f"n{i}": RANDOM.normal(size=n) for i in range(15)})
    frame["town"] = RANDOM.choice([f"town {i}" for i in range(300)], n)
    frame["when"] = pd.date_range("2020-01-01", periods=n, freq="h").strftime("%Y-%m-%d %H:%M")
    frame["flag"], frame["rank"] = RANDOM.choice(["yes", "no"], n), RANDOM.choice(["low", "high"], n)
    frame["y"] = RANDOM.permutation(["rare"] * 10 + ["u", "v"] * (n // 2 - 5))
    block = table_block(
        write_file(frame, tmp_path / "a.csv"),
        split={"by": "stratified", "validation": 0.15, "test": 0.15},
    )
    dataset, results = prepare(block, 0)
    assert len(dataset.train) == 35_000
    rare = dataset.schema.classes.index("rare")
    assert [int((part.y == rare).sum()) for part in dataset.splits().values()] == [6, 2, 2]
    assert {f.rule for f in results} == {"class_balance"}


def test_a_target_constant_in_training_rows_is_refused(tmp_path: Path) -> None:
    frame = FRAME.assign(y=np.where(np.arange(N) < 75, 4.0, np.arange(N)))
    split = TimeSplit(by="time", column="when", validation=3, test=5)
    line = (
        r"a\.csv: targets must have at least 2 distinct values in training rows, but column 'y' contains only 4\.0;"
        r" set `target` .*\Z"
    )
    with pytest.raises(DataError, match=line):
        prepare(table_block(write_file(frame, tmp_path / "a.csv"), task="regression", split=split), 0)
