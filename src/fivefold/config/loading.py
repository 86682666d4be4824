"""Load params.yaml: parse YAML 1.2, merge each model's `training` into the base, validate."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from .. import paths
from ..errors import ParamsError, format_value
from .renames import RENAMED_VALUES, find_renamed_key
from .schema import Params, find_conflicts

Tree = dict[str, Any]

ROOT = "the file"
"""Name of the top level in messages."""

ENCODER_LOCATION = ("select", "autoencoder", "model")
"""Location of a misplaced key: the encoder of a model is set by `depends_on`."""


def load_params(path: Path = paths.PARAMS) -> Params:
    """Return the validated contents of `path`.

    Raises:
        ParamsError: the file is missing, is not YAML, or violates the schema; the message describes the first error.
    """
    return parse_params(read_yaml(path), path)


def read_yaml(path: Path = paths.PARAMS) -> Tree:
    """Return the contents of `path` as plain dicts and lists, parsed like DVC does.

    Raises:
        ParamsError: the file cannot be read, or is not a YAML mapping.
    """
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path} must exist, but does not; run the command in the root of the project") from None
    except OSError as error:
        raise ParamsError(f"{path} must be a readable file, but is not: {error.strerror}; fix it") from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split("To suppress")[0].split())
        raise ParamsError(f"{path} must be YAML 1.2 in UTF-8, but is not: {reason}; fix that line") from None
    if not isinstance(tree, dict):
        raise ParamsError(
            f"{path} must contain the blocks seed, training, datasets and models, but contains {format_value(tree)};"
            " add them"
        )
    return tree


def parse_params(tree: Tree, path: Path = paths.PARAMS) -> Params:
    """Validate the contents of params.yaml, as returned by `read_yaml`.

    Raises:
        ParamsError: describes the first error: dotted key, rule, value and remedy.
    """
    _require_plain_values(tree, path)
    try:
        params = _validate(apply_training_defaults(tree))
    except ValidationError as error:
        raise ParamsError(f"{path}: {_format_error(error)}") from None
    for key, problem in find_conflicts(params):
        raise ParamsError(f"{path}: {key}: {problem}")
    return params


def find_unknown_keys(tree: Tree) -> list[str]:
    """Return the dotted keys of a tree, as returned by `read_yaml`, that the schema does not define."""
    try:
        _validate(apply_training_defaults(tree))
    except ValidationError as error:
        unknown = (each["loc"] for each in error.errors(include_url=False) if each["type"] == "extra_forbidden")
        return [".".join(_resolve_location(location)[0]) for location in unknown]
    return []


def _validate(tree: Tree) -> Params:
    # strict mode accepts a list for a tuple only in JSON
    return Params.model_validate_json(json.dumps(tree))


def _require_plain_values(value: object, path: Path, key: str = ROOT, ancestors: tuple[int, ...] = ()) -> None:
    """Reject YAML values without JSON equivalent: dates, binary, non-string keys, recursive aliases."""
    if id(value) in ancestors:
        raise ParamsError(f"{path}: {key} must not contain itself, but does; replace the alias by its value")
    match value:
        case dict():
            for name, item in value.items():
                _require_plain_values(name, path, f"a key of {key}")
                _require_plain_values(item, path, name if key == ROOT else f"{key}.{name}", (*ancestors, id(value)))
                if not isinstance(name, str):
                    raise ParamsError(f"{path}: a key of {key} must be a string, but is {name!r}; quote it")
        case list():
            for i, item in enumerate(value):
                _require_plain_values(item, path, f"{key}.{i}", (*ancestors, id(value)))
        case str() if value.isprintable() or value.isascii():
            pass
        case None | bool() | int() | float():
            pass
        case _:
            raise ParamsError(f"{path}: {key} must be a printable string or a number, but is {value!r}; quote it")


def merge_blocks(base: Mapping[str, Any], override: Mapping[str, Any]) -> Tree:
    """Return `base` recursively updated by `override`; a block with a different `name` replaces that of the base."""
    if override.get("name", base.get("name")) != base.get("name"):
        return dict(override)
    merged = {
        key: merge_blocks(base[key], override[key]) for key in override if _are_blocks(base.get(key), override[key])
    }
    return {**base, **override, **merged}


def _are_blocks(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def apply_training_defaults(tree: Tree) -> Tree:
    """Return a tree, as returned by `read_yaml`, with each model's `training` merged into the base."""
    base, models = tree.get("training"), tree.get("models")
    if not _are_blocks(base, models):
        return tree
    merged = {
        name: {**model, "training": merge_blocks(base, model["training"])}  # type: ignore[arg-type]
        if _are_blocks(model) and _are_blocks(model.get("training"))
        else model
        for name, model in models.items()  # type: ignore[union-attr]
    }
    return {**tree, "models": merged}


