"""IDX files, the layout of MNIST."""

import gzip
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fivefold.data.prepare import prepare
from fivefold.data.readers import idx
from fivefold.errors import DataError

from ...conftest import images_block, schema_and_rows
from ..helpers import PREDEFINED, assert_images_refused, idx_bytes, random_pixels

STRATIFIED = {"by": "stratified", "validation": 0.2, "test": 0.2}
FASHION = Path("/usr/share/datasets/fashion-mnist")


def write_pair(folder: Path, part: str, n: int = 20, *, suffix: str = "", **changes: bytes) -> NDArray[np.uint8]:
    """Write a pair of files of n images and return the images; `images` and `labels` replace the content."""
    x, y = random_pixels(n, 3, 4), np.arange(n, dtype=np.uint8) % 2
    for what, usual in (("images-idx3", idx_bytes(x)), ("labels-idx1", idx_bytes(y))):
        content = changes.get(what[:6], usual)
        path = folder / f"{part}-{what}-ubyte{suffix}"
        path.write_bytes(gzip.compress(content, mtime=0) if suffix == ".gz" else content)
    return x


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_file_names_define_the_split(tmp_path: Path, suffix: str) -> None:
    train, test = write_pair(tmp_path, "train", suffix=suffix), write_pair(tmp_path, "t10k", 6, suffix=suffix)
    dataset, _ = prepare(images_block(tmp_path, split=PREDEFINED), 0)
    assert (dataset.schema.shape, dataset.schema.classes) == ((1, 3, 4), ("0", "1"))
    assert [len(samples) for samples in dataset.splits().values()] == [17, 3, 6]
    np.testing.assert_array_equal(dataset.test.x[:, 0], test)
    np.testing.assert_array_equal(dataset.train.x[:, 0], train[dataset.train.rows])
    assert dataset.test.y.tolist() == [0, 1, 0, 1, 0, 1]


def test_random_splits_use_the_rows_of_all_files(tmp_path: Path) -> None:
    write_pair(tmp_path, "train"), write_pair(tmp_path, "t10k", 10)
    dataset, _ = prepare(images_block(tmp_path, split=STRATIFIED), 0)
    assert [len(samples) for samples in dataset.splits().values()] == [18, 6, 6]
    assert dataset.test.rows.min() < 20


