"""Images from .npz, tables of pixels and bundled digits; channels; checks for every source of images."""

import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from fivefold.config.datasets import FileFormat
from fivefold.data.prepare import prepare
from fivefold.data.readers.images import read_images
from fivefold.data.storage import load_dataset, save_dataset, write_manifest
from fivefold.preprocessing.scaling import fit_scaling

from ...conftest import images_block, schema_and_rows
from ..helpers import PREDEFINED, Pixels, assert_images_refused, random_pixels

MNIST = Path(__file__).parents[4] / "shared/data/mnist_5k.csv.gz"
HALF = ["train"] * 10 + ["test"] * 4


def write_archive(folder: Path, x: Pixels, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", x=x, **{"y": np.arange(len(x)) % 2, **arrays})
    return folder / "a.npz"


class TestNpz:
    @pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3), (5, 6, 4)])
    def test_channels_come_first(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        x = random_pixels(14, *shape)
        schema, samples = schema_and_rows(images_block(write_archive(tmp_path, x)))
        assert schema.shape == (*(shape[2:] or (1,)), 5, 6)
        np.testing.assert_array_equal(np.moveaxis(samples.x, 1, -1), x.reshape(14, 5, 6, -1))

    @pytest.mark.parametrize("words", [HALF, np.array(HALF, "S"), [word.upper() for word in HALF]])
    def test_an_array_defines_the_split(self, tmp_path: Path, words: Any) -> None:
        dataset, _ = prepare(
            images_block(write_archive(tmp_path, random_pixels(14, 3, 3), split=words), split=PREDEFINED), 0
        )
        assert dataset.test.rows.tolist() == [10, 11, 12, 13]
        assert sorted([*dataset.train.rows, *dataset.validation.rows]) == list(range(10))

    def test_the_split_array_is_ignored_by_a_random_split(self, tmp_path: Path) -> None:
        dataset, _ = prepare(images_block(write_archive(tmp_path, random_pixels(14, 3, 3), split=["?"])), 0)
        assert len(dataset.test) == 3

    @pytest.mark.parametrize(
        ("words", "line"),
        [
            (HALF[:9], "split must contain one word per image, but is (9,) and y is (14,); fix"),
            ([HALF], "split must contain one word per image, but is (1, 14) and y is (14,); fix"),
            (["train"] * 14, "column 'split' must assign rows to test, but assigns none; use another `split.by`"),
            (["train", "later"] * 7, "must contain train, validation or test, but row 2 contains 'later'; fix it"),
            (np.array([{}] * 14), "must be an .npz of plain arrays, but is not: Object arrays cannot be loaded"),
        ],
        ids=["short", "nested", "no test rows", "another word", "pickled"],
    )
    def test_an_invalid_split_array_is_refused(self, tmp_path: Path, words: Any, line: str) -> None:
        assert_images_refused(write_archive(tmp_path, random_pixels(14, 3, 3), split=words), line, split=PREDEFINED)

    def test_a_predefined_split_needs_the_split_array(self, tmp_path: Path) -> None:
        assert_images_refused(
            write_archive(tmp_path, random_pixels(14, 3, 3)),
            "needs a source that assigns rows to splits, but this one does not;",
            split=PREDEFINED,
        )

    def test_a_member_that_is_not_an_array_is_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            file.writestr("x", b"hello")
            file.writestr("y", b"hello")
        assert_images_refused(
            tmp_path / "a.npz", "must be an .npz of plain arrays, but is not: x is not an array; save it again"
        )

    @pytest.mark.parametrize(
        ("shape", "line"), [("(1000000, 10000, 10000)", "allocate"), ("(1000000, 28, 28)", "but is not: ")]
    )
    def test_an_array_that_claims_too_many_values_is_refused(self, tmp_path: Path, shape: str, line: str) -> None:
        head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            file.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + b"1234")
            file.writestr("y.npy", b"")
        assert_images_refused(tmp_path / "a.npz", line)

    def test_an_archive_that_claims_gigabytes_is_not_decompressed(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npz"
        np.savez_compressed(path, x=np.zeros((10, 300, 300), np.uint8), y=np.arange(10))
        content = bytearray(path.read_bytes())
        entry = content.index(b"PK\1\2")  # APPNOTE.TXT 4.3.12: the uncompressed size is at offset 24
        content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
        path.write_bytes(content)
        assert_images_refused(path, "must be an .npz of plain arrays, but is not: x.npy has 2,147,483,648 bytes from ")

    def test_other_compression_methods_are_refused(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as file:
            file.writestr("x.npy", b"hello")
        assert_images_refused(
            tmp_path / "a.npz", "must be an .npz of plain arrays, but is not: x.npy is compressed by method 14"
        )


class TestPixelColumns:
    X = random_pixels(20, 4)
    FRAME = pd.DataFrame(X, columns=["p0", "p1", "p2", "p3"]).assign(digit=[3, 7] * 10)

    def write_file(self, folder: Path, name: str, frame: pd.DataFrame = FRAME) -> Path:
        path = folder / name
        if name.endswith(".parquet"):
            frame.to_parquet(path)
        else:
            frame.to_csv(path, index=False, header="headless" not in name)
        return path

    @pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "headless.csv", "headless.csv.gz"])
    def test_a_row_is_an_image(self, tmp_path: Path, name: str) -> None:
        headless = "headless" in name
        block = images_block(
            self.write_file(tmp_path, name), target="4" if headless else "digit", format=FileFormat(header=not headless)
        )
        schema, samples = schema_and_rows(block)
        assert (schema.shape, schema.classes, samples.x.dtype) == ((1, 2, 2), ("3", "7"), np.uint8)
        np.testing.assert_array_equal(samples.x.reshape(20, 4), self.X)

    def test_a_split_column_is_not_a_pixel(self, tmp_path: Path) -> None:
        frame = self.FRAME.assign(part=["train"] * 15 + ["test"] * 5)
        block = images_block(
            self.write_file(tmp_path, "a.csv", frame), target="digit", split={"by": "predefined", "column": "part"}
        )
        dataset, _ = prepare(block, 0)
        assert (dataset.schema.shape, dataset.test.rows.tolist()) == ((1, 2, 2), [15, 16, 17, 18, 19])

    @pytest.mark.parametrize(("size", "shape"), [((1, 4), (1, 1, 4)), ((4, 1), (1, 4, 1))])
    def test_size_defines_the_layout_of_pixels(
        self, tmp_path: Path, size: tuple[int, int], shape: tuple[int, ...]
    ) -> None:
        schema, _ = schema_and_rows(images_block(self.write_file(tmp_path, "a.csv"), target="digit", size=size))
        assert schema.shape == shape

    @pytest.mark.parametrize(
        ("width", "size", "channels", "shape"),
        [
            (784, None, "auto", (1, 28, 28)),
            (784, (14, 14), "auto", (1, 14, 14)),  # resized, not split into four channels
            (784, (14, 14), 4, (4, 14, 14)),
            (784, (14, 14), 3, (3, 14, 14)),
            (784, (14, 56), "auto", (1, 14, 56)),
            (192, None, "auto", (3, 8, 8)),
            (192, (4, 4), "auto", (3, 4, 4)),
            (60, (4, 5), "auto", (3, 4, 5)),
        ],
    )
    def test_size_is_that_of_the_rows_or_resizes_squares(
        self, tmp_path: Path, width: int, size: tuple[int, int] | None, channels: Any, shape: tuple[int, ...]
    ) -> None:
        frame = pd.DataFrame(random_pixels(6, width), columns=[f"p{i}" for i in range(width)]).assign(digit=[3, 7] * 3)
        block = images_block(self.write_file(tmp_path, "a.csv", frame), target="digit", size=size, channels=channels)
        assert schema_and_rows(block)[0].shape == shape

    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ({"more": 1}, "pixel columns must form a square image, but there are 5; set `size: [height, width]`"),
            ({"p0": 0.5}, "pixels must be integers from 0 to 255, but those of row 1 are not; rescale them"),
            ({"p0": [0] * 19 + [256]}, "but those of row 20 are not; rescale them"),
            ({"p0": [0] * 19 + [-1]}, "but those of row 20 are not; rescale them"),
            ({"p0": [0] * 19 + [None]}, "but those of row 20 are not; rescale them"),
            ({"p0": ["dark"] * 20}, "pixels must be numbers, but are not: could not convert string to float: 'dark'"),
            ({"digit": 3}, "the target must have at least 2 distinct values, but column 'digit' contains only 3;"),
        ],
    )
    def test_invalid_pixels_are_refused(self, tmp_path: Path, change: dict[str, Any], line: str) -> None:
        assert_images_refused(self.write_file(tmp_path, "a.csv", self.FRAME.assign(**change)), line, target="digit")

    def test_a_table_without_pixels_is_refused(self, tmp_path: Path) -> None:
        path = self.write_file(tmp_path, "a.csv", self.FRAME[["digit"]])
        assert_images_refused(path, "pixel columns must form a square image, but there are 0;", target="digit")

    def test_the_label_column_must_exist(self, tmp_path: Path) -> None:
        assert_images_refused(
            self.write_file(tmp_path, "a.csv"), "target must name a column, but '' does not exist; the columns are p0,"
        )

    @pytest.mark.skipif(not MNIST.exists(), reason=f"{MNIST} is not there")
    def test_mnist_is_read(self) -> None:
        schema, samples = schema_and_rows(images_block(MNIST, format=FileFormat(header=False), target="784"))
        table = np.loadtxt(MNIST, delimiter=",", dtype=np.uint8, max_rows=100)
        assert (schema.shape, schema.classes, len(samples)) == ((1, 28, 28), tuple("0123456789"), 5000)
        np.testing.assert_array_equal(samples.x[:100].reshape(100, 784), table[:, :784])
        np.testing.assert_array_equal(samples.y[:100], table[:, 784])


