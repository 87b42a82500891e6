"""What a property takes, said in a few words from its JSON Schema."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tidewaiter.config.fields import DURATION_PATTERN, SIZE_PATTERN

_WORDS: Mapping[str, str] = MappingProxyType(
    {"string": "text", "integer": "whole number", "object": "map", "boolean": "true or false"}
)
_NAMED: Mapping[str | None, str] = MappingProxyType({DURATION_PATTERN: "duration", SIZE_PATTERN: "size"})


def type_words(schema: Mapping[str, Any], links: Mapping[str, str]) -> str:
    """Say what *schema* accepts, in Markdown. *links* gives what to write for a definition, by its key."""
    schema = _without_null(schema)
    if "$ref" in schema or "allOf" in schema:
        reference = schema.get("$ref") or schema["allOf"][0]["$ref"]
        return links[str(reference).rpartition("/")[2]]
    if "anyOf" in schema or "oneOf" in schema:
        return _alternatives(schema.get("anyOf") or schema["oneOf"], links)
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_words(schema.get('items', {}), links)}"
    if isinstance(schema.get("additionalProperties"), Mapping):
        return f"map of {type_words(schema['additionalProperties'], links)}"
    return _NAMED.get(schema.get("pattern")) or _plain(schema)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """That ``null`` counts as not written need not be said of every property."""
    if not isinstance(schema.get("type"), list) or "null" not in schema["type"]:
        return schema
    kinds = [kind for kind in schema["type"] if kind != "null"]
    values = {"enum": [value for value in schema["enum"] if value is not None]} if "enum" in schema else {}
    return {**schema, **values, "type": kinds if len(kinds) > 1 else kinds[0]}


def _alternatives(schemas: list[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    told = [
        type_words(schema, links)
        for schema in schemas
        if schema.get("type") != "null" and schema.get("title") != "expression" and not schema.get("deprecated")
    ]
    return " or ".join(sorted(dict.fromkeys(told), key=lambda words: words.startswith(("list", "map"))))


def _plain(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "anything")
    if "const" in schema:
        return f"`{schema['const']}`"
    words = "text" if isinstance(kind, list) else _WORDS.get(kind, kind)
    limits = {"minimum": "at least", "exclusiveMinimum": "more than", "maximum": "at most"}
    told = [f"{word} {schema[name]:g}" for name, word in limits.items() if name in schema]
    return f"{words}, {' and '.join(told)}" if told else words


def default_words(schema: Mapping[str, Any], *, required: bool) -> str:
    """Say what counts when the property is left out, in Markdown; empty for nothing."""
    value = schema.get("default")
    if required:
        return "**required**"
    if value in (None, [], {}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`".replace("\n", "\\n")
