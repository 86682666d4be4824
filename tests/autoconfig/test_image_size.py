"""Images of several sizes come to one, which is said and can be chosen."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivefold.autoconfig.detect import detect_dataset
from fivefold.autoconfig.options import EXIF_ORIENTATION, infer_image_size, parse_size
from fivefold.errors import DataError


def saved(folder: Path, *sizes: tuple[int, int]) -> Path:
    """Save an image of each height and width, of two classes."""
    for i, (height, width) in enumerate(sizes):
        path = folder / "pets" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (width, height)).save(path)
    return folder / "pets"


def zipped(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "pets.zip", "w") as archive:
        for path in (folder / "pets").rglob("*.*"):
            archive.write(path, path.relative_to(folder))
    return folder / "pets.zip"


@pytest.mark.parametrize(
    ("sizes", "size", "why"),
    [
        ([(10, 11), (10, 11)], None, ""),
        (
            [(20, 25), (29, 33), (40, 50)],
            (28, 32),
            "sizes differ (heights 20 to 40, widths 25 to 50): resized to 28x32; --size changes it",
        ),
        ([(300, 600), (300, 600)], (64, 128), "images are large (300x600): resized to 64x128; --size changes it"),
        (
            [(3, 9), (4, 4)],
            (8, 8),
            "sizes differ (heights 3 to 4, widths 4 to 9): resized to 8x8; --size changes it",
        ),
    ],
)
def test_the_median_of_sizes(
    tmp_path: Path, sizes: list[tuple[int, int]], size: tuple[int, int] | None, why: str
) -> None:
    source = saved(tmp_path, *sizes)
    assert infer_image_size(source) == infer_image_size(zipped(tmp_path)) == (size, why)
    assert detect_dataset(source).block.get("size") == (list(size) if size else None)


def test_an_image_that_lies_on_its_side_is_measured_upright(tmp_path: Path) -> None:
    source = saved(tmp_path, (16, 32), (16, 32))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.new("RGB", (16, 32)).save(source / "cat/turned.jpg", exif=exif)
    assert infer_image_size(source) == (None, "")


def test_what_cannot_be_read_or_is_hidden_has_no_size(tmp_path: Path) -> None:
    source = saved(tmp_path, (16, 32), (16, 32))
    (source / "cat/torn.png").write_bytes(b"\x89PNG")
    Image.new("RGB", (9, 9)).save(source / "cat/.thumbnail.png")
    assert infer_image_size(source) == infer_image_size(zipped(tmp_path)) == (None, "")
    (tmp_path / "no.zip").write_bytes(b"PK")
    assert infer_image_size(tmp_path / "no.zip") == (None, "")


def test_a_size_that_is_said_goes_before(tmp_path: Path) -> None:
    looked = detect_dataset(saved(tmp_path, (20, 25), (29, 33)), size=parse_size("16x24"))
    assert (looked.block["size"], looked.notes) == ([16, 24], ())


@pytest.mark.parametrize("text", ["16", "0x4", "16x", "ax4", "16x24x3", "-3x4"])
def test_a_size_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(DataError, match=rf"--size must be HEIGHTxWIDTH in pixels, but is '{text}'; write for example"):
        parse_size(text)


def test_a_size_for_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("a" * 100)
    with pytest.raises(DataError, match=r"--size is for images, but .* is taken for text; leave it out"):
        detect_dataset(tmp_path / "novel.txt", size=(8, 8))


def test_a_size_tells_the_shape_of_pixels_that_are_no_square(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).integers(0, 255, (40, 4 * 10))
    names = [f"p{i}" for i in range(40)]
    rows = [",".join([*names, "y"]), *(",".join([*map(str, row), str(i % 2)]) for i, row in enumerate(cells))]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    block = detect_dataset(tmp_path / "mine.csv", size=(4, 10)).block
    assert (block["kind"], block["size"]) == ("images", [4, 10])
    said = r"must make up a square image, or one of --size HEIGHTxWIDTH, but there are 40 columns beside 'y'"
    with pytest.raises(DataError, match=said):
        detect_dataset(tmp_path / "mine.csv", size=(5, 9))


def test_a_huge_image_is_no_warning_on_the_screen(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("1", (10_000, 10_000)).save(saved(tmp_path, (16, 16)) / "cat/huge.png")
    assert infer_image_size(tmp_path / "pets")[0] is not None
    assert not recwarn