def _format_error(error: ValidationError) -> str:
    """Return the first error as one line: dotted key, rule, value, remedy."""
    problems = error.errors(include_url=False)
    # an error in the base is repeated for every model that inherits it: report the base
    first = min(problems, key=lambda problem: problem["loc"][0] == "models")
    location, value = first["loc"], first["input"]
    if first["type"].startswith("union_tag"):
        location = (*location, first["ctx"]["discriminator"].strip("'"))
    path, known_keys = _resolve_location(location)
    key = ".".join(path) or ROOT
    if location[-1:] == ("[key]",) and len(location) == 3:
        key = f"a name under `{location[0]}`"
    match first["type"]:
        case "missing" | "union_tag_not_found":
            old_keys = value if isinstance(value, dict) else {}
            old = next((old for old in old_keys if find_renamed_key(old, path[-1:])), None)
            text = f"{key} is required, but is missing; add it"
            if old is not None:
                text = f"{'.'.join([*path[:-1], old])} was renamed; use {key}"
        case "extra_forbidden":
            text = f"{key} is not a known key, but is set to {format_value(value)}; "
            if new := find_renamed_key(path[-1], known_keys):
                text = f"{key} was renamed; use {'.'.join([*path[:-1], new])}"
            elif location[-3:] == ENCODER_LOCATION:
                text += f"set `depends_on: {value}` next to `select`"
            elif similar := get_close_matches(path[-1], known_keys, n=1):
                text += f"did you mean {similar[0]!r}?"
            else:
                text += "remove it; params.schema.json lists the keys"
        case "union_tag_invalid":
            text = f"{key} must be one of {first['ctx']['expected_tags']}, but is {first['ctx']['tag']!r}; "
            text += _value_remedy(path[-1], first["ctx"]["tag"]) or "choose one of them"
        case "literal_error" if location[-1] == "[key]" and (new := find_renamed_key(value, first["ctx"]["expected"])):
            text = f"{key} was renamed; use {'.'.join([*path[:-1], new])}"
        case _:
            message = first["msg"].replace("an object", "a block of keys")
            rule = re.sub(r"^\w+ should |,? after validation.*", "", message)
            text = f"{key} must {rule[0].lower()}{rule[1:]}, but is {format_value(value)}; "
            text += _value_remedy(path[-1] if path else "", value) or "change it"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{text}{more}".replace("\n", r"\n")


def _value_remedy(key: str, value: object) -> str | None:
    """Return what a former value of a key is called now; None if it was not renamed."""
    renamed = RENAMED_VALUES.get(key, {})
    return f"{value!r} is now {renamed[value]!r}" if isinstance(value, str) and value in renamed else None


def _resolve_location(location: tuple[int | str, ...]) -> tuple[list[str], set[str]]:
    """Return the keys of the file on the way to a pydantic location, and the keys of the block that contains it.

    A location also contains the tags of unions, which are no keys of the file; the JSON schema identifies them.
    """
    node: Any = Params.model_json_schema()
    blocks, path, keys = node["$defs"], list[str](), set[str]()
    for depth, part in enumerate(location):
        node = _resolve_ref(node, blocks)
        if part in (tags := node.get("discriminator", {}).get("mapping", {})):
            node = {"$ref": tags[part]} if isinstance(tags[part], str) else tags[part]
            continue
        keys = set(node.get("properties", {}))
        inner = [*node.get("patternProperties", {}).values(), node.get("additionalProperties"), node.get("items")]
        child = node.get("properties", {}).get(part) or next(filter(None, inner), None)
        if child is not None or (depth == len(location) - 1 and part != "[key]"):
            path.append(str(part))
            node = child or {}
    return path, keys


def _resolve_ref(node: Any, definitions: Tree) -> Any:
    """Return the definition that a node of the JSON schema refers to; for an optional type, the type without null."""
    while "$ref" in node or "anyOf" in node:
        node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node["anyOf"][0]
    return node
