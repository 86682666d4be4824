"""Image files in folders and zips."""

import io
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fivefold.data.dataset import Array
from fivefold.data.prepare import prepare
from fivefold.data.readers.images import read_images
from fivefold.errors import DataError

from ...conftest import encode_as_training, images_block, schema_and_rows
from ..helpers import PREDEFINED, assert_images_refused, encode_image, random_pixels, write_folder, write_zip

NOT_READ = "every image must be a readable PNG or JPEG, but cat/0.png is not: "


PNG = encode_image(random_pixels(4, 5, 3))
CLASSES = {f"{name}/{i}.png": encode_image(random_pixels(4, 5, 3)) for name in ("cat", "dog") for i in range(10)}
PARTS = {f"{part}/{path}": content for part in ("train", "test") for path, content in CLASSES.items()}


def nest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"animals/{name}": content for name, content in files.items()}


def read_image(root: Path, content: bytes, **changes: Any) -> Array:
    """Return an image (c, h, w), read together with one of another class."""
    return schema_and_rows(images_block(write_folder(root, {"cat/0.png": content, "dog/0.png": content}), **changes))[
        1
    ].x[0]


class TestLayout:
    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    @pytest.mark.parametrize("wrap", [dict, nest])
    def test_the_folder_is_the_label(self, tmp_path: Path, pack: Any, wrap: Any) -> None:
        schema, samples = schema_and_rows(images_block(pack(tmp_path, wrap(CLASSES))))
        assert (schema.shape, schema.classes, schema.target) == ((3, 4, 5), ("cat", "dog"), "label")
        assert samples.y.tolist() == [0] * 10 + [1] * 10
        for x, content in zip(samples.x, CLASSES.values(), strict=True):
            np.testing.assert_array_equal(np.moveaxis(x, 0, -1), np.asarray(Image.open(io.BytesIO(content))))

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    @pytest.mark.parametrize("wrap", [dict, nest])
    def test_a_folder_above_defines_the_split(self, tmp_path: Path, pack: Any, wrap: Any) -> None:
        dataset, _ = prepare(images_block(pack(tmp_path, wrap(PARTS)), split=PREDEFINED), 0)
        assert [len(samples) for samples in dataset.splits().values()] == [17, 3, 20]
        assert dataset.test.rows.tolist() == list(range(20))  # test precedes train

    def test_without_a_test_folder_a_random_split_is_possible(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, {name: content for name, content in PARTS.items() if name.startswith("train")})
        assert len(prepare(images_block(source), 0)[0].test) == 4
        assert_images_refused(
            source, "must assign rows to test, but assigns none; use another `split.by`", split=PREDEFINED
        )

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_hidden_files_and_other_file_types_are_ignored(self, tmp_path: Path, pack: Any) -> None:
        names = ("cat/._0.png", ".git/a/1.png", "__MACOSX/cat/._0.png", "cat/notes.txt", "README", "cat/.DS_Store")
        _, samples = schema_and_rows(images_block(pack(tmp_path, CLASSES | dict.fromkeys(names, b"?"))))
        assert len(samples) == 20

    def test_images_are_sorted_by_path_in_folders_and_zips(self, tmp_path: Path) -> None:
        files = {
            f"{name}/{i}.PNG": encode_image(random_pixels(2, 2)) for i in (10, 9, 1) for name in ("b", "a-b", "a", "B")
        }
        backwards = dict(reversed(files.items()))
        names = sorted(files, key=lambda name: name.split("/"))
        expected = [[np.asarray(Image.open(io.BytesIO(files[name]))).tolist()] for name in names]
        for pack in (write_folder, write_zip):
            for given in (files, backwards):
                assert schema_and_rows(images_block(pack(tmp_path, given)))[1].x.tolist() == expected

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    @pytest.mark.parametrize("wrap", [dict, nest])
    def test_an_image_outside_a_class_is_refused(self, tmp_path: Path, pack: Any, wrap: Any) -> None:
        line = "every image must be in the folder of its class, but"
        assert_images_refused(pack(tmp_path, wrap({**CLASSES, "stray.png": PNG})), line)

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    @pytest.mark.parametrize("above", ["", "animals/", "train/"])
    def test_folders_within_a_class_are_ignored(self, tmp_path: Path, pack: Any, above: str) -> None:
        files = ("cat/1.png", "cat/batch1/0.png", "cat/batch2/0.png", "dog/batch1/old/0.png")
        schema, samples = schema_and_rows(images_block(pack(tmp_path, {above + file: PNG for file in files})))
        assert schema.classes == ("cat", "dog")
        assert samples.y.tolist() == [0, 0, 0, 1]

    def test_an_image_outside_the_splits_is_refused(self, tmp_path: Path) -> None:
        assert_images_refused(
            write_folder(tmp_path, {**PARTS, "bird/0.png": PNG}),
            "in the folder of a split if any is, but bird/0.png is not",
        )

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    @pytest.mark.parametrize("wrap", [dict, nest])
    def test_a_class_folder_without_an_image_is_named(self, tmp_path: Path, pack: Any, wrap: Any) -> None:
        source = pack(tmp_path, wrap({**CLASSES, "bird/0.bmp": PNG}))
        if source.is_dir():
            (next(source.rglob("cat")).parent / "fish").mkdir()
        dataset, results = prepare(images_block(source), 0)
        assert dataset.schema.classes == ("cat", "dog")
        (message,) = [result.message for result in results if result.rule == "absent_class"]
        assert message.startswith("folders without a readable image, which are not used as classes: ")
        assert "bird" in message
        assert ("fish" in message) == source.is_dir()

    def test_an_image_in_a_split_without_a_class_is_refused(self, tmp_path: Path) -> None:
        line = "but train/stray.png is not; move it"
        assert_images_refused(write_folder(tmp_path, {**PARTS, "train/stray.png": PNG}), line)

    def test_splits_without_classes_are_refused(self, tmp_path: Path) -> None:
        line = "but test/0.png is directly in the folder of a split; create a folder for each class there"
        assert_images_refused(write_folder(tmp_path, {"train/0.png": PNG, "test/0.png": PNG}), line)

    def test_images_without_a_folder_are_refused(self, tmp_path: Path) -> None:
        assert_images_refused(write_folder(tmp_path, {"0.png": PNG, "1.png": PNG}), "but 0.png is not; move it")

    @pytest.mark.parametrize("files", [{}, {"cat/notes.txt": b"none"}])
    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_a_source_without_images_is_refused(self, tmp_path: Path, pack: Any, files: dict[str, bytes]) -> None:
        (tmp_path / "set").mkdir()
        line = "must contain PNG or JPEG files in one folder per class, but contains none; fix `source`"
        assert_images_refused(pack(tmp_path, files), line)

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_images_of_other_formats_are_reported(self, tmp_path: Path, pack: Any) -> None:
        unsupported = {"dog/a.webp": encode_image(random_pixels(4, 5, 3), "WEBP"), "cat/b.GIF": PNG, "cat/._c.tif": PNG}
        dataset, results = prepare(images_block(pack(tmp_path, {**CLASSES, **unsupported})), 0)
        assert sum(map(len, dataset.splits().values())) == 20
        assert [(f.level, f.message) for f in results if f.rule == "corrupt"] == [
            ("warning", "2 images are neither PNG nor JPEG and were skipped, the first cat/b.GIF; convert them")
        ]

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_a_source_with_only_other_formats_is_refused(self, tmp_path: Path, pack: Any) -> None:
        line = "in one folder per class, but contains none; convert cat/0.bmp (2 such files)"
        assert_images_refused(pack(tmp_path, {"cat/0.bmp": PNG, "dog/0.bmp": PNG}), line)

    def test_a_class_with_an_unprintable_name_is_refused(self, tmp_path: Path) -> None:
        line = r"a class must have a printable name, but 'c\udce4t/0.png' does not; rename"
        assert_images_refused(write_folder(tmp_path, {"dog/0.png": PNG, "c\udce4t/0.png": PNG}), line)


