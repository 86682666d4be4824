import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

from fivefold.data.schema import Column, Schema

from ..conftest import images_block, schema_and_rows, table_block

CSV = "length,kind,width,y\n1.5,7,,v\n,8,0.25,u\n-3,9,1e3,v\n"


def write_file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestCsv:
    def test_columns_become_features_in_their_order(self, tmp_path: Path) -> None:
        schema, samples = schema_and_rows(table_block(write_file(tmp_path, "a.csv", CSV)))
        names = ("length", "kind", "width")
        assert schema == Schema(
            kind="table",
            task="classification",
            target="y",
            features=names,
            shape=(3,),
            classes=("u", "v"),
            columns=tuple(Column(name=name, type="numeric") for name in names),
        )
        assert samples.x.dtype == np.float64
        np.testing.assert_array_equal(samples.x, [[1.5, 7, np.nan], [np.nan, 8, 0.25], [-3, 9, 1000]])

    def test_rows_are_numbered_as_in_the_source(self, tmp_path: Path) -> None:
        _, samples = schema_and_rows(table_block(write_file(tmp_path, "a.csv", CSV)))
        assert samples.rows.tolist() == [0, 1, 2]
        assert samples.y.tolist() == [1, 0, 1]

    def test_dropped_columns_are_not_features(self, tmp_path: Path) -> None:
        schema, samples = schema_and_rows(table_block(write_file(tmp_path, "a.csv", CSV), drop=("kind", "length")))
        assert schema.features == ("width",)
        assert samples.x.shape == (3, 1)

    def test_a_dropped_column_may_hold_text(self, tmp_path: Path) -> None:
        schema, _ = schema_and_rows(table_block(write_file(tmp_path, "a.csv", "a,id,y\n1,x,u\n2,z,v\n"), drop=("id",)))
        assert schema.features == ("a",)

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
            ("a.csv", CSV.replace("\n", "\r\n")),
            ("a.csv", b"\xef\xbb\xbf" + CSV.encode()),
            ("a.csv", CSV.replace("\n", "\n\n")),
        ],
        ids=["gzip", "line ends of Windows", "byte order mark", "empty lines"],
    )
    def test_compression_and_line_ends_do_not_change_the_table(
        self, tmp_path: Path, name: str, content: str | bytes
    ) -> None:
        expected_schema, expected = schema_and_rows(table_block(write_file(tmp_path, "plain.csv", CSV)))
        schema, samples = schema_and_rows(table_block(write_file(tmp_path, name, content)))
        assert schema == expected_schema
        np.testing.assert_array_equal(samples.x, expected.x)
        np.testing.assert_array_equal(samples.y, expected.y)


class TestTarget:
    @pytest.mark.parametrize(
        ("column", "classes", "indices"),
        [
            (["b", "a", "b"], ("a", "b"), [1, 0, 1]),
            (["10", "2", "3"], ("2", "3", "10"), [2, 0, 1]),
            (["3.0", "-1.0", "3.0"], ("-1", "3"), [1, 0, 1]),
            (["True", "False", "True"], ("False", "True"), [1, 0, 1]),
            (["x", "1", "x"], ("1", "x"), [1, 0, 1]),
        ],
        ids=["text", "numbers in their order", "whole floats", "booleans", "text and numbers"],
    )
    def test_classes_become_indices_into_sorted_names(
        self, tmp_path: Path, column: list[str], classes: tuple[str, ...], indices: list[int]
    ) -> None:
        text = "a,y\n" + "".join(f"{i},{value}\n" for i, value in enumerate(column))
        schema, samples = schema_and_rows(table_block(write_file(tmp_path, "a.csv", text)))
        assert schema.classes == classes
        assert schema.n_outputs == len(classes)
        assert samples.y.dtype == np.int64
        assert samples.y.tolist() == indices

    def test_regression_targets_are_unchanged(self, tmp_path: Path) -> None:
        path = write_file(tmp_path, "a.csv", "a,y\n1,7\n2,-2.5\n")
        schema, samples = schema_and_rows(table_block(path, task="regression"))
        assert (schema.classes, schema.values, schema.n_outputs, schema.output_kind) == ((), ("y",), 1, "values")
        assert samples.y.dtype == np.float64
        assert samples.y.tolist() == [7, -2.5]


class TestBundled:
    def test_a_bundled_table_equals_that_of_scikit_learn(self, tmp_path: Path) -> None:
        path = write_file(tmp_path, "a.sklearn", "# comment\n\n  breast_cancer  \n")
        schema, samples = schema_and_rows(table_block(path, target="diagnosis"))
        bunch = load_breast_cancer()
        np.testing.assert_array_equal(samples.x, bunch.data)
        assert [schema.classes[i] for i in samples.y] == bunch.target_names[bunch.target].tolist()
        assert schema.features[0] == "mean_radius"

    def test_diabetes_comes_in_raw_units(self, tmp_path: Path) -> None:
        path = write_file(tmp_path, "a.sklearn", "diabetes")
        _, samples = schema_and_rows(table_block(path, task="regression", target="progression"))
        np.testing.assert_array_equal(samples.x, load_diabetes(scaled=False).data)

    def test_digits_are_images_with_one_channel(self, tmp_path: Path) -> None:
        schema, samples = schema_and_rows(images_block(write_file(tmp_path, "a.sklearn", "digits")))
        bunch = load_digits()
        assert (schema.kind, schema.shape, schema.features) == ("images", (1, 8, 8), ())
        assert schema.classes == tuple("0123456789")
        assert samples.x.dtype == np.uint8
        np.testing.assert_array_equal(samples.x[:, 0], bunch.images)
        np.testing.assert_array_equal(samples.y, bunch.target)


class TestNpz:
    @staticmethod
    def saved(folder: Path, **arrays: Any) -> Path:
        np.savez(folder / "a.npz", **arrays)
        return folder / "a.npz"

    def test_grayscale_images_get_a_channel_axis(self, tmp_path: Path) -> None:
        x = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
        schema, samples = schema_and_rows(images_block(self.saved(tmp_path, x=x, y=np.array(["b", "a", "b", "a"]))))
        assert (schema.shape, schema.target, schema.classes) == ((1, 2, 3), "label", ("a", "b"))
        assert samples.x.dtype == np.uint8
        assert samples.x.tolist() == x[:, None].tolist()
        assert samples.y.tolist() == [1, 0, 1, 0]
        assert samples.rows.tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize("channels", [1, 3])
    def test_channels_move_from_the_last_axis_to_the_first(self, tmp_path: Path, channels: int) -> None:
        x = np.random.default_rng(0).integers(0, 256, (4, 5, 6, channels), dtype=np.uint8)
        schema, samples = schema_and_rows(images_block(self.saved(tmp_path, x=x, y=np.arange(4))))
        assert schema.shape == (channels, 5, 6)
        for channel in range(channels):
            np.testing.assert_array_equal(samples.x[:, channel], x[..., channel])

    def test_labels_can_be_numeric(self, tmp_path: Path) -> None:
        path = self.saved(tmp_path, x=np.zeros((2, 4, 4), np.uint8), y=np.array([0.5, 2], np.float32))
        schema, samples = schema_and_rows(images_block(path, task="regression"))
        assert schema.classes == ()
        assert samples.y.tolist() == [0.5, 2.0]
