"""Examples, put together from those of a schema's parts."""

from collections.abc import Mapping
from typing import Any


def example_of(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Any:
    """A value that the schema fits; None where its parts show none.

    An object has its required members, and others that have an example of their own.

    >>> parts = {"Id": {"type": "string", "examples": ["job_1"]}}
    >>> example_of({"type": "object", "properties": {"id": {"$ref": "#/components/schemas/Id"}}, "required": ["id"]}, parts)
    {'id': 'job_1'}
    """
    if "$ref" in schema:
        return example_of(components[schema["$ref"].rpartition("/")[2]], components)
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example_of(schema["anyOf"][0], components)
    match schema.get("type"):
        case "array":
            one = example_of(schema["items"], components)
            return [] if one is None else [one]
        case "object" if "properties" in schema:
            return {
                name: example_of(part, components)
                for name, part in schema["properties"].items()
                if name in schema.get("required", ()) or _shows(part)
            }
        case "boolean":
            return True
        case "integer" | "number":
            return schema.get("default", 0)
    return schema.get("default")


def _shows(schema: Mapping[str, Any]) -> bool:
    return "examples" in schema or any("examples" in one for one in schema.get("anyOf", ()))
