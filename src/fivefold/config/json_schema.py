"""The JSON schema of params.yaml, with which an editor completes and checks it."""

from typing import Any

from .schema import Params


def build_json_schema() -> dict[str, Any]:
    """Return the schema of the file as a person writes it: a model's `training` need not repeat the base."""
    schema = Params.model_json_schema()
    blocks = schema["$defs"]
    blocks["TrainingOverride"] = _make_optional(blocks["Training"], blocks)
    blocks["Model"]["properties"]["training"]["$ref"] = "#/$defs/TrainingOverride"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _make_optional(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a block in which no key is required and none has a default, blocks within it too."""
    match node:
        case {"$ref": str(place)}:
            return _make_optional(definitions[place.rpartition("/")[2]], definitions)
        case dict():
            kept = {key: part for key, part in node.items() if key not in ("required", "default", "discriminator")}
            # without its discriminating key a block may be each of several
            return {"anyOf" if key == "oneOf" else key: _make_optional(part, definitions) for key, part in kept.items()}
        case list():
            return [_make_optional(part, definitions) for part in node]
    return node
