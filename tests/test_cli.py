"""The command `fivefold`: errors are one line, former names are rejected, `add` writes params.yaml and dvc.yaml."""

import re
import shutil
import socket
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from fivefold import __version__
from fivefold.cli import main

ROOT = Path(__file__).parents[1]
ROWS = "size,outcome\n" + "".join(f"{i % 17},{'up' if i % 17 > 8 else 'down'}\n" for i in range(60))


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command line; return exit code and stderr."""
    monkeypatch.setattr("sys.argv", ["fivefold", *arguments])
    with pytest.raises(SystemExit) as end:
        main.main()
    return int(end.value.code or 0), capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty project, the working directory."""
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "command", [["sync"], ["ui"], ["dvc-update"], ["check"], ["generate", "poet"], ["cv", "mlp"], ["results"]]
)
def test_outside_a_project_nothing_is_written(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = run(monkeypatch, capsys, *command)
    assert code == 2
    assert error == (
        f"error: the command must run in a project, but there is no .dvc in {tmp_path} or a parent folder;"
        " change to the project\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("options", [["--port", "99999"], ["--host", "no such host"]])
def test_invalid_address_is_reported_in_one_line(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = run(monkeypatch, capsys, "ui", *options)
    assert code == 1
    assert "must be a free address of this machine, but is not: " in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("project")
def test_port_in_use_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, error = run(monkeypatch, capsys, "ui", "--port", port)
    assert code == 1
    assert f"127.0.0.1:{port} must be a free address" in error


@pytest.mark.usefixtures("project")
def test_lr_find_needs_prepared_data(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "params.yaml").write_text((Path(__file__).parents[1] / "params.yaml").read_text())
    code, error = run(monkeypatch, capsys, "lr-find", "mlp")
    assert code == 1
    assert error.endswith("must exist, but do not; run `dvc repro select_features@mlp`\n")
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "params.yaml"]


@pytest.fixture
def source_dir(project: Path) -> Path:
    """Return a folder with a data file outside a project with params.yaml and dvc.yaml."""
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, project)
    folder = project.with_name(f"{project.name}_sources")
    folder.mkdir()
    (folder / "rows.csv").write_text(ROWS)
    return folder


def test_added_file_is_in_params_yaml_and_dvc_yaml(source_dir: Path, project: Path) -> None:
    main.add(source_dir / "rows.csv", target="outcome")
    assert "  rows:\n" in (project / "params.yaml").read_text()
    assert "reports/rows/tables/confusion_matrix.csv" in (project / "dvc.yaml").read_text()
    assert (project / "data/raw/rows.csv").read_text() == ROWS
    written = (project / "dvc.yaml").read_text()
    main.dvc_update()
    assert (project / "dvc.yaml").read_text() == written


def test_options_of_add_are_written(source_dir: Path, project: Path) -> None:
    rows = "".join(f"{i},{i % 7},{i % 2}\n" for i in range(60))
    (source_dir / "timed.csv").write_text(f"tick,x,y\n{rows}")
    main.add(source_dir / "timed.csv", task="regression", time="tick", header=True)
    split = "    split: {by: time, column: tick, validation: 0.15, test: 0.15}\n"
    assert split in (project / "params.yaml").read_text()
    steps = "".join(f"{i // 6},{i % 6},{i % 7},{'up' if i // 6 % 2 else 'down'}\n" for i in range(180))
    (source_dir / "bare.csv").write_text(steps)
    main.add(source_dir / "bare.csv", target="3", sequence_id="0", time_step="1", header=False)
    block = (project / "params.yaml").read_text().partition("  bare:\n")[2]
    assert "    sequence_id: '0'\n    time_step: '1'\n" in block
    assert "    format: {header: false}\n" in block


def test_source_code_is_read_once(source_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    text = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda path, *a, **k: read.append(path) or text(path, *a, **k))
    main.add(source_dir / "rows.csv", target="outcome")
    sources = [path for path in read if path.suffix == ".py"]
    assert len(sources) == len(set(sources))


def test_failed_add_writes_nothing(source_dir: Path, project: Path) -> None:
    """A missing dvc.yaml is detected before the source is copied."""
    before = (project / "params.yaml").read_text()
    (project / "dvc.yaml").unlink()
    with pytest.raises(FileNotFoundError):
        main.add(source_dir / "rows.csv", target="outcome")
    assert (project / "params.yaml").read_text() == before
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "params.yaml"]


def test_add_ignores_invalid_examples(source_dir: Path, project: Path) -> None:
    example = project / "examples/odd/params.yaml"
    example.parent.mkdir(parents=True)
    example.write_text("datasets: 3\n")
    main.add(source_dir / "rows.csv", target="outcome")
    assert "  rows:\n" in (project / "params.yaml").read_text()


