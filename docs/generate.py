"""Write docs/reference from the JSON schema of params.yaml and from the command line.

`python docs/generate.py` writes the pages; `--check` writes nothing and ends with code 1 if a page is not current.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main
from typer.core import TyperArgument

from fivefold.cli.main import app
from fivefold.config.json_schema import build_json_schema

FOLDER = Path(__file__).parent / "reference"
Schema = dict[str, Any]

DISCRIMINATORS = ("kind", "family", "architecture", "method", "by", "name")
"""Keys whose constant value distinguishes the blocks that are possible in one position."""

MAX_DEFAULT_LENGTH = 80
"""Longer defaults are those of a block, whose keys are in a table of their own."""

BOUNDS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters", "maxLength": "at most {} characters",
    "minItems": "at least {} items", "maxItems": "at most {} items", "pattern": "matches `{}`",
}  # fmt: skip


def render_params() -> str:
    """Return the page with every key of params.yaml: type, default, bounds and meaning."""
    schema = build_json_schema()
    page = _ParamsPage(schema["$defs"])
    datasets, models = (
        next(iter(schema["properties"][key]["patternProperties"].values())) for key in ("datasets", "models")
    )
    page.lines += [
        "# Reference of params.yaml",
        "",
        "Generated from the JSON schema (`params.schema.json`) by `make docs`; do not edit. A key without a default is",
        "required. Names of datasets and models match `^[a-z0-9][a-z0-9_-]{0,62}$`.",
        "",
        "## Top level",
        "",
    ]
    names = ("datasets", "models")  # their blocks have tables of their own
    page.add_table({**schema, "properties": schema["properties"] | {key: {"type": "object"} for key in names}})
    page.add_group(
        "training", "The base of every model. A model's own `training` overrides any part of it.", ["Training"]
    )
    page.add_group("datasets", "One block per dataset: `datasets.<name>`.", _refs(datasets))
    page.add_group("models", "One block per model: `models.<name>`.", _refs(models), without=("network", "training"))
    page.add_group(
        "network",
        "`models.<name>.network`: a block of one family.",
        _refs(page.definitions["Model"]["properties"]["network"]),
    )
    return "\n".join(page.lines) + "\n"


class _ParamsPage:
    """Lines of the page, and the blocks that have a heading already."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self.definitions = definitions
        self.lines: list[str] = []
        self.headings: dict[str, str] = {}

    def add_group(self, key: str, text: str, names: list[str], without: tuple[str, ...] = ()) -> None:
        """Add a section with these blocks and the blocks within them."""
        self.lines += [f"## {key}", "", text, ""]
        waiting = [(key, name) for name in names]
        for key_of_block, name in waiting:  # blocks that are found in the table of another one are appended
            block = self.definitions[name]
            if len(names) > 1 or name not in names:
                self.lines += [f"### {self.heading(key_of_block, name)}", ""]
            if text := _prose(block.get("description", "")):
                self.lines += [text, ""]
            for child, value in block.get("properties", {}).items():
                for inner in _refs(value):
                    if child not in without and inner not in self.headings and inner != "TrainingOverride":
                        self.heading(child, inner)
                        waiting.append((child, inner))
            self.add_table(block)

    def heading(self, key: str, name: str) -> str:
        """Return the heading of a block: its key, and the values that distinguish it."""
        properties = self.definitions[name].get("properties", {})
        values = [word for key in DISCRIMINATORS if key in properties for word in _constants(properties[key])]
        heading = " ".join([key, ", ".join(values)]).strip()
        return self.headings.setdefault(name, f"network {heading}" if heading in self.headings.values() else heading)

    def add_table(self, block: Schema) -> None:
        """Add the table of the keys of a block."""
        properties = block.get("properties", {})
        if len(properties) <= 1 and any("const" in value for value in properties.values()):
            return
        self.lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        for key, value in properties.items():
            default = "" if key in block.get("required", ()) else _format_default(value)
            bounds = "; ".join(dict.fromkeys(_bounds(value)))
            meaning = _cell("; ".join(filter(None, (value.get("description", ""), bounds))))
            self.lines.append(f"| `{key}` | {self.type_of(value)} | {default} | {meaning} |")
        self.lines.append("")

    def type_of(self, value: Schema) -> str:
        """Return the type of a value in words, with links to blocks."""
        match value:
            case {"$ref": str(ref)}:
                return self.link(ref.rpartition("/")[2])
            case {"const": constant}:
                return f"`{_literal(constant)}`"
            case {"enum": list(values)}:
                return ", ".join(f"`{_literal(each)}`" for each in values)
            case {"oneOf": list(parts)} | {"anyOf": list(parts)}:
                return " or ".join(dict.fromkeys(self.type_of(part) for part in parts))
            case {"type": "array", "prefixItems": list(parts)}:
                return f"[{', '.join(self.type_of(part) for part in parts)}]"
            case {"type": "array"}:
                return f"list of {self.type_of(value.get('items', {}))}"
            case {"type": "object", "additionalProperties": dict(inner)} if inner:
                return f"mapping to {self.type_of(inner)}"
            case {"type": "object"}:
                return "mapping"
            case {"type": str(name)}:
                return {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "null"}[name]
        return "any"

    def link(self, name: str) -> str:
        """Return a link to the heading of a block."""
        if name in ("Training", "TrainingOverride"):
            return "[training](#training)"
        block = self.definitions[name]
        if "properties" not in block:
            return self.type_of(block)
        heading = self.headings.get(name)
        if heading is None:
            return "[network](#network)" if "family" in block["properties"] else name
        return f"[{heading}](#{slug(heading)})"


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and MkDocs build it."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _refs(node: Any) -> list[str]:
    """Return the names of the blocks that a value may be, in order."""
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if "$ref" in node else []
        return list(
            dict.fromkeys(
                [*own, *(name for key, part in node.items() if key != "discriminator" for name in _refs(part))]
            )
        )
    return [name for part in node for name in _refs(part)] if isinstance(node, list) else []


