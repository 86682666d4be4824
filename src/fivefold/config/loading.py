"""Read params.yaml: YAML 1.2, each model's `training` laid over the base, everything checked."""

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
from .schema import Params, find_conflicts

Tree = dict[str, Any]

ENCODER_LOCATION = ("select", "autoencoder", "model")
"""Where a model may look for its encoder, which stands under `uses`."""


def load_params(path: Path = paths.PARAMS) -> Params:
    """Read and check `path`.

    Raises:
        ParamsError: the file is missing, is not YAML, or breaks the schema; the first offence is named.
    """
    return parse_params(read_yaml(path), path)


def read_yaml(path: Path = paths.PARAMS) -> Tree:
    """Read `path` as plain dicts and lists, as DVC reads it."""
    try:
        tree = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{path} must exist, but does not; run this in the project's root") from None
    except OSError as error:
        raise ParamsError(f"{path} must be a file that can be read, but is not: {error.strerror}; mend that") from None
    except (YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split("To suppress")[0].split())
        raise ParamsError(f"{path} must be YAML 1.2 in UTF-8, but is not: {reason}; mend that line") from None
    if not isinstance(tree, dict):
        raise ParamsError(
            f"{path} must hold the blocks seed, training, datasets and models, but holds {format_value(tree)}; write them"
        )
    return tree


def parse_params(tree: Tree, path: Path = paths.PARAMS) -> Params:
    """Check a tree as `read_tree` returns it of `path`.

    Raises:
        ParamsError: the first offence, with dotted key, value, rule and remedy.
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
    """Return the dotted keys of a tree, as `read_tree` returns it, that the schema does not know where they stand."""
    try:
        _validate(apply_training_defaults(tree))
    except ValidationError as error:
        problems = error.errors(include_url=False)
        return [".".join(_resolve_location(each["loc"])[0]) for each in problems if each["type"] == "extra_forbidden"]
    return []


def _validate(tree: Tree) -> Params:
    # through JSON, where a list may become a tuple although the schema is strict
    return Params.model_validate_json(json.dumps(tree))


def _require_plain_values(value: object, path: Path, key: str = "the whole", ancestors: tuple[int, ...] = ()) -> None:
    """Refuse what YAML can say and JSON cannot: dates, binary, keys that are no text, a block within itself."""
    if id(value) in ancestors:
        raise ParamsError(f"{path}: {key} must not contain itself, but does; write it out without an alias")
    match value:
        case dict():
            for inner, part in value.items():
                _require_plain_values(inner, path, f"a key of {key}")
                _require_plain_values(
                    part, path, inner if key == "the whole" else f"{key}.{inner}", (*ancestors, id(value))
                )
                if not isinstance(inner, str):
                    raise ParamsError(f"{path}: a key of {key} must be text, but is {inner!r}; put it in quotes")
        case list():
            for i, part in enumerate(value):
                _require_plain_values(part, path, f"{key}.{i}", (*ancestors, id(value)))
        case str() if value.isprintable() or value.isascii():
            pass
        case None | bool() | int() | float():
            pass
        case _:
            raise ParamsError(f"{path}: {key} must be plain text or a number, but is {value!r}; put it in quotes")


def merge_blocks(base: Mapping[str, Any], override: Mapping[str, Any]) -> Tree:
    """Lay `over` over `base`, block by block; a block that gives itself another `name` replaces the base's."""
    if override.get("name", base.get("name")) != base.get("name"):
        return dict(override)
    both = {
        key: merge_blocks(base[key], override[key]) for key in override if _are_blocks(base.get(key), override[key])
    }
    return {**base, **override, **both}


def _are_blocks(*values: object) -> bool:
    return all(isinstance(value, Mapping) for value in values)


def apply_training_defaults(tree: Tree) -> Tree:
    """Return a tree as `read_tree` returns it, each model's `training` laid over the base."""
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
    problems = error.errors(include_url=False)
    # a fault in the base shows again in every model that inherits it: the base comes first
    first = min(problems, key=lambda problem: problem["loc"][0] == "models")
    location = first["loc"]
    if first["type"].startswith("union_tag"):
        location = (*location, first["ctx"]["discriminator"].strip("'"))
    path, keys = _resolve_location(location)
    key = ".".join(path) or "the whole"
    if first["loc"][-1:] == ("[key]",) and len(first["loc"]) == 3:
        key = f"a name under `{first['loc'][0]}`"
    value = first["input"]
    match first["type"]:
        case "missing" | "union_tag_not_found":
            text = f"{key} is required, but is missing; add it"
        case "extra_forbidden":
            wrong = str(first["loc"][-1])
            near = get_close_matches(wrong, keys, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "remove it; params.schema.json lists the keys"
            if first["loc"][-3:] == ENCODER_LOCATION:
                remedy = f"write `uses: {value}` beside `select`"
            text = f"{key} is not a known key, but holds {format_value(value)}; {remedy}"
        case "union_tag_invalid":
            tags, tag = first["ctx"]["expected_tags"], first["ctx"]["tag"]
            text = f"{key} must be one of {tags}, but is {tag!r}; choose one of them"
        case _:
            said = first["msg"].replace("an object", "a block of keys")
            rule = re.sub(r"^\w+ should |,? after validation.*", "", said)
            text = f"{key} must {rule[0].lower()}{rule[1:]}, but is {format_value(value)}; change it"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{text}{more}".replace("\n", r"\n")


def _resolve_location(location: tuple[int | str, ...]) -> tuple[list[str], set[str]]:
    """Return the keys of the file that lead to a pydantic location, and those that may stand where it ends.

    A location also names the tags of unions, for which no key stands in the file: the schema says which they are.
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
    """Return what a node of the JSON schema refers to; of something or null, the something."""
    while "$ref" in node or "anyOf" in node:
        node = definitions[node["$ref"].rpartition("/")[2]] if "$ref" in node else node["anyOf"][0]
    return node
