"""The command `fivefold`: what a person mistypes ends in one line."""

import socket
from pathlib import Path

import pytest

from fivefold import cli


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["fivefold", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0), capsys.readouterr().err


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", [["sync"], ["ui"], ["wire"], ["check"], ["sample", "poet"]])
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
