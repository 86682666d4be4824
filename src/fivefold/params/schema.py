"""The JSON schema of params.yaml, with which an editor completes and checks it."""

import json

from .root import Params


def json_schema() -> str:
    """Return the schema as indented JSON text, ending in a newline."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Params.model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"
