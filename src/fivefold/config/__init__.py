"""The schema of params.yaml. Imports pydantic and nothing heavier, since every stage imports it."""
