import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fivefold.data.dataset import Dataset
from fivefold.data.storage import (
    ARRAY_FIELDS,
    load_dataset,
    manifest_sha256,
    save_dataset,
    sha256,
    verify_manifest,
    write_manifest,
)
from fivefold.errors import ArtifactError

from ..conftest import dataset_of, schema_of

FILES = ["schema.json", *(f"{part}/{f}.npy" for part in ("train", "validation", "test") for f in ("x", "y", "rows"))]
REMEDY = "run `dvc repro` again, or `dvc checkout --force` to restore it"


def table() -> Dataset:
    x = np.random.default_rng(0).normal(size=(9, 3))
    x[0, 1] = np.nan
    y = np.arange(9) % 2
    return dataset_of(schema_of((3,), 2), (x[:4], y[:4]), (x[4:7], y[4:7]), (x[7:], y[7:]))


def images() -> Dataset:
    x = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 5), dtype=np.uint8)
    y = np.linspace(0, 1, 9)
    return dataset_of(schema_of((3, 4, 5)), (x[:4], y[:4]), (x[4:7], y[4:7]), (x[7:], y[7:]))


def every_field() -> Dataset:
    dataset = table()
    parts = (
        replace(samples, groups=samples.rows // 2, extra_targets=samples.x[:, :1], seasonal_naive=samples.x[:, 1:2])
        for samples in dataset.splits().values()
    )
    return Dataset(dataset.schema, *parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_dataset(table(), tmp_path)
    write_manifest(tmp_path)
    return tmp_path


def seal(folder: Path) -> None:
    """Write a new manifest for the current files, as a stage would."""
    (folder / "manifest.json").unlink()
    write_manifest(folder)


class TestRoundTrip:
    @pytest.mark.parametrize("dataset", [table(), images(), every_field()], ids=["table", "images", "every field"])
    def test_a_dataset_is_restored(self, tmp_path: Path, dataset: Dataset) -> None:
        save_dataset(dataset, tmp_path)
        write_manifest(tmp_path)
        loaded = load_dataset(tmp_path)
        assert loaded.schema == dataset.schema
        for name, samples in dataset.splits().items():
            assert set(ARRAY_FIELDS) == set(vars(samples))
            for field, given in vars(samples).items():
                found = getattr(loaded.splits()[name], field)
                assert (found is None) == (given is None)
                if given is None:
                    continue
                assert found.dtype == given.dtype
                np.testing.assert_array_equal(found, given)

    def test_arrays_are_mapped_and_cannot_be_written(self, folder: Path) -> None:
        x = load_dataset(folder).train.x
        assert isinstance(x, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 0

    def test_the_files_are_those_of_the_manifest(self, folder: Path) -> None:
        entries = json.loads((folder / "manifest.json").read_text())["files"]
        assert set(entries) == set(FILES)
        assert entries["train/x.npy"] == {
            "sha256": sha256(folder / "train/x.npy"),
            "bytes": 128 + 4 * 3 * 8,  # the header of .npy, and 4 rows of 3 float64
            "shape": [4, 3],
            "dtype": "float64",
        }


class TestVerify:
    @pytest.mark.parametrize("name", FILES)
    def test_a_flipped_byte_is_found(self, folder: Path, name: str) -> None:
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)
        with pytest.raises(ArtifactError, match=rf"{name} must have the SHA-256 \w{{12}}… of its manifest, but has"):
            load_dataset(folder)

    @pytest.mark.parametrize("name", FILES)
    def test_a_deleted_file_is_found(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        message = rf"{name} must exist, since manifest\.json lists it, but does not; {REMEDY}"
        with pytest.raises(ArtifactError, match=message):
            load_dataset(folder)

    def test_a_longer_file_is_found(self, folder: Path) -> None:
        with (folder / "test/y.npy").open("ab") as file:
            file.write(b"\0")
        with pytest.raises(ArtifactError, match=r"test/y\.npy must have the SHA-256"):
            verify_manifest(folder)

    @pytest.mark.parametrize("content", ["", "{", '{"other": 1}'])
    def test_an_invalid_manifest_is_refused(self, folder: Path, content: str) -> None:
        (folder / "manifest.json").write_text(content)
        with pytest.raises(
            ArtifactError,
            match=r"manifest\.json must be the manifest of a stage output, but is missing or invalid; run",
        ):
            load_dataset(folder)

    def test_a_missing_manifest_is_refused(self, folder: Path) -> None:
        (folder / "manifest.json").unlink()
        with pytest.raises(
            ArtifactError, match=rf"manifest\.json must be the manifest of a stage output, but .*; {REMEDY}"
        ):
            load_dataset(folder)

    @pytest.mark.parametrize(
        "content",
        [
            pytest.param(b'{"files\xff": {}}', id="UnicodeDecodeError"),
            pytest.param(b"[]", id="TypeError"),
            pytest.param(b'{"files": []}', id="AttributeError"),
            pytest.param(b'{"files": {"schema.json": {"sha257": ""}}}', id="KeyError"),
            pytest.param(b'{"files": {"schema.json": {"sha256": 3}}}', id="TypeError of a digest"),
        ],
    )
    def test_an_altered_manifest_is_refused(self, folder: Path, content: bytes) -> None:
        (folder / "manifest.json").write_bytes(content)
        with pytest.raises(ArtifactError, match=r"manifest\.json"):
            load_dataset(folder)


def test_a_schema_of_another_version_is_refused(folder: Path) -> None:
    facts = json.loads((folder / "schema.json").read_text())
    (folder / "schema.json").write_text(json.dumps({**facts, "kind": "sound"}))
    seal(folder)
    with pytest.raises(ArtifactError, match=r"schema\.json must contain a schema, but kind: .*'table', .*'text'; run"):
        load_dataset(folder)


class TestDigest:
    def test_the_same_data_has_the_same_digest(self, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("other")
        save_dataset(table(), other)
        write_manifest(other)
        assert manifest_sha256(other) == manifest_sha256(folder)

    @pytest.mark.parametrize("name", FILES)
    def test_every_file_changes_the_digest(self, folder: Path, name: str) -> None:
        before = manifest_sha256(folder)
        content = bytearray((folder / name).read_bytes())
        content[-1] ^= 1
        (folder / name).write_bytes(content)
        seal(folder)
        assert manifest_sha256(folder) != before

    def test_the_hash_is_sha_256(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"abc")
        # FIPS 180-2, appendix B.1
        assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
