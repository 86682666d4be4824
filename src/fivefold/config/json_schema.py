"""The JSON schema of params.yaml, with which an editor completes and checks it."""

from typing import Any

from .schema import Params


def json_schema() -> dict[str, Any]:
    """Return the schema of the file as a person writes it: a model's `training` need not repeat the base."""
    schema = Params.model_json_schema()
    blocks = schema["$defs"]
    blocks["TrainingOverride"] = _partial(blocks["Training"], blocks)
    blocks["Model"]["properties"]["training"]["$ref"] = "#/$defs/TrainingOverride"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _partial(node: Any, blocks: dict[str, Any]) -> Any:
    """Return a block in which no key is required and none has a default, blocks within it too."""
    match node:
        case {"$ref": str(place)}:
            return _partial(blocks[place.rpartition("/")[2]], blocks)
        case dict():
            kept = {key: part for key, part in node.items() if key not in ("required", "default", "discriminator")}
            # without its discriminating key a block may be each of several
            return {"anyOf" if key == "oneOf" else key: _partial(part, blocks) for key, part in kept.items()}
        case list():
            return [_partial(part, blocks) for part in node]
    return node
