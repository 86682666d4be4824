"""JSON schema of params.yaml, for completion and validation in editors."""

from typing import Any

from .schema import Params


def build_json_schema() -> dict[str, Any]:
    """Return the schema of the file as written: the `training` block of a model contains overrides only."""
    schema = Params.model_json_schema()
    blocks = schema["$defs"]
    blocks["TrainingOverride"] = _make_optional(blocks["Training"], blocks)
    blocks["Model"]["properties"]["training"]["$ref"] = "#/$defs/TrainingOverride"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _make_optional(node: Any, definitions: dict[str, Any]) -> Any:
    """Return a schema node in which, recursively, no key is required and none has a default."""
    match node:
        case {"$ref": str(reference)}:
            return _make_optional(definitions[reference.rpartition("/")[2]], definitions)
        case dict():
            properties = {
                key: part for key, part in node.items() if key not in ("required", "default", "discriminator")
            }
            # without its discriminator a block can match several members of a union
            return {
                "anyOf" if key == "oneOf" else key: _make_optional(part, definitions)
                for key, part in properties.items()
            }
        case list():
            return [_make_optional(part, definitions) for part in node]
    return node
