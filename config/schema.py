"""The JSON Schema of a document, for editors: what its specs say, with their descriptions, defaults and old names."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from tidewaiter.config.descriptions import description, property_descriptions
from tidewaiter.config.parts import choices_of, models_of, types_of, written_names
from tidewaiter.config.spec import REFERENCE, OneOf, TypedSpec
from tidewaiter.config.typenames import is_current, short_name

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that the language servers of editors know best (docs/decisions/0006)."""

_PLACE = "#/definitions/{model}"


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """Give the JSON Schema of documents for *model*. Each spec is in it once; task types refer to each other."""
    models = models_of(model)
    for inner in models:
        inner.model_rebuild()
    names, made = models_json_schema([(inner, "validation") for inner in models], by_alias=True, ref_template=_PLACE)
    definitions = made["$defs"]
    keys = {inner: str(names[inner, "validation"]["$ref"]).rpartition("/")[2] for inner in models}
    for inner, key in keys.items():
        _complete(definitions[key], inner)
    choices = {id(choice): f"OneOf{number}" for number, choice in enumerate(choices_of(models), start=1)}
    definitions |= {choices[id(choice)]: _choice(choice, keys) for choice in choices_of(models)}
    whole = {key: _finished(definition, choices) for key, definition in definitions.items()}
    recursive = any(model in choice.specs for choice in choices_of(models))
    root = whole[keys[model]] if recursive else whole.pop(keys[model])
    return {"$schema": DRAFT, **root, "title": title, "definitions": whole}


def definition_keys(models: Sequence[type[BaseModel]]) -> dict[type[BaseModel], str]:
    """The key of each of *models* among the definitions of a schema that has them all."""
    names, _ = models_json_schema([(inner, "validation") for inner in models], by_alias=True, ref_template=_PLACE)
    return {inner: str(names[inner, "validation"]["$ref"]).rpartition("/")[2] for inner in models}


def _complete(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add what pydantic does not tell: descriptions, old names, and what is accepted without effect."""
    schema["description"] = description(model)
    properties = schema.setdefault("properties", {})
    told = property_descriptions(model)
    for name, field in model.model_fields.items():
        current, *former = written_names(name, field)
        own = properties[current]
        own.pop("title", None)
        if not field.is_required():
            own = properties[current] = _or_null(own)
        if name in told:
            own["description"] = told[name]
        properties |= {old: {**own, **_outdated(f"now '{current}'")} for old in former}
        if former and field.is_required():
            schema["required"].remove(current)
            schema["anyOf"] = [{"required": [written]} for written in (current, *former)]
    if "type" in properties and types_of(model):
        properties["type"] |= _names(types_of(model))
    ignored: Mapping[str, str] = getattr(model, "IGNORED", {})
    properties |= {name: _outdated(f"no effect here: {reason}") for name, reason in ignored.items()}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Accept ``null``, which counts as not written; in a form in which mistakes are still told where they are."""
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        choices = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, **choices, "type": [*kinds, "null"]}
    if "anyOf" in schema and {"type": "null"} not in schema["anyOf"]:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema


def _choice(choice: OneOf, keys: Mapping[type[BaseModel], str]) -> dict[str, Any]:
    """Let ``type`` decide: an editor then tells the mistakes of that spec, not that none of many fits."""
    names = _names(choice.accepted_names)
    cases = [_case(spec, keys[spec]) for spec in choice.specs]
    return {"type": "object", "required": ["type"], "properties": {"type": names}, "allOf": cases}


def _case(spec: type[TypedSpec], key: str) -> dict[str, Any]:
    chosen = {"properties": {"type": {"enum": list(spec.accepted_names())}}}
    return {"if": chosen, "then": {"$ref": _PLACE.format(model=key)}}


def _names(names: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of a type's name: editors offer the present ones and mark the old."""
    old = [name for name in names if name.startswith("io.") and not is_current(name)]
    short_of_old = {short_name(name) for name in old}
    offered = {"enum": [name for name in names if name not in old and name not in short_of_old]}
    former = {"enum": [*old, *(name for name in names if name in short_of_old and name not in old)]}
    if not old:
        return {"type": "string", **offered}
    marked = {**former, "deprecated": True, "deprecationMessage": "an old name", "doNotSuggest": True}
    return {"type": "string", "anyOf": [offered, marked]}


def _outdated(message: str) -> dict[str, Any]:
    return {"description": message, "deprecated": True, "deprecationMessage": message, "doNotSuggest": True}


def _finished(value: Any, choices: Mapping[int, str]) -> Any:
    """Put references in the place of choices; draft 7 wants a reference to stand alone."""
    if isinstance(value, list):
        return [_finished(item, choices) for item in value]
    if not isinstance(value, dict):
        return value
    done = {key: _finished(item, choices) for key, item in value.items() if key not in {REFERENCE, "discriminator"}}
    if REFERENCE in value:
        done["$ref"] = _PLACE.format(model=choices[value[REFERENCE]])
    if "$ref" in done and len(done) > 1:
        return {"allOf": [{"$ref": done.pop("$ref")}], **done}
    return done