def test_bundled_digits_are_split_by_class(tmp_path: Path) -> None:
    (tmp_path / "a.sklearn").write_text("digits\n")
    block = images_block(tmp_path / "a.sklearn", split={"by": "stratified", "validation": 0.2, "test": 0.2})
    dataset, _ = prepare(block, 0)
    bunch = load_digits()
    assert [len(samples) for samples in dataset.splits().values()] == [1077, 360, 360]
    np.testing.assert_array_equal(dataset.test.x[:, 0], bunch.images[dataset.test.rows])
    np.testing.assert_array_equal(dataset.test.y, bunch.target[dataset.test.rows])


class TestChannels:
    RED, WHITE = [255, 0, 0], [255, 255, 255]

    def one(self, folder: Path, pixel: list[int], channels: int | str) -> list[int]:
        x = np.tile(np.array(pixel, np.uint8), (2, 1, 1, 1))
        _, samples = schema_and_rows(images_block(write_archive(folder, x), channels=channels))
        return samples.x[0, :, 0, 0].tolist()

    def test_color_is_converted_to_grayscale_by_luminance(self, tmp_path: Path) -> None:
        # ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B
        assert self.one(tmp_path, self.RED, 1) == [76]
        assert self.one(tmp_path, [10, 200, 30], 1) == [124]
        assert self.one(tmp_path, [*self.WHITE, 7], 1) == [255]

    def test_grayscale_is_converted_to_color_and_missing_alpha_to_opaque(self, tmp_path: Path) -> None:
        assert self.one(tmp_path, [9], 3) == [9, 9, 9]
        assert self.one(tmp_path, [9], 4) == [9, 9, 9, 255]
        assert self.one(tmp_path, self.RED, 4) == [*self.RED, 255]

    def test_alpha_is_dropped(self, tmp_path: Path) -> None:
        assert self.one(tmp_path, [1, 2, 3, 4], 3) == [1, 2, 3]
        assert self.one(tmp_path, [1, 2, 3, 4], "auto") == [1, 2, 3, 4]

    @settings(derandomize=True, deadline=None, max_examples=30)
    @given(
        shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.sampled_from([1, 3, 4])),
        channels=st.sampled_from(["auto", 1, 3, 4]),
        value=st.integers(0, 255),
    )
    def test_a_uniform_gray_keeps_its_value_for_any_number_of_channels(
        self, tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], channels: int | str, value: int
    ) -> None:
        x = np.full((shape[0] + 1, *shape[1:]), value, np.uint8)
        schema, samples = schema_and_rows(
            images_block(write_archive(tmp_path_factory.mktemp("x"), x), channels=channels)
        )
        assert schema.shape == (shape[3] if channels == "auto" else channels, *shape[1:3])
        assert (samples.x.shape, samples.x.dtype) == ((len(x), *schema.shape), np.uint8)
        assert (samples.x[:, :3] == value).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_are_resized(tmp_path: Path, channels: int) -> None:
    corners = np.zeros((2, 4, 6, channels), np.uint8)
    corners[:, :2, :3], corners[:, 2:] = 255, 255  # dark only at the upper right, and opaque
    corners[..., 3:] = 255
    schema, samples = schema_and_rows(images_block(write_archive(tmp_path, corners), size=(8, 3)))
    assert (schema.shape, samples.x.dtype) == ((channels, 8, 3), np.uint8)
    assert samples.x[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [255, 0, 255, 255]


def test_pixels_are_stored_as_uint8(tmp_path: Path) -> None:
    dataset, _ = prepare(images_block(write_archive(tmp_path, random_pixels(20, 3, 5, 3))), 0)
    (tmp_path / "out").mkdir()
    save_dataset(dataset, tmp_path / "out")
    write_manifest(tmp_path / "out")
    for name, samples in load_dataset(tmp_path / "out").splits().items():
        assert (samples.x.dtype, samples.x.shape[1:]) == (np.uint8, (3, 3, 5))
        np.testing.assert_array_equal(samples.x, getattr(dataset, name).x)


@pytest.mark.parametrize("normalize", ["standard", "minmax"])
def test_pixels_of_test_images_change_neither_schema_nor_scaling(tmp_path: Path, normalize: str) -> None:
    x = random_pixels(14, 4, 4, 3) // 2
    altered = x.copy()
    altered[10:] = 255
    prepared = []
    for pixels in (x, altered):
        block = images_block(write_archive(tmp_path, pixels, split=HALF), split=PREDEFINED, normalize=normalize)
        dataset, _ = prepare(block, 0)
        prepared.append((dataset, fit_scaling(dataset.train.x, dataset.schema, block)))
    (one, scaled), (other, rescaled) = prepared
    assert one.schema == other.schema
    assert (one.test.x != other.test.x).any()
    np.testing.assert_array_equal(one.train.x, other.train.x)
    np.testing.assert_array_equal(scaled(one.train.x), rescaled(one.train.x))


def test_reading_grayscale_images_makes_no_copy(tmp_path: Path) -> None:
    block = images_block(write_archive(tmp_path, np.zeros((2000, 64, 64), np.uint8)))
    tracemalloc.start()
    read_images(tmp_path / "a.npz", block)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 2000 * 64 * 64
