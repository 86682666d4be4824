"""The schema of params.yaml: pydantic and nothing heavier, since every stage pays for importing it."""
