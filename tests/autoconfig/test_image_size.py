"""Images of different sizes are resized to an inferred or a given size."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fivefold.autoconfig.detect import detect_dataset
from fivefold.autoconfig.options import EXIF_ORIENTATION, infer_image_size, parse_size
from fivefold.errors import DataError


def save_images(folder: Path, *sizes: tuple[int, int]) -> Path:
    """Save an image of each height and width, alternating between two classes, and return the folder."""
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
            "sizes differ (heights 20 to 40, widths 25 to 50): resized to 28x32; override with --size",
        ),
        ([(300, 600), (300, 600)], (64, 128), "images are large (300x600): resized to 64x128; override with --size"),
        (
            [(3, 9), (4, 4)],
            (8, 8),
            "sizes differ (heights 3 to 4, widths 4 to 9): resized to 8x8; override with --size",
        ),
    ],
)
def test_images_are_resized_to_the_median_size(
    tmp_path: Path, sizes: list[tuple[int, int]], size: tuple[int, int] | None, why: str
) -> None:
    source = save_images(tmp_path, *sizes)
    assert infer_image_size(source) == infer_image_size(zipped(tmp_path)) == (size, why)
    assert detect_dataset(source).block.get("size") == (list(size) if size else None)


def test_the_exif_orientation_is_applied_before_measuring(tmp_path: Path) -> None:
    source = save_images(tmp_path, (16, 32), (16, 32))
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    Image.new("RGB", (16, 32)).save(source / "cat/turned.jpg", exif=exif)
    assert infer_image_size(source) == (None, "")


def test_unreadable_and_hidden_files_are_ignored(tmp_path: Path) -> None:
    source = save_images(tmp_path, (16, 32), (16, 32))
    (source / "cat/torn.png").write_bytes(b"\x89PNG")
    Image.new("RGB", (9, 9)).save(source / "cat/.thumbnail.png")
    assert infer_image_size(source) == infer_image_size(zipped(tmp_path)) == (None, "")
    (tmp_path / "no.zip").write_bytes(b"PK")
    assert infer_image_size(tmp_path / "no.zip") == (None, "")


def test_the_size_option_overrides_inference(tmp_path: Path) -> None:
    proposal = detect_dataset(save_images(tmp_path, (20, 25), (29, 33)), size=parse_size("16x24"))
    assert (proposal.block["size"], proposal.notes) == ([16, 24], ())


@pytest.mark.parametrize("text", ["16", "0x4", "16x", "ax4", "16x24x3", "-3x4"])
def test_an_invalid_size_raises(text: str) -> None:
    with pytest.raises(DataError, match=rf"--size must be HEIGHTxWIDTH in pixels, but is '{text}'; write for example"):
        parse_size(text)


def test_a_size_for_text_raises(tmp_path: Path) -> None:
    (tmp_path / "novel.txt").write_text("a" * 100)
    with pytest.raises(DataError, match=r"--size is for images, but .* is detected as text; omit it"):
        detect_dataset(tmp_path / "novel.txt", size=(8, 8))


def test_the_size_option_defines_the_shape_of_pixel_columns(tmp_path: Path) -> None:
    cells = np.random.default_rng(0).integers(0, 255, (40, 4 * 10))
    names = [f"p{i}" for i in range(40)]
    rows = [",".join([*names, "y"]), *(",".join([*map(str, row), str(i % 2)]) for i, row in enumerate(cells))]
    (tmp_path / "mine.csv").write_text("\n".join(rows))
    block = detect_dataset(tmp_path / "mine.csv", size=(4, 10)).block
    assert (block["kind"], block["size"]) == ("images", [4, 10])
    message = r"a row must be a square image or one of --size HEIGHTxWIDTH, but there are 40 columns besides 'y'"
    with pytest.raises(DataError, match=message):
        detect_dataset(tmp_path / "mine.csv", size=(5, 9))


def test_a_huge_image_causes_no_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    Image.new("1", (10_000, 10_000)).save(save_images(tmp_path, (16, 16)) / "cat/huge.png")
    assert infer_image_size(tmp_path / "pets")[0] is not None
    assert not recwarn
