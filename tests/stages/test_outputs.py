import signal
from pathlib import Path

import pytest

from fivefold.data.storage import verify_manifest
from fivefold.stages import signals
from fivefold.stages.outputs import atomic_output


def publish_half(target: Path) -> None:
    with atomic_output(target) as folder:
        (folder / "a").write_text("half")
        raise SystemExit(143)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_outputs_appear_whole_with_their_manifest(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_output(target) as folder:
        (folder / "sub").mkdir()
        (folder / "sub/a").write_text("a")
        assert not target.exists()
    assert files(tmp_path) == {"out/sub/a", "out/manifest.json"}
    verify_manifest(target)


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with atomic_output(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(SystemExit):
        publish_half(target)
    assert (target / "a").read_text() == "old"
    assert files(tmp_path) == {"out/a", "out/manifest.json"}


def test_a_stop_that_python_dropped_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_received_signals", [signal.SIGTERM])
    with pytest.raises(signals.StopRequested), atomic_output(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert files(tmp_path) == set()


def test_two_stages_share_a_folder_and_neither_touches_the_other(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for manifest, name in (("manifest.json", "weights"), ("export.json", "graph")):
        with atomic_output(target, manifest) as folder:
            (folder / name).write_text(name)
    assert files(target) == {"weights", "manifest.json", "graph", "export.json"}
    verify_manifest(target)
    verify_manifest(target, "export.json")


def test_what_a_later_run_does_not_write_goes_and_what_no_manifest_lists_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for names in (("a", "projection.png", "plots"), ("a",)):
        with atomic_output(target) as folder:
            for name in names:
                (folder / name).mkdir()
                (folder / name / "file").write_text(name)
        if len(names) > 1:
            (target / ".gitignore").write_text("/a")  # DVC writes it there
    assert files(target) == {"a/file", "manifest.json", ".gitignore"}
    verify_manifest(target)


@pytest.mark.parametrize("torn", ["", "{", '{"files": 3}'])
def test_a_torn_manifest_is_written_over(tmp_path: Path, torn: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/manifest.json").write_text(torn)
    with atomic_output(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    verify_manifest(tmp_path / "out")


def test_what_a_killed_process_left_beside_the_target_is_swept(tmp_path: Path) -> None:
    (tmp_path / ".out.manifest").mkdir()
    (tmp_path / ".out.manifest/stale").write_text("stale")
    with atomic_output(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert files(tmp_path) == {"out/a", "out/manifest.json"}


def test_a_folder_replaces_a_folder(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic_output(tmp_path / "out") as folder:
            (folder / "sub").mkdir()
            (folder / "sub" / text).write_text(text)
    assert files(tmp_path / "out") == {"sub/two", "manifest.json"}