class TestLinks:
    def test_a_link_within_the_folder_is_followed(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, CLASSES)
        (source / "dog" / "a.png").symlink_to(source / "dog" / "0.png")
        assert len(schema_and_rows(images_block(source))[1]) == 21

    @pytest.mark.parametrize(
        ("target", "message"),
        [("dog", "points outside or to nothing"), ("..", "points to the folder ..;"), (".", "points to the folder")],
    )
    def test_a_link_to_a_folder_above_it_is_refused(self, tmp_path: Path, target: str, message: str) -> None:
        source = write_folder(tmp_path, CLASSES)
        (source / "dog" / "loop").symlink_to(target)
        assert_images_refused(source, f"dog/loop {message}")

    def test_the_folder_itself_may_be_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(write_folder(tmp_path, CLASSES))
        assert len(schema_and_rows(images_block(tmp_path / "link"))[1]) == 20

    @pytest.mark.parametrize(
        "target", ["../../away/0.png", "../../away", "a.png", "99.png"], ids=["file", "folder", "itself", "none"]
    )
    def test_a_link_outside_the_folder_is_refused(self, tmp_path: Path, target: str) -> None:
        source = write_folder(tmp_path, CLASSES)
        (tmp_path / "away").mkdir()
        (tmp_path / "away" / "0.png").write_bytes(PNG)
        (source / "dog" / "a.png").symlink_to(target)
        assert_images_refused(
            source,
            "a file must be inside the source folder, but the link dog/a.png points outside or to nothing; replace it",
        )

    def test_a_link_to_a_class_folder_outside_is_refused(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, CLASSES)
        (tmp_path / "away").mkdir()
        (source / "bird").symlink_to(tmp_path / "away")
        assert_images_refused(
            source,
            "a file must be inside the source folder, but the link bird points outside or to nothing; replace it",
        )


