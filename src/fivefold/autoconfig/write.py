"""Insert blocks into params.yaml, without changing existing lines."""

import difflib
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from .. import paths
from ..config.loading import parse_params, read_yaml
from ..config.schema import Params
from ..errors import ParamsError

LINE_WIDTH = 78
"""`dvc exp run -S` rewrites longer lines."""


def insert_blocks(text: str, name: str, dataset: dict[str, Any], model: dict[str, Any]) -> tuple[str, Params]:
    """Return params.yaml, as text and parsed, with `datasets.<name>` and `models.<name>` appended to their sections.

    Raises:
        ParamsError: the name is already in use.
    """
    for section, block in (("datasets", dataset), ("models", model)):
        tree = YAML(typ="rt").load(text)
        if name in tree[section]:
            raise ParamsError(
                f"{section}.{name} must be a new name, but exists in params.yaml; choose another with --name"
            )
        text = _insert_lines(text, tree, section, _render_block(name, block))
    return text, parse_params(YAML(typ="safe", pure=True).load(text))


def render_diff(before: str, after: str) -> str:
    """Return a unified diff of params.yaml."""
    pair = (before.splitlines(keepends=True), after.splitlines(keepends=True))
    return "".join(difflib.unified_diff(*pair, "params.yaml", "params.yaml", n=1))


def require_unused_name(name: str, path: Path = paths.PARAMS) -> None:
    """Raise a `ParamsError` if a name is already in use, before the source is read."""
    tree = read_yaml(path)
    for section in ("datasets", "models"):
        if name in tree.get(section, {}):
            raise ParamsError(f"{section}.{name} must be a new name, but exists in {path}; choose another with --name")


def _insert_lines(text: str, tree: Any, section: str, block: list[str]) -> str:
    """Insert lines after the last line of a section, before the blank lines and comments of the next one."""
    lines = text.splitlines(keepends=True)
    following = [tree.lc.key(key)[0] for key in tree if tree.lc.key(key)[0] > tree.lc.key(section)[0]]
    end = min(following, default=len(lines))
    while end > 0 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    if lines[end - 1] and not lines[end - 1].endswith("\n"):
        lines[end - 1] += "\n"
    return "".join([*lines[:end], *block, *lines[end:]])


def _render_block(name: str, block: dict[str, Any]) -> list[str]:
    """Return the lines of a block below its name: nested mappings in block style, flat ones in flow style."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # flow style for flat mappings; the stub only allows True and False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = LINE_WIDTH
    text = StringIO()
    yaml.dump({name: {**block}}, text)
    return [f"  {line}\n" for line in text.getvalue().splitlines()]
