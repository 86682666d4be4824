"""The command `fivefold`: what a person mistypes ends in one line."""

import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image

from fivefold.cli import main

ROOT = Path(__file__).parents[1]
ROWS = "size,outcome\n" + "".join(f"{i % 17},{'up' if i % 17 > 8 else 'down'}\n" for i in range(60))


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["fivefold", *words])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [["sync"], ["ui"], ["wire"], ["check"], ["sample", "poet"], ["cv", "mlp"]])
def test_outside_a_project_nothing_is_made(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, told = run(monkeypatch, capsys, *command)
    assert code == 2
    assert told == f"error: this must run within a project, but there is no .dvc in {tmp_path} or above; go there\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("options", [["--port", "99999"], ["--host", "no such host"]])
def test_an_address_that_is_none_is_one_line(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = run(monkeypatch, capsys, "ui", *options)
    assert code == 1
    assert "must be a free address of this machine, but is not: " in told
    assert told.count("\n") == 1


@pytest.mark.usefixtures("project")
def test_a_port_that_is_taken_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, told = run(monkeypatch, capsys, "ui", "--port", port)
    assert code == 1
    assert f"127.0.0.1:{port} must be a free address" in told


@pytest.mark.usefixtures("project")
def test_rates_are_not_tried_before_the_data_is_there(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text((Path(__file__).parents[1] / "params.yaml").read_text())
    code, told = run(monkeypatch, capsys, "lr", "mlp")
    assert code == 1
    assert told.endswith("must be there to train on, but are not; run `dvc repro select_features@mlp`\n")
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "params.yaml"]


@pytest.fixture
def whole(project: Path) -> Path:
    """A project to which data can be added, and rows that lie elsewhere."""
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, project)
    elsewhere = project.with_name(f"{project.name}_elsewhere")
    elsewhere.mkdir()
    (elsewhere / "rows.csv").write_text(ROWS)
    return elsewhere


def test_a_file_that_is_added_is_wired(whole: Path, project: Path) -> None:
    main.add(whole / "rows.csv", target="outcome")
    assert "  rows:\n" in (project / "params.yaml").read_text()
    assert "reports/rows/tables/confusion_matrix.csv" in (project / "dvc.yaml").read_text()
    assert (project / "data/raw/rows.csv").read_text() == ROWS
    written = (project / "dvc.yaml").read_text()
    main.dvc_update()
    assert (project / "dvc.yaml").read_text() == written


def test_what_a_person_says_is_written(whole: Path, project: Path) -> None:
    rows = "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60))
    (whole / "timed.csv").write_text(f"tick,x,y\n{rows}")
    main.add(whole / "timed.csv", task="regression", time="tick", header=True)
    split = "    split: {by: time, column: tick, validation: 0.15, test: 0.15}\n"
    assert split in (project / "params.yaml").read_text()
    steps = "".join(f"{i // 6},{i % 6},{i % 7},{'up' if i // 6 % 2 else 'down'}\n" for i in range(180))
    (whole / "bare.csv").write_text(steps)
    main.add(whole / "bare.csv", target="3", sequence_id="0", time_step="1", header=False)
    block = (project / "params.yaml").read_text().partition("  bare:\n")[2]
    assert "    series: '0'\n    step: '1'\n" in block
    assert "    format: {header: false}\n" in block


def test_sources_of_the_code_are_read_once(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    text = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: read.append(path) or text(path, *a, **k))
    main.add(whole / "rows.csv", target="outcome")
    sources = [path for path in read if path.suffix == ".py"]
    assert len(sources) == len(set(sources))


def test_what_fails_writes_nothing(whole: Path, project: Path) -> None:
    """Of dvc.yaml that is none it is known before the source is copied."""
    before = (project / "params.yaml").read_text()
    (project / "dvc.yaml").unlink()
    with pytest.raises(FileNotFoundError):
        main.add(whole / "rows.csv", target="outcome")
    assert (project / "params.yaml").read_text() == before
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "params.yaml"]


def test_adding_does_not_ask_for_examples(whole: Path, project: Path) -> None:
    example = project / "examples/odd/params.yaml"
    example.parent.mkdir(parents=True)
    example.write_text("datasets: 3\n")
    main.add(whole / "rows.csv", target="outcome")
    assert "  rows:\n" in (project / "params.yaml").read_text()


@pytest.mark.usefixtures("whole")
def test_an_example_that_breaks_the_schema_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = project / "examples/odd/params.yaml"
    example.parent.mkdir(parents=True)
    example.write_text("datasets: 3\n")
    before = (project / "dvc.yaml").read_text()
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("  mlp:\n", "  other:\n", 1))
    code, told = run(monkeypatch, capsys, "wire")
    assert (code, told.count("\n")) == (2, 1)
    assert told.startswith(f"error: {example}: ")
    assert (project / "dvc.yaml").read_text() == before


def test_a_folder_that_is_copied_is_called_one(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, shade in (("a", 30), ("b", 200)):
        (whole / "pets" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), shade + i).save(whole / "pets" / name / f"{i}.png")
    main.add(whole / "pets")
    assert "data/raw/pets is a new folder of git's" in capsys.readouterr().out


def test_a_folder_with_a_link_in_a_circle_leaves_nothing(
    whole: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shade in (("a", 30), ("b", 200)):
        (whole / "loops" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), shade + i).save(whole / "loops" / name / f"{i}.png")
    (whole / "loops/a/loop").symlink_to("loops")
    code, told = run(monkeypatch, capsys, "add", str(whole / "loops"))
    assert (code, told.count("\n")) == (2, 1)
    assert "the link a/loop leads out or nowhere" in told
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "dvc.yaml", "params.yaml"]


def test_below_the_project_it_is_found(whole: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "notes").mkdir()
    (project / "notes/rows.csv").write_text(ROWS)
    monkeypatch.chdir(project / "notes")
    main.add(Path("rows.csv"), target="outcome")
    assert "source: notes/rows.csv" in (project / "params.yaml").read_text()
    assert not (project / "notes/params.yaml").exists()


def test_in_a_file_each_line_is_there_once_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stdout", log)
        monkeypatch.setattr("sys.argv", ["fivefold", "--help"])
        with pytest.raises(SystemExit):
            main.main()
        print("so far")
        assert (tmp_path / "log").read_text().endswith("so far\n")