def test_a_size_beyond_the_memory_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.get)
    source = write_folder(tmp_path, CLASSES)
    assert len(schema_and_rows(images_block(source, size=(100, 100)))[1]) == 20  # 0.6 MB of 1 MB
    line = "20 images of 200x200 must fit into a quarter of the memory, 0.0 GB, but need 0.0 GB; set a smaller `size`"
    assert_images_refused(source, line, size=(200, 200))
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 4, 5), np.uint8), y=np.arange(20) % 2)
    with pytest.raises(DataError, match="20 images of 300x300 must fit into a quarter of the memory"):
        schema_and_rows(images_block(tmp_path / "a.npz", size=(300, 300)))


class TestModes:
    GRAY = random_pixels(4, 5)
    WIDE = np.array([[0, 255, 256, 32768, 65535]], np.uint16)

    @pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3), (4, 5, 4)])
    def test_channels_are_those_of_the_file(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        pixels = random_pixels(*shape)
        np.testing.assert_array_equal(
            read_image(tmp_path, encode_image(pixels)), np.moveaxis(pixels.reshape(4, 5, -1), -1, 0)
        )

    def test_sixteen_bit_images_are_scaled_to_eight_bits(self, tmp_path: Path) -> None:
        assert read_image(tmp_path, encode_image(self.WIDE)).tolist() == [[[0, 0, 1, 128, 255]]]

    def test_twelve_bit_images_are_scaled_by_their_range(self, tmp_path: Path) -> None:
        """All images are scaled by the same factor: 420 has 9 bits."""
        pixels = {"cat/0.png": [0, 420], "dog/0.png": [7, 100]}
        files = {name: encode_image(np.array([row], np.uint16)) for name, row in pixels.items()}
        raw = read_images(write_folder(tmp_path, files), images_block())
        assert raw.x.tolist() == [[[[0, 210]]], [[[3, 50]]]]
        assert [(f.level, f.message) for f in raw.checks] == [
            ("note", "2 images have 16 bits per pixel, values up to 420: divided by 2 to convert to 8 bits")
        ]

    def test_sixteen_bit_images_are_resized_before_scaling(self, tmp_path: Path) -> None:
        assert read_image(tmp_path, encode_image(self.WIDE[:, 3:4]), size=(2, 2)).tolist() == [[[128, 128], [128, 128]]]

    def test_one_bit_images_become_black_and_white(self, tmp_path: Path) -> None:
        bits = self.GRAY > 99
        assert read_image(tmp_path, encode_image(bits)).tolist() == [(bits * 255).tolist()]

    def test_palette_images_become_rgb(self, tmp_path: Path) -> None:
        palette = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
        palette.putpalette([255, 0, 0, 1, 2, 3])
        assert read_image(tmp_path, encode_image(palette)).tolist() == [[[255, 1]], [[0, 2]], [[0, 3]]]
        assert read_image(tmp_path, encode_image(palette, transparency=1)).tolist()[3] == [[255, 0]]

    def test_grayscale_with_alpha_becomes_rgba(self, tmp_path: Path) -> None:
        assert read_image(tmp_path, encode_image(np.full((1, 1, 2), (9, 7), np.uint8))).ravel().tolist() == [9, 9, 9, 7]

    def test_a_jpeg_is_decoded(self, tmp_path: Path) -> None:
        for pixel in ((200, 30, 60), (90,)):
            found = read_image(tmp_path, encode_image(np.full((8, 8, len(pixel)), pixel, np.uint8).squeeze(), "JPEG"))
            assert found.shape == (len(pixel), 8, 8)
            np.testing.assert_allclose(found[:, 4, 4], pixel, atol=3)

    def test_a_cmyk_jpeg_becomes_rgb(self, tmp_path: Path) -> None:
        inks = Image.fromarray(np.full((8, 8, 4), (0, 255, 255, 0), np.uint8), "CMYK")  # all magenta and yellow: red
        np.testing.assert_allclose(read_image(tmp_path, encode_image(inks, "JPEG"))[:, 4, 4], (255, 0, 0), atol=3)

    @pytest.mark.parametrize(
        ("orientation", "upright"),
        # TIFF 6.0, Orientation: what the 0th row and column are
        [(1, np.array), (2, np.fliplr), (3, lambda x: np.rot90(x, 2)), (6, lambda x: np.rot90(x, -1)), (8, np.rot90)],
    )
    @pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
    def test_the_exif_orientation_is_applied(
        self, tmp_path: Path, orientation: int, upright: Any, image_format: str
    ) -> None:
        corner = np.zeros((8, 16), np.uint8)
        corner[:, :8] = 255
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = read_image(tmp_path, encode_image(corner, image_format, exif=exif))
        np.testing.assert_array_equal(found[0] > 127, upright(corner) > 127)

    def test_invalid_metadata_is_ignored(self, tmp_path: Path) -> None:
        assert read_image(tmp_path, encode_image(self.GRAY, exif=b"Exif\0\0nonsense")).tolist() == [self.GRAY.tolist()]

    def test_images_get_the_largest_number_of_channels(self, tmp_path: Path) -> None:
        gray, color, alpha = (np.full((1, 1, c), 9, np.uint8) for c in (1, 3, 4))
        files = {
            "cat/0.png": encode_image(gray[:, :, 0]),
            "cat/1.png": encode_image(color),
            "dog/0.png": encode_image(alpha),
        }
        schema, samples = schema_and_rows(images_block(write_folder(tmp_path, files)))
        assert schema.shape == (4, 1, 1)
        assert samples.x.reshape(3, 4).tolist() == [[9, 9, 9, 255], [9, 9, 9, 255], [9, 9, 9, 9]]
        assert schema_and_rows(images_block(tmp_path / "set", channels=1))[1].x.ravel().tolist() == [9, 9, 9]
        del files["dog/0.png"]
        _, samples = schema_and_rows(
            images_block(write_folder(tmp_path / "b", {**files, "dog/1.png": encode_image(color)}))
        )
        assert samples.x.reshape(3, 3).tolist() == [[9, 9, 9]] * 3

    def test_images_of_different_modes_are_counted(self, tmp_path: Path) -> None:
        gray, color, alpha = (
            encode_image(random_pixels(2, 2, c)[:, :, 0] if c == 1 else random_pixels(2, 2, c)) for c in (1, 3, 4)
        )
        files = {f"{name}/{i}.png": content for name, content in (("cat", gray), ("dog", color)) for i in range(10)}
        source = write_folder(tmp_path, files)
        assert [f.message for f in prepare(images_block(source), 0)[1] if f.rule == "channels"] == [
            "10 grayscale of 20 images are converted to RGB, the color mode of training images; `channels: 1` converts"
            " all to grayscale"
        ]
        (source / "dog/0.png").write_bytes(alpha)
        assert [(f.level, f.message.partition(",")[0]) for f in encode_as_training(images_block(source)).checks] == [
            ("note", "10 grayscale and 9 RGB of 20 images are converted to RGBA")
        ]
        for chosen in (1, 3):
            assert encode_as_training(images_block(source, channels=chosen)).checks == ()

    def test_the_number_of_channels_is_that_of_training_images(self, tmp_path: Path) -> None:
        gray, alpha = encode_image(np.full((1, 1), 9, np.uint8)), encode_image(np.full((1, 1, 4), 9, np.uint8))
        files = {f"train/{name}/{i}.png": gray for name in ("cat", "dog") for i in range(4)}
        source = write_folder(tmp_path, {**files, "test/cat/0.png": alpha, "test/dog/0.png": gray})
        dataset, _ = prepare(images_block(source, split=PREDEFINED), 0)
        assert (dataset.schema.shape, dataset.test.x.ravel().tolist()) == ((1, 1, 1), [9, 9])

    def test_images_of_different_sizes_are_resized_or_refused(self, tmp_path: Path) -> None:
        source = write_folder(
            tmp_path, {"cat/0.png": encode_image(random_pixels(4, 5)), "dog/0.png": encode_image(random_pixels(7, 3))}
        )
        line = "images must have the same size, but have 2 sizes, from 4x5 to 7x3; set `size: [height, width]`"
        assert_images_refused(source, line)
        assert schema_and_rows(images_block(source, size=(6, 2)))[0].shape == (1, 6, 2)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def claiming(width: int, height: int) -> bytes:
    """Return a PNG that claims a size but contains only a few pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


JPEG = encode_image(random_pixels(40, 40, 3), "JPEG")
CORRUPT = {
    "a truncated PNG": (PNG[:60], ""),
    "a truncated JPEG": (JPEG[: len(JPEG) // 2], "image file is truncated"),
    "nothing": (b"", "it is neither; remove it"),
    "text": (b"hello\nworld", "it is neither; remove it"),
    "another format": (encode_image(random_pixels(4, 5, 3), "GIF"), "it is neither; remove it"),
    "a huge size": (claiming(100_000, 100_000), "Image size (10000000000 pixels) exceeds limit of"),
    "a large size": (claiming(10_000, 10_000), "it claims 10000 x 10000 pixels, more than 64,000,000;"),
    "too few pixels": (claiming(300, 300), "image file is truncated"),
}


class TestCorrupt:
    @pytest.mark.parametrize(("content", "reason"), CORRUPT.values(), ids=CORRUPT)
    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_a_corrupt_image_is_refused(self, tmp_path: Path, pack: Any, content: bytes, reason: str) -> None:
        source = pack(tmp_path, {**CLASSES, "cat/0.png": content})
        assert_images_refused(source, f"{source}: {NOT_READ}{reason}")
        assert_images_refused(
            source, "remove it; to continue anyway, set `checks: {corrupt: warning}`", checks={"corrupt": "error"}
        )

    def test_several_corrupt_images_are_counted(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, {**CLASSES, "cat/0.png": b"", "dog/3.png": b""})
        assert_images_refused(source, f"{NOT_READ}it is neither (2 such files: cat/0.png, dog/3.png); remove them")

    @pytest.mark.parametrize("pack", [write_folder, write_zip])
    def test_corrupt_images_are_skipped_and_named_at_level_warning(self, tmp_path: Path, pack: Any) -> None:
        source = pack(tmp_path, {**CLASSES, "cat/0.png": PNG[:60], "dog/3.png": b""})
        dataset, results = prepare(images_block(source, checks={"corrupt": "warning"}), 0)
        assert sum(len(samples) for samples in dataset.splits().values()) == 18
        message = next(result for result in results if result.rule == "corrupt")
        assert (message.level, message.message) == (
            "warning",
            "2 files are not readable images and were skipped: cat/0.png, dog/3.png",
        )

    def test_a_source_with_only_corrupt_images_is_refused(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, {"cat/0.png": b"", "dog/0.png": b""})
        assert_images_refused(
            source,
            "must contain PNG or JPEG files in one folder per class, but contains none",
            checks={"corrupt": "off"},
        )

    def test_a_name_with_a_line_break_is_escaped(self, tmp_path: Path) -> None:
        assert_images_refused(
            write_folder(tmp_path, {**CLASSES, "cat/a\nb.png": b""}), r"but 'cat/a\nb.png' is not: it is neither;"
        )


class TestZips:
    @pytest.mark.parametrize(
        "name", ["../x.png", "/etc/x.png", "cat/../../x.png", "..\\x.png", "C:\\cat\\x.png", "\\cat\\x.png", "../x.txt"]
    )
    def test_a_path_outside_the_zip_is_refused(self, tmp_path: Path, name: str) -> None:
        path = name.replace("\\", "/")
        line = f"a file must be inside the source folder, but {path} is outside; do not trust this .zip"
        assert_images_refused(write_zip(tmp_path, {**CLASSES, name: PNG}), line)

    def test_backslashes_separate_folders(self, tmp_path: Path) -> None:
        files = {name.replace("/", "\\"): content for name, content in CLASSES.items()}
        assert schema_and_rows(images_block(write_zip(tmp_path, files)))[0].classes == ("cat", "dog")

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
    def test_a_truncated_zip_is_refused(self, tmp_path: Path, share: float) -> None:
        path = write_zip(tmp_path, CLASSES)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        assert_images_refused(path, f"{path} must be a complete .zip, but is not: ")

    def test_an_altered_file_is_corrupt(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path, CLASSES, zipfile.ZIP_STORED)
        content = bytearray(path.read_bytes())
        content[content.index(b"IDAT") + 20] ^= 255
        path.write_bytes(content)
        assert_images_refused(path, f"{NOT_READ}Bad CRC-32 for file 'cat/0.png'; remove it")

    def test_an_encrypted_zip_is_refused(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path, CLASSES)
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\1\2") + 8] |= 1  # APPNOTE.TXT 4.4.4: bit 0 of the flags
        path.write_bytes(content)
        assert_images_refused(
            path, "files must be stored or deflated, but cat/0.png is encrypted; create the .zip again"
        )

    def test_other_compression_methods_are_refused(self, tmp_path: Path) -> None:
        assert_images_refused(
            write_zip(tmp_path, CLASSES, zipfile.ZIP_LZMA),
            "but cat/0.png is compressed by method 14; create the .zip again",
        )

    def test_a_zip_bomb_with_its_true_size_is_not_decompressed(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path, {**CLASSES, "cat/0.png": bytes(2**23)})
        line = "an image must decompress to at most 256 MiB and 100 times its size, but cat/0.png has 8,388,608 bytes"
        assert_images_refused(path, line)
        path = write_zip(tmp_path, {**CLASSES, "cat/0.png": bytes(2**28 + 1)}, zipfile.ZIP_STORED)
        assert_images_refused(path, "but cat/0.png has 268,435,457 bytes from 268,435,457; do not trust this .zip")

    def test_a_zip_bomb_with_a_false_size_is_not_decompressed(self, tmp_path: Path) -> None:
        path = write_zip(tmp_path, {**CLASSES, "cat/0.png": bytes(2**27)})
        content = bytearray(path.read_bytes())
        entry = content.index(b"PK\1\2")  # APPNOTE.TXT 4.3.12: the uncompressed size is at offset 24
        content[entry + 24 : entry + 28] = (5000).to_bytes(4, "little")
        path.write_bytes(content)
        tracemalloc.start()
        with pytest.raises(DataError, match=rf"{NOT_READ}Bad CRC-32 for file 'cat/0\.png'"):
            prepare(images_block(path), 0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**23

    def test_a_huge_image_needs_no_memory(self, tmp_path: Path) -> None:
        source = write_folder(tmp_path, {**CLASSES, "cat/0.png": claiming(100_000, 100_000)})
        tracemalloc.start()
        assert_images_refused(source, NOT_READ)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**23
