"""Sequences from long tables, .ts and .npz: x, y and check results, errors, and leakage."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fivefold.config.datasets import Sequences
from fivefold.config.splits import GroupSplit, PredefinedSplit
from fivefold.data.dataset import Array, ArrayDataset
from fivefold.data.prepare import prepare
from fivefold.data.readers.sequences import read_sequences
from fivefold.errors import DataError
from fivefold.preprocessing.scaling import fit_scaling

from ..helpers import assert_sequences_refused, sequences_block

SHARED = Path(__file__).parents[4] / "shared/data"
NAN = np.nan


def read(source: Path, **changes: Any) -> ArrayDataset:
    return read_sequences(source, sequences_block(source, **changes))


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_archive(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


# two sequences, b with two steps before a with three; neither rows nor steps are sorted
LONG = """series,t,u,v,label
b,2,20,-2,no
a,30,3,-30,yes
a,7,1,-10,yes
b,1,10,-1,no
a,8,2,-20,yes
"""
X = [[[10, -1], [20, -2], [NAN, NAN]], [[1, -10], [2, -20], [3, -30]]]


class TestLongTable:
    def test_text_in_value_columns_is_reported_with_a_remedy(self, tmp_path: Path) -> None:
        text = "\n".join(line + "," + ("split" if not i else "train") for i, line in enumerate(LONG.splitlines()))
        message = r"column 'split' must contain .* 'train' in rows 1, .*, or set the value columns: `values: \[u, v\]`"
        with pytest.raises(DataError, match=message):
            read(write(tmp_path, text))

    def test_rows_become_padded_sequences_in_the_order_of_their_steps(self, tmp_path: Path) -> None:
        raw = read(write(tmp_path, LONG))
        np.testing.assert_array_equal(raw.x, X)
        assert raw.keys.y.tolist() == [0, 1]
        assert (raw.schema.features, raw.schema.shape, raw.schema.classes) == (("u", "v"), (3, 2), ("no", "yes"))
        assert raw.checks == ()

    def test_parquet_and_csv_give_the_same_result(self, tmp_path: Path) -> None:
        frame = pd.read_csv(write(tmp_path, LONG))
        frame["t"] = pd.Timestamp("2024-03-01", tz="Europe/Berlin") + pd.to_timedelta(frame["t"], "D")
        frame["series"] = frame["series"].astype("category")
        frame.to_parquet(tmp_path / "a.parquet")
        np.testing.assert_array_equal(read(tmp_path / "a.parquet").x, X)

    @pytest.mark.parametrize(
        "steps",
        [("2024-1-9", "2024-1-10", "2024-2-1"), ("t9", "t10", "t11"), ("9.5", "10", "1e3"), ("early", "late", "never")],
        ids=["dates", "words with numbers", "numbers", "words"],
    )
    def test_steps_may_be_dates_or_words(self, tmp_path: Path, steps: tuple[str, ...]) -> None:
        rows = "".join(f"{name},{steps[i]},{i},{name}\n" for i in (2, 0, 1) for name in "pq")
        x = read(write(tmp_path, f"series,t,u,label\n{rows}")).x
        assert x[..., 0].tolist() == [[0, 1, 2]] * 2

    def test_value_columns_can_be_selected(self, tmp_path: Path) -> None:
        raw = read(write(tmp_path, LONG), values=("v",))
        assert raw.schema.features == ("v",)
        np.testing.assert_array_equal(raw.x, np.array(X)[:, :, 1:])

    def test_a_regression_target_is_one_value_per_sequence(self, tmp_path: Path) -> None:
        path = write(tmp_path, LONG.replace("no", "2.5").replace("yes", "-1"))
        raw = read(path, task="regression")
        assert raw.keys.y.tolist() == [2.5, -1]
        assert (raw.schema.classes, raw.schema.values) == ((), ("label",))

    def test_longer_sequences_are_truncated_and_reported(self, tmp_path: Path) -> None:
        raw = read(write(tmp_path, LONG), max_length=2)
        np.testing.assert_array_equal(raw.x, np.array(X)[:, :2])
        assert [f.message for f in raw.checks] == ["1 sequences are longer than 2 steps and truncated"]

    def test_a_missing_value_is_imputed_by_the_previous_step_of_its_sequence(self, tmp_path: Path) -> None:
        cells = "p,1,1,l\np,2,,l\np,3,3,l\nq,1,,m\nq,2,8,m\nq,3,,m\n"
        raw = read(write(tmp_path, f"series,t,u,label\n{cells}"))
        assert raw.x[..., 0].tolist() == [[1, 1, 3], [8, 8, 8]]
        assert [f.message for f in raw.checks] == ["3 of 6 steps have missing values: imputed by the previous step"]

    def test_a_column_missing_in_a_sequence_becomes_the_mean(self, tmp_path: Path) -> None:
        cells = "p,1,1,300,l\np,2,2,302,l\nq,1,5,,m\nq,2,6,,m\n"
        path = write(tmp_path, f"series,t,u,kelvin,label\n{cells}")
        raw = read(path)
        assert np.isnan(raw.x[1, :, 1]).all()
        features = fit_scaling(raw.x, raw.schema, sequences_block(path))(raw.x)
        np.testing.assert_allclose(features[:, :, 1], [[-1, 1], [0, 0]])
        assert (features[:, :, 2] == 1).all()  # they still count as steps

    def test_groups_stay_together(self, tmp_path: Path) -> None:
        cells = "".join(f"{i},{t},{i},{i % 2},site{i // 3}\n" for t in (1, 0) for i in range(30))
        split = GroupSplit(by="group", column="site", validation=0.2, test=0.2)
        dataset, _ = prepare(sequences_block(write(tmp_path, f"series,t,u,label,site\n{cells}"), split=split), 0)
        groups = [set(samples.x[:, 0, 0].astype(int) // 3) for samples in dataset.splits().values()]
        assert [len(g) for g in groups] == [6, 2, 2]
        assert len(set.union(*groups)) == 10
        assert dataset.schema.features == ("u",)

    def test_a_column_can_define_the_split(self, tmp_path: Path) -> None:
        parts = ["train", "train", "val", "test", "train", "Test", "dev"]
        cells = "".join(f"{i},{t},{i},{i % 2},{parts[i]}\n" for t in (0, 1) for i in range(7))
        path = write(tmp_path, f"series,t,u,label,split\n{cells}")
        dataset, _ = prepare(sequences_block(path, split=PredefinedSplit(by="predefined")), 0)
        raw = {name: samples.x[:, 0, 0].tolist() for name, samples in dataset.splits().items()}
        assert raw == {"train": [0, 1, 4], "validation": [2, 6], "test": [3, 5]}
        assert dataset.test.rows.tolist() == [3, 5]


TS = """# FordA @timeStamps true, says this comment
@problemName Gestures
@timeStamps false
@missing true
@univariate {univariate}
@classLabel true up down
@data
# a comment among the data
{cases}
"""


def ts(folder: Path, *cases: str, head: str = TS) -> Path:
    univariate = "false" if cases and cases[0].count(":") > 1 else "true"
    return write(folder, head.format(univariate=univariate, cases="\n".join(cases)), "a.ts")


class TestTs:
    def test_one_dimension_of_unequal_lengths(self, tmp_path: Path) -> None:
        raw = read(ts(tmp_path, "1.5,2,3:up", "", "-4,5e1:down"))
        np.testing.assert_array_equal(raw.x[..., 0], [[1.5, 2, 3], [-4, 50, NAN]])
        assert [raw.schema.classes[i] for i in raw.keys.y] == ["up", "down"]

    def test_dimensions_become_columns(self, tmp_path: Path) -> None:
        raw = read(ts(tmp_path, "1,2:3,4:5,6:up", "7:8:9:down"))
        np.testing.assert_array_equal(raw.x, [[[1, 3, 5], [2, 4, 6]], [[7, 8, 9], [NAN] * 3]])
        assert raw.schema.features == ("x0", "x1", "x2")

    def test_a_question_mark_is_a_missing_value(self, tmp_path: Path) -> None:
        raw = read(ts(tmp_path, "1,?,3:up", "?,5,?:down"))
        assert raw.x[..., 0].tolist() == [[1, 1, 3], [5, 5, 5]]

    def test_a_target_label_is_a_value(self, tmp_path: Path) -> None:
        head = TS.replace("@classLabel true up down", "@targetLabel true")
        raw = read(ts(tmp_path, "1,2:0.5", "3,4:-7", head=head), task="regression")
        assert raw.keys.y.tolist() == [0.5, -7]

    def test_a_byte_order_mark_and_line_ends_of_windows_do_not_matter(self, tmp_path: Path) -> None:
        text = "@classLabel true a b\r\n@data\r\n1,2:a\r\n3,4:b\r\n"
        assert read(write(tmp_path, b"\xef\xbb\xbf" + text.encode(), "a.ts")).schema.classes == ("a", "b")


class TestNpz:
    def test_one_value_per_step(self, tmp_path: Path) -> None:
        raw = read(write_archive(tmp_path, x=np.arange(6).reshape(2, 3), y=np.array(["b", "a"])))
        assert raw.x.tolist() == [[[0], [1], [2]], [[3], [4], [5]]]
        assert (raw.keys.y.tolist(), raw.schema.classes) == ([1, 0], ("a", "b"))

    def test_lengths_define_the_padding(self, tmp_path: Path) -> None:
        x = np.arange(1, 13, dtype=np.float32).reshape(2, 3, 2)
        raw = read(write_archive(tmp_path, x=x, y=np.array([b"b", b"a"]), lengths=np.array([1, 2])))
        np.testing.assert_array_equal(raw.x, [[[1, 2], [NAN, NAN]], [[7, 8], [9, 10]]])
        assert raw.schema.classes == ("a", "b")

    def test_steps_at_the_end_without_any_value_are_padding(self, tmp_path: Path) -> None:
        x = np.array([[1, NAN, 3, NAN], [4, NAN, NAN, NAN]])
        raw = read(write_archive(tmp_path, x=x, y=np.array([0.5, 1])), task="regression")
        np.testing.assert_array_equal(raw.x[..., 0], [[1, 1, 3], [4, NAN, NAN]])

    def test_an_array_can_define_the_split(self, tmp_path: Path) -> None:
        parts = np.array([b"train", b"test", b"train", b"validation", b"train"])
        path = write_archive(tmp_path, x=np.arange(10.0).reshape(5, 2), y=np.array([0, 1, 0, 1, 1]), split=parts)
        dataset, _ = prepare(sequences_block(path, split=PredefinedSplit(by="predefined")), 0)
        assert {name: r.rows.tolist() for name, r in dataset.splits().items()} == {
            "train": [0, 2, 4],
            "validation": [3],
            "test": [1],
        }

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.integers(1, 3))
    def test_padded_sequences_keep_their_values_and_lengths(
        self, tmp_path_factory: pytest.TempPathFactory, lengths: list[int], features: int
    ) -> None:
        random = np.random.default_rng(sum(lengths))
        cases = [random.normal(size=(length, features)) for length in lengths]
        x = np.full((len(lengths), max(lengths) + 2, features), NAN)
        for row, case in zip(x, cases, strict=True):
            row[: len(case)] = case
        path = write_archive(tmp_path_factory.mktemp("npz"), x=x, y=np.arange(len(lengths)))
        raw = read(path)
        has_values = ~np.isnan(raw.x).all(axis=2)
        assert has_values.sum(axis=1).tolist() == lengths
        for row, steps, case in zip(raw.x, has_values, cases, strict=True):
            np.testing.assert_array_equal(row[steps], case)
        mask = fit_scaling(raw.x, raw.schema, sequences_block(path))(raw.x)[..., -1]
        assert mask.sum(axis=1).tolist() == lengths
        assert (np.diff(mask, axis=1) <= 0).all()


def ragged(folder: Path, alter: float = 0.0) -> tuple[Path, Sequences, Array]:
    """Thirty sequences of one to five steps, the last ten of them test sequences, to which `alter` is added."""
    random = np.random.default_rng(0)
    x = random.normal([5, -300], [2, 90], (30, 5, 2))
    x[20:] += alter
    lengths = random.integers(1, 6, 30)
    lengths[:3] = 5
    parts = np.array(["train"] * 14 + ["validation"] * 6 + ["test"] * 10)
    path = write_archive(folder, x=x, y=np.arange(30) % 3, lengths=lengths, split=parts)
    return path, sequences_block(path, split=PredefinedSplit(by="predefined")), lengths


class TestScaling:
    def test_it_is_fitted_on_the_steps_of_training_sequences(self, tmp_path: Path) -> None:
        path, params, lengths = ragged(tmp_path)
        dataset, _ = prepare(params, 0)
        pipeline = fit_scaling(dataset.train.x, dataset.schema, params)
        raw = np.load(path)["x"]
        steps = np.concatenate([case[:length] for case, length in zip(raw[:14], lengths, strict=False)])
        mean, std = steps.mean(axis=0), steps.std(axis=0)
        features = pipeline(dataset.test.x)
        assert (features.shape, pipeline.output_shape(dataset.schema.shape)) == ((10, 5, 3), (5, 3))
        assert pipeline.feature_names == ("x0", "x1", "is_step")
        for case, sample, length in zip(raw[20:], features, lengths[20:], strict=True):
            np.testing.assert_allclose(sample[:length, :2], (case[:length] - mean) / std, rtol=1e-5)
            assert (sample[:length, 2] == 1).all()
            assert (sample[length:] == 0).all()

    def test_test_sequences_change_neither_schema_nor_scaling(self, tmp_path: Path) -> None:
        fitted = []
        for alter in (0.0, 1e4):
            _, params, _ = ragged(tmp_path, alter)
            dataset, _ = prepare(params, 0)
            fitted.append((dataset, fit_scaling(dataset.train.x, dataset.schema, params)))
        (one, pipeline), (other, other_pipeline) = fitted
        assert one.schema == other.schema
        np.testing.assert_array_equal(pipeline(one.train.x), other_pipeline(one.train.x))
        assert not np.array_equal(one.test.x, other.test.x)


CSVS = [
    ("", "must be CSV in UTF-8 with one header, but is not: it is empty"),
    (b"\x89PNG\r\n\x1a\n\0\0\xff", "must be CSV in UTF-8 with one header, but is not: it contains zero bytes"),
    ("label\nu\nv\n", ": sequence_id must name a column, but 'series' does not exist; the columns are label"),
    ("series,t,label\na,1,u\nb,1,v\n", "must have a value column besides series, t, label, but has none; add one"),
    ("series,t,u,label\na,1,1,u\n,1,2,v\n", ": every row must have a `sequence_id`, but row 2 has none; fill"),
    (
        "series,t,u,label\na,1,1,u\nb,,2,v\n",
        ": column 't' must contain an ISO date or a number in every row, but row 2",
    ),
    ("series,t,u,label\na,x,1,u\nb,,2,v\n", ": every row must have a `time_step`, but row 2 has none; fix it, or"),
    (
        "series,t,u,label\na,1,1,u\na,1,2,u\nb,1,3,v\n",
        ": the steps of a sequence must be unique, but 'a' has t 1 twice;",
    ),
    (
        "series,t,u,label\nb,1,1,u\na,1,1,u\na,2,1,v\n",
        ": column 'label' must be constant within a sequence, but ch",
    ),
    (
        "series,t,u,label\nb,1,1,u\na,1,1,\na,2,1,\n",
        "within a sequence, but has missing values in 'a'; fill them in, or remove the",
    ),
    (
        "series,t,u,label\na,1,1,u\nb,1,2,u\n",
        ": the target must have at least 2 distinct values, but column 'label' contains",
    ),
    (
        "series,t,u,label\na,2,1,u\na,1,inf,u\nb,1,2,v\n",
        ": column 'u' must contain finite numbers up to 1e+37, but contains inf",
    ),
    (
        "series,t,u,label\nb,1,1,u\na,1,1,v\nb,2,hot,u\nb,3,1,u\n",
        "but contains 'hot' in row 3; clean it, or set anothe",
    ),
    ("series,t,u,v,label\na,1,,1,u\nb,1,,2,v\n", ": 'u' must have values, but has none; remove it"),
    ("series,t,u,label\na,1,1,u\nb,1,,v\nb,2,,v\n", ": every sequence must have a value, but sequence 2 has none; rem"),
]

TSS = [
    ("", "must be a .ts file with a line @data, but has none; download it again"),
    (b"\x89PNG\r\n\x1a\n\0\0\xff", "must be a .ts file in UTF-8, but is not: 'utf-8' codec can't decode"),
    ("@classLabel true ä\n@data\n1:ä\n".encode("latin-1"), "must be a .ts file in UTF-8, but is not"),
    ("@classLabel true a b\n@data\n", "must contain sequences after @data, but has none; download it again"),
    (
        "@classLabel false\n@data\n1,2\n",
        "must contain `@classLabel true` or `@targetLabel true`, but has no labels; use",
    ),
    (
        "@timeStamps true\n@classLabel true a\n@data\n(0,1),(1,2):a\n",
        ": steps must be evenly spaced, but @timeStamps is true,",
    ),
    (
        "@classLabel true a b\n@data\n1,2:a\n3,4:c\n",
        ": a label must be listed in @classLabel, a, b, but line 4 has 'c'; fix one of them",
    ),
    ("@classLabel true a b\n@data\n1,x:a\n", ": values must be numbers, but line 3 is not: could not convert string"),
    (
        "@classLabel true a b\n@data\n1,2:3:a\n",
        ": a line must have as many dimensions as the first, all of the same length,",
    ),
    (
        "@classLabel true a b\n@data\n1:a\n1:2:b\n",
        ": a line must have as many dimensions as the first, all of the same leng",
    ),
    ("@classLabel true a b\n@data\n1,2\n", "and a label, but line 3 does not; fix it"),
    (
        "@classLabel true a b\n@data\n1,2:a\n3,4:\n",
        ": every row must have a target, but row 2 of column 'label' is emp",
    ),
    (
        "@classLabel true a b\n@data\n1,2:a\n3,inf:b\n",
        "must be finite numbers up to 1e+37, but sequence 2 contains inf",
    ),
    (
        "@targetLabel true\n@data\n1,2:a\n3,4:1\n",
        ": column 'label' must contain finite numbers up to 1e+37, but contains 'a'",
    ),
]

PAIR = np.arange(2)
NPZS: list[tuple[dict[str, Any], str]] = [
    (
        {"x": np.zeros((2, 3))},
        "must contain arrays x and y, or x_train, y_train, x_test and y_test, but contains x; save it",
    ),
    ({"x": np.zeros((2, 3)), "y": np.array([{}, 1], object)}, "must be an .npz of plain arrays, but is not: Object ar"),
    ({"x": np.array([[{}], [1]], object), "y": PAIR}, "must be an .npz of plain arrays, but is not: Object arrays"),
    ({"x": np.zeros((2, 3, 1, 1)), "y": PAIR}, ": x must be numbers (n, steps) or (n, steps, values) and y (n,), but"),
    ({"x": np.zeros((2, 0)), "y": PAIR}, ": x must be numbers (n, steps)"),
    ({"x": np.array([["a"], ["b"]]), "y": PAIR}, ": x must be numbers (n, steps)"),
    ({"x": np.zeros((2, 3)), "y": np.arange(3)}, ": x must be numbers (n, steps)"),
    ({"x": np.zeros((2, 3)), "y": PAIR * 1j}, "and y complex128 (2,); fix the file"),
    ({"x": np.zeros((2, 3)), "y": np.array([0, NAN])}, ": every row must have a target, but row 2"),
    (
        {"x": np.array([[0.0], [-np.inf]]), "y": PAIR},
        "must be finite numbers up to 1e+37, but sequence 2 contains inf",
    ),
    ({"x": np.array([[0.0], [NAN]]), "y": PAIR}, ": lengths must be 1 to 1 steps per sequence, but are not; fix"),
    (
        {"x": np.zeros((2, 3)), "y": PAIR, "lengths": np.array([1, 4])},
        ": lengths must be 1 to 3 steps per sequence, but",
    ),
    (
        {"x": np.zeros((2, 3)), "y": PAIR, "split": np.array(["train"])},
        ": split must contain one word per sequence, (2,), but",
    ),
]


class TestRefused:
    @pytest.mark.parametrize(("content", "line"), CSVS)
    def test_a_table(self, tmp_path: Path, content: str | bytes, line: str) -> None:
        assert_sequences_refused(tmp_path, sequences_block(write(tmp_path, content)), line)

    @pytest.mark.parametrize(("content", "line"), TSS)
    def test_a_ts_file(self, tmp_path: Path, content: str | bytes, line: str) -> None:
        assert_sequences_refused(tmp_path, sequences_block(write(tmp_path, content, "a.ts")), line)

    @pytest.mark.parametrize(("arrays", "line"), NPZS)
    def test_an_archive(self, tmp_path: Path, arrays: dict[str, Any], line: str) -> None:
        assert_sequences_refused(tmp_path, sequences_block(write_archive(tmp_path, **arrays)), line)

    @pytest.mark.parametrize("name", ["a.npz", "a.ts", "a.csv", "a.csv.gz", "a.parquet"])
    def test_a_truncated_file_or_another_format(self, tmp_path: Path, name: str) -> None:
        write_archive(tmp_path, x=np.zeros((2, 3)), y=PAIR)
        content = (tmp_path / "a.npz").read_bytes()
        assert_sequences_refused(tmp_path, sequences_block(write(tmp_path, content[:-40], name)), f"{name} must be ")
        truncated = gzip.compress(LONG.encode(), mtime=0)[:-9]
        assert_sequences_refused(tmp_path, sequences_block(write(tmp_path, truncated, name)), f"{name} must be ")

    def test_a_label_among_the_values(self, tmp_path: Path) -> None:
        line = "'label' is the target or the split column and cannot also be a feature; remove it from `values`"
        assert_sequences_refused(tmp_path, sequences_block(write(tmp_path, LONG), values=("u", "label")), line)

    def test_groups_of_an_archive(self, tmp_path: Path) -> None:
        split = GroupSplit(by="group", column="site", validation=0.2, test=0.2)
        params = sequences_block(write_archive(tmp_path, x=np.zeros((2, 3)), y=PAIR), split=split)
        assert_sequences_refused(tmp_path, params, "split by group needs a table with a group column, but source is")

    def test_too_many_cells_for_the_memory_limit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("fivefold.data.readers.sequences.MAX_CELLS", 11)
        assert_sequences_refused(
            tmp_path, sequences_block(write(tmp_path, LONG)), "2 sequences of up to 3 steps need too much memory"
        )
        assert read(tmp_path / "a.csv", max_length=2).x.shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("name", "sizes", "shape", "classes"),
    [
        ("italy_power", (67, 1029), (24, 1), 2),
        ("osu_leaf", (200, 242), (427, 1), 6),
        ("pickup_gesture", (50, 50), (361, 1), 10),
    ],
)
def test_real_sequences(name: str, sizes: tuple[int, int], shape: tuple[int, int], classes: int) -> None:
    path = SHARED / f"{name}.csv.gz"
    if not path.exists():
        pytest.skip(f"{path} is not on this machine")
    dataset, _ = prepare(sequences_block(path, split=PredefinedSplit(by="predefined")), 0)
    assert (len(dataset.train) + len(dataset.validation), len(dataset.test)) == sizes
    assert (dataset.schema.shape, len(dataset.schema.classes)) == (shape, classes)
    lengths = (~np.isnan(dataset.test.x[..., 0])).sum(axis=1)
    frame = pd.read_csv(path)
    expected = frame[frame["split"] == "test"].groupby("series", sort=False).size()
    assert lengths.tolist() == expected.tolist()


def test_the_pipeline_imputes_raw_input_like_prepare(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).normal(size=(8, 6, 2))
    cells[np.random.default_rng(1).random(cells.shape) < 0.3] = NAN
    cells[:, 5, 0] = 1.0  # the last step of every sequence
    rows = [(i, t, *cells[i, t], "ab"[i % 2]) for i in range(8) for t in range(6)]
    pd.DataFrame(rows, columns=["series", "t", "u", "v", "label"]).to_csv(tmp_path / "a.csv", index=False)
    raw = read(tmp_path / "a.csv")
    pipeline = fit_scaling(raw.x, raw.schema, sequences_block(tmp_path / "a.csv"))
    assert np.isnan(cells).any()
    assert not np.isnan(raw.x).any()
    np.testing.assert_array_equal(pipeline(cells), pipeline(raw.x))
