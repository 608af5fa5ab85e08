"""`python -m medinfer.manifest` prints the JSON Schema of `model.json`."""

from .model import json_schema

print(json_schema(), end="")