def _constants(value: Schema) -> list[str]:
    return [str(value["const"])] if "const" in value else [str(each) for each in value.get("enum", ())]


def _bounds(value: Schema) -> Iterator[str]:
    for key, text in BOUNDS.items():
        if key in value:
            yield text.format(value[key])
    for part in (*value.get("anyOf", ()), *([value["items"]] if isinstance(value.get("items"), dict) else ())):
        yield from _bounds(part)


def _format_default(value: Schema) -> str:
    if "default" not in value:
        return "" if "const" in value else "optional"
    text = _literal(value["default"])
    return f"`{text}`" if len(text) <= MAX_DEFAULT_LENGTH else "see there"


def _literal(value: Any) -> str:
    match value:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[value]
        case "":
            return "''"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{key}: {_literal(inner)}' for key, inner in value.items())}}}"
    return str(value)


def _prose(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    return _prose(text).replace("|", "\\|").replace("<", "&lt;")


def render_cli() -> str:
    """Return the page with every command, its arguments and options."""
    lines = [
        "# CLI reference",
        "",
        "Generated from the command line by `make docs`; do not edit. `fivefold COMMAND --help` prints the same.",
        "",
    ]
    for name, command in _commands("fivefold", typer.main.get_command(app)):
        lines += [f"## {name}", "", _prose(command.help or ""), "", "```text", _usage(name, command), "```", ""]
        rows = [_param_row(param) for param in command.params if param.name != "help"]
        if rows:
            lines += ["| parameter | default | meaning |", "|---|---|---|", *rows, ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Yield each command that does something, groups expanded."""
    if hasattr(command, "commands"):
        for key, inner in command.commands.items():
            yield from _commands(f"{name} {key}", inner)
    else:
        yield name, command


def _usage(name: str, command: Any) -> str:
    arguments = [
        (param.name.upper() if param.required else f"[{param.name.upper()}]") + ("..." if param.nargs == -1 else "")
        for param in command.params
        if isinstance(param, TyperArgument)
    ]
    return " ".join([name, *arguments, "[OPTIONS]"] if len(arguments) < len(command.params) else [name, *arguments])


def _param_row(param: Any) -> str:
    if isinstance(param, TyperArgument):
        title = f"`{param.name}`"
    else:
        title = ", ".join(f"`{option}`" for option in (*param.opts, *param.secondary_opts))
        annotation = param.type_descriptor.annotation
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        title += f" {' or '.join(f'`{choice}`' for choice in choices)}" if choices else ""
    unset = param.default is None or param.default is False or param.default == ""
    default = "required" if param.required else "" if unset else f"`{_literal(param.default)}`"
    return f"| {title} | {default} | {_cell(param.help or '')} |"


def main() -> int:
    """Write the pages, or with `--check` name those that are not current; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if a page is not current")
    check, status = parser.parse_args().check, 0
    for name, render in {"params.md": render_params, "cli.md": render_cli}.items():
        path, text = FOLDER / name, render()
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            print(f"docs/reference/{name} is not current; run `make docs`")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