@pytest.mark.usefixtures("source_dir")
def test_invalid_example_is_reported(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = project / "examples/odd/params.yaml"
    example.parent.mkdir(parents=True)
    example.write_text("datasets: 3\n")
    before = (project / "dvc.yaml").read_text()
    (project / "params.yaml").write_text((project / "params.yaml").read_text().replace("  mlp:\n", "  other:\n", 1))
    code, error = run(monkeypatch, capsys, "dvc-update")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith(f"error: {example}: ")
    assert (project / "dvc.yaml").read_text() == before


def test_copied_folder_is_reported_as_a_folder(source_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, shade in (("a", 30), ("b", 200)):
        (source_dir / "pets" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), shade + i).save(source_dir / "pets" / name / f"{i}.png")
    main.add(source_dir / "pets")
    assert "data/raw/pets is a new folder in the git repository" in capsys.readouterr().out


def test_folder_with_a_cyclic_link_is_not_copied(
    source_dir: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shade in (("a", 30), ("b", 200)):
        (source_dir / "loops" / name).mkdir(parents=True)
        for i in range(20):
            Image.new("L", (8, 8), shade + i).save(source_dir / "loops" / name / f"{i}.png")
    (source_dir / "loops/a/loop").symlink_to("loops")
    code, error = run(monkeypatch, capsys, "add", str(source_dir / "loops"))
    assert (code, error.count("\n")) == (2, 1)
    assert "the link a/loop points outside or to nothing" in error
    assert sorted(path.name for path in project.iterdir()) == [".dvc", "dvc.yaml", "params.yaml"]


def test_add_in_a_subfolder_finds_the_project(source_dir: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "notes").mkdir()
    (project / "notes/rows.csv").write_text(ROWS)
    monkeypatch.chdir(project / "notes")
    main.add(Path("rows.csv"), target="outcome")
    assert "source: notes/rows.csv" in (project / "params.yaml").read_text()
    assert not (project / "notes/params.yaml").exists()


def test_each_line_is_written_at_once_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "log").open("w") as log:
        monkeypatch.setattr("sys.stdout", log)
        monkeypatch.setattr("sys.argv", ["fivefold", "--help"])
        with pytest.raises(SystemExit):
            main.main()
        print("first line")
        assert (tmp_path / "log").read_text().endswith("first line\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lr", "mlp"], "`fivefold lr` was renamed; use `fivefold lr-find`"),
        (["sample", "poet"], "`fivefold sample` was renamed; use `fivefold generate`"),
        (["wire"], "`fivefold wire` was renamed; use `fivefold dvc-update`"),
        (["study", "adopt", "mlp"], "`fivefold study adopt` was renamed; use `fivefold study apply`"),
        (["add", "a.csv", "--accept"], "option --accept of `fivefold add` was renamed; use --skip-invalid"),
        (["add", "a.csv", "--series", "s"], "option --series of `fivefold add` was renamed; use --sequence-id"),
        (["add", "a.csv", "--step=t"], "option --step of `fivefold add` was renamed; use --time-step"),
        (["study", "run", "m", "--stack"], "option --stack of `fivefold study run` was renamed; use --vectorize"),
        (
            ["study", "worker", "m", "--no-stack"],
            "option --no-stack of `fivefold study worker` was renamed; use --no-vectorize",
        ),
    ],
    ids=" ".join,
)
def test_former_name_is_rejected_with_the_new_one(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, capsys, *arguments) == (2, f"error: {message}\n")


def test_version() -> None:
    result = CliRunner().invoke(main.app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"fivefold {__version__}\n")


def test_shell_completion_is_available() -> None:
    assert "--install-completion" in CliRunner().invoke(main.app, ["--help"]).output


def test_help_lists_every_command_in_the_order_of_use() -> None:
    help_text = CliRunner().invoke(main.app, ["--help"]).output
    commands = ("add", "check", "lr-find", "cv", "study", "results", "ui", "generate", "dvc-update", "schema", "sync")
    listed = re.findall(r"^│ ([a-z][a-z-]*) ", help_text, re.MULTILINE)
    assert tuple(listed) == commands
    assert "Train, tune, evaluate and export neural networks" in help_text


@pytest.mark.parametrize("command", [[], ["add"], ["cv"], ["study"], ["study", "run"], ["study", "apply"]], ids=str)
def test_flags_have_no_type_in_the_help(command: list[str]) -> None:
    help_text = CliRunner().invoke(main.app, [*command, "--help"]).output
    assert "--help" in help_text
    assert "<bool>" not in help_text