def test_without_test_files_a_random_split_is_possible(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    dataset, _ = prepare(images_block(tmp_path, split=STRATIFIED), 0)
    assert [len(samples) for samples in dataset.splits().values()] == [12, 4, 4]
    assert_images_refused(
        tmp_path, "column 'split' must assign rows to test, but assigns none; use another `split.by`", split=PREDEFINED
    )


def test_a_single_image_file_is_read(tmp_path: Path) -> None:
    x = write_pair(tmp_path, "train", suffix=".gz")
    write_pair(tmp_path, "t10k", 6)
    _, samples = schema_and_rows(images_block(tmp_path / "train-images-idx3-ubyte.gz"))
    np.testing.assert_array_equal(samples.x[:, 0], x)


def test_the_last_part_of_a_longer_name_defines_the_split(tmp_path: Path) -> None:
    write_pair(tmp_path, "emnist-letters-train"), write_pair(tmp_path, "emnist-letters-test", 6)
    dataset, _ = prepare(images_block(tmp_path, split=PREDEFINED), 0)
    assert len(dataset.test) == 6


def test_a_name_without_a_split_has_no_predefined_split(tmp_path: Path) -> None:
    write_pair(tmp_path, "fashion")
    assert len(schema_and_rows(images_block(tmp_path))[1]) == 20
    assert_images_refused(
        tmp_path, "must contain train, validation or test, but row 1 contains 'fashion'; fix it", split=PREDEFINED
    )


@pytest.mark.skipif(not FASHION.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_is_read() -> None:
    schema, samples = schema_and_rows(images_block(FASHION))
    assert (schema.shape, len(samples), np.bincount(samples.y).tolist()) == ((1, 28, 28), 70_000, [7000] * 10)
    # Fashion-MNIST's training images have mean 0.2860 and standard deviation 0.3530 (Zalando's benchmark code)
    assert samples.x[:60_000].mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert samples.x[:60_000].std() / 255 == pytest.approx(0.3530, abs=1e-4)


HUGE = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
BAD: list[tuple[dict[str, bytes], str]] = [
    ({"images": b""}, "must be an IDX file with 3 dimensions of bytes, but begins with nothing; download it again"),
    ({"images": b"\x89PNG\r\n\x1a\n" * 9}, "must be an IDX file with 3 dimensions of bytes, but begins with 89504e47;"),
    (
        {"images": struct.pack(">HBB3I", 0, 13, 3, 0, 0, 0)},
        "3 dimensions of bytes, but begins with 00000d03; download it",
    ),
    (
        {"images": idx_bytes(random_pixels(20))},
        "must be an IDX file with 3 dimensions of bytes, but begins with 00000801;",
    ),
    (
        {"labels": idx_bytes(random_pixels(2, 2, 2))},
        "must be an IDX file with 1 dimensions of bytes, but begins with 00000803;",
    ),
    (
        {"images": HUGE + bytes(99)},
        "must contain (4294967295, 4294967295, 4294967295) bytes after its header, but contains 99",
    ),
    (
        {"images": idx_bytes(random_pixels(20, 3, 4))[:-1]},
        "must contain (20, 3, 4) bytes after its header, but contains 239; download it",
    ),
    (
        {"images": idx_bytes(random_pixels(20, 3, 4)) + b"1"},
        "must contain (20, 3, 4) bytes after its header, but contains more; download",
    ),
    (
        {"labels": idx_bytes(random_pixels(19))},
        "must have as many labels as images, but has 19 labels for 20 images; download both again",
    ),
    (
        {"images": idx_bytes(random_pixels(20, 0, 4))},
        "x must contain at least one image and one pixel, but is (20, 0, 4);",
    ),
]


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("changes", "line"), BAD)
def test_a_file_that_breaks_the_format_is_refused(
    tmp_path: Path, changes: dict[str, bytes], line: str, suffix: str
) -> None:
    write_pair(tmp_path, "train", suffix=suffix, **changes)
    assert_images_refused(tmp_path, line)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            gzip.compress(idx_bytes(random_pixels(20, 3, 4)))[:60],
            "must be a complete gzip file, but is not: Compressed file ended",
        ),
        (
            gzip.compress(idx_bytes(random_pixels(20, 3, 4)))[:-5],
            "must be a complete gzip file, but is not: Compressed file ended",
        ),
        (idx_bytes(random_pixels(20, 3, 4)), "must be a complete gzip file, but is not: Not a gzipped file"),
        (b"", "must be an IDX file with 3 dimensions of bytes, but begins with nothing; download it again"),
    ],
    ids=["truncated", "truncated at its end", "not gzipped", "empty"],
)
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, content: bytes, line: str) -> None:
    write_pair(tmp_path, "train", suffix=".gz")
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(content)
    assert_images_refused(tmp_path, line)


def test_images_without_labels_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert_images_refused(
        tmp_path, "must have its labels next to it, but train-labels-idx1-ubyte does not exist; add it"
    )


def test_files_with_different_image_sizes_are_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train"), write_pair(tmp_path, "t10k", 4, images=idx_bytes(random_pixels(4, 5, 6)))
    assert_images_refused(
        tmp_path, "images of all files must have the same size, but have 3x4 and 5x6; use the files of one dataset"
    )


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    write_pair(tmp_path, "train")
    (tmp_path / "t10k-images-idx3-ubyte").mkdir()
    (tmp_path / "t10k-labels-idx1-ubyte").mkdir()
    assert_images_refused(
        tmp_path, "t10k-images-idx3-ubyte must be a complete file, but is not: [Errno 21] Is a directory"
    )


def test_no_more_is_decompressed_than_the_header_announces(tmp_path: Path) -> None:
    bomb = struct.pack(">HBB3I", 0, 8, 3, 20, 3, 4) + bytes(2**28)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bomb, 1, mtime=0))
    del bomb
    tracemalloc.start()
    with pytest.raises(DataError, match="but contains more; download it again"):
        idx.load_idx_file(tmp_path / "train-images-idx3-ubyte.gz", 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    shape=st.one_of(st.tuples(st.integers(0, 300)), st.tuples(*[st.integers(0, 9)] * 3)),
    zipped=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_written_arrays_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], zipped: bool, seed: int
) -> None:
    array: Any = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    path = tmp_path_factory.mktemp("idx") / ("a.gz" if zipped else "a")
    path.write_bytes(gzip.compress(idx_bytes(array), mtime=0) if zipped else idx_bytes(array))
    read = idx.load_idx_file(path, len(shape))
    assert (read.shape, read.dtype) == (shape, np.uint8)
    np.testing.assert_array_equal(read, array)
