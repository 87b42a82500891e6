"""
What every written thing (flow, task, trigger) has in common: a frozen model, templated properties, types with several
names.

A property declared ``Dynamic[T]`` may be written as an expression. Until `concrete` is called it then holds a
`Template`; the type checker sees plain ``T``, because code below `concrete` never meets a template (design.md §3,
"render once").
"""

import functools
import json
import operator
import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from tidewaiter.config.errors import ExpressionError, PropertyError
from tidewaiter.config.typenames import KESTRA_PREFIX, current_name, short_name

T = TypeVar("T")

Render = Callable[[str], str]
"""Turns the source text of one expression into its value."""

REFERENCE = "x-one-of"
"""In a JSON Schema being made: the place of a choice's own schema, by the identity of its `OneOf`."""

_CONCRETE = {"concrete": True}
_OPENING = re.compile(r"\{[{%]")
_OBJECT = re.compile(r"\bobject\b")
_SECRET = re.compile("secret|token|password|passphrase|key", re.IGNORECASE)


class Spec(BaseModel):
    """A part of a flow as its author wrote it: frozen, no unknown properties, camelCase names in YAML."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
        coerce_numbers_to_str=True,
        # Most specs are only ever validated as part of a flow, whose own schema contains theirs.
        defer_build=True,
    )

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Properties of Kestra's that may be written and have no effect here, and why they have none."""

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, value: Any) -> Any:
        """Leave out what has no effect here, and what is written as ``null``: it counts as not written."""
        if not isinstance(value, Mapping):
            return value
        return {name: item for name, item in value.items() if item is not None and name not in cls.IGNORED}


def misfit(name: str, problem: str, hint: str) -> PydanticCustomError:
    """Make the error of a spec whose property *name* does not fit its others; it is shown at that property."""
    return PydanticCustomError(
        "misfit", "property '{property}': {problem}", {"property": name, "problem": problem, "hint": hint}
    )


class TypedSpec(Spec):
    """
    A spec chosen by its ``type`` property.

    *NAMES* are the full type names it answers to, the current one of each kind first, older aliases after it. Each
    also answers to its short name: without ``io.kestra.plugin.`` and without ``core.`` or ``scripts.`` (design.md
    §2).
    """

    NAMES: ClassVar[tuple[str, ...]] = ()

    id: str
    """Its name."""
    type: str
    """The name of its type."""

    @classmethod
    def accepted_names(cls) -> tuple[str, ...]:
        """Every spelling of ``type`` that selects this spec, full names first."""
        return (*cls.NAMES, *(short_name(name) for name in cls.NAMES if name.startswith(KESTRA_PREFIX)))

    @classmethod
    def current_name(cls, written: str) -> str:
        """Give the present full name for *written*, one of the accepted names."""
        return current_name(cls.NAMES, written)


class OneOf:
    """
    Annotation for a property that holds one of several typed specs, selected by ``type``.

    ``Annotated[TaskSpec, OneOf((Log, Return))]`` accepts every name of every given spec. Its own errors are
    ``type_missing`` and ``type_unknown``, the latter with the names there are. Only specs that a document uses are ever
    made ready by pydantic: most flows use few of many, and a command should start at once.

    *specs* may be a function that gives them, asked once when the first document is read: tasks contain tasks.
    """

    def __init__(self, specs: Sequence[type[TypedSpec]] | Callable[[], Sequence[type[TypedSpec]]]) -> None:
        self._source = specs

    @functools.cached_property
    def specs(self) -> tuple[type[TypedSpec], ...]:
        """The specs to choose from."""
        return tuple(self._source() if callable(self._source) else self._source)

    @functools.cached_property
    def _by_name(self) -> Mapping[str, type[TypedSpec]]:
        return {name: spec for spec in self.specs for name in spec.accepted_names()}

    @property
    def accepted_names(self) -> tuple[str, ...]:
        """Every name of every spec."""
        return tuple(self._by_name)

    @property
    def names(self) -> Mapping[str, str]:
        """The current full name behind every accepted name."""
        return {name: spec.current_name(name) for name, spec in self._by_name.items()}

    def selected(self, value: Any) -> type[TypedSpec] | None:
        """The spec that the ``type`` of *value* selects, None without one."""
        written = value.get("type") if isinstance(value, Mapping) else None
        return self._by_name.get(written) if isinstance(written, str) else None

    def _validate(self, value: Any, info: ValidationInfo) -> TypedSpec:
        if isinstance(value, TypedSpec):
            return value
        spec = self.selected(value)
        if spec is None and isinstance(value, Mapping) and isinstance(value.get("type"), str):
            raise PydanticCustomError("type_unknown", "unknown type", {"known": list(self._by_name)})
        if spec is None:
            raise PydanticCustomError("type_missing", "type is missing")
        return spec.model_validate(value, context=info.context, by_alias=True, by_name=False)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Stand for the choice: `tidewaiter.config.schema` puts its schema there, for task types contain each other."""
        return {REFERENCE: id(self)}


@dataclass(frozen=True, slots=True)
class Template:
    """A property as written, with at least one expression in it: a string, or a list or map with strings inside."""

    source: Any


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    """The source text of a property that sees ``object``, and so has another value for each object."""

    source: str


def has_expression(text: str) -> bool:
    """Tell whether *text* needs rendering; text without an opening delimiter is returned as is by Kestra, too."""
    return "{{" in text or "{%" in text or "{#" in text


def mentions_object(text: str) -> bool:
    """Tell whether an expression in *text* may look at ``object``. That word in a mere string counts, harmlessly."""
    return any(_OBJECT.search(expression) for expression in expressions_in(text))


def expressions_in(text: str) -> Iterator[str]:
    """Give each expression in *text* with its delimiters; nothing more where one is not closed."""
    at = 0
    while opening := _OPENING.search(text, at):
        end = text.find("}}" if opening[0] == "{{" else "%}", opening.end()) + 2
        if end < 2:
            return
        yield text[opening.start() : end]
        at = end


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(key)
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)


class _DynamicMarker:
    """
    Holds the value back as a `Template` while it has expressions; afterwards validates it like the type itself.

    Text that looks like JSON is accepted for lists and maps, since Kestra's ``Property<List>`` may be one rendered
    string. *per_object*: a text that looks at ``object`` becomes an `ObjectTemplate`, which `concrete` lets pass.
    """

    def __init__(self, *, per_object: bool = False) -> None:
        self._per_object = per_object

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Nobody writes an ObjectTemplate: errors and the schema for editors speak of the rest of the union.
        written = [member for member in get_args(source) if member is not ObjectTemplate] if self._per_object else []
        schema = handler.generate_schema(functools.reduce(operator.or_, written)) if written else handler(source)
        return core_schema.with_info_wrap_validator_function(self._validate, schema)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Accept an expression, and JSON text for lists and maps, beside the type itself."""
        return _or_expression(handler(schema))

    def _validate(self, value: Any, inner: Callable[[Any], Any], info: ValidationInfo) -> Any:
        if isinstance(value, Template | ObjectTemplate):
            return value
        if not (info.context or {}).get("concrete") and any(map(has_expression, _strings(value))):
            each = self._per_object and isinstance(value, str) and mentions_object(value)
            return ObjectTemplate(value) if each else Template(value)
        try:
            return inner(value)
        except ValidationError:
            parsed = _json(value)
            if parsed is None:
                raise
            return inner(parsed)


def _or_expression(schema: dict[str, Any]) -> dict[str, Any]:
    """Let *schema* accept the texts that `_DynamicMarker` does: expressions, and what reads as the value."""
    choices = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    if any(choice.keys() <= {"type"} and "string" in choice.get("type", "string") for choice in choices):
        return schema
    kinds = {kind for choice in choices if isinstance(kind := choice.get("type"), str)}
    pattern = r"\{[{%#]"
    if kinds & {"array", "object"}:
        pattern += r"|^\s*[\[{]"
    if kinds & {"integer", "number"}:
        pattern += r"|^[-+]?\d+(\.\d+)?$"
    return {"anyOf": [*choices, {"type": "string", "pattern": pattern, "title": "expression"}]}


def takes_expressions(field: FieldInfo) -> bool:
    """Tell whether a property is declared ``Dynamic`` or ``PerObject``."""
    return any(isinstance(item, _DynamicMarker) for item in field.metadata)


def _json(value: Any) -> Any:
    """Parse *value* when it is the text of a JSON list or map; None otherwise."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(value)
    except ValueError:
        return None


Dynamic = Annotated[T, _DynamicMarker()]
"""``Dynamic[int]``: an int, or an expression that renders to one."""


PerObject = Annotated[T | ObjectTemplate, _DynamicMarker(per_object=True)]
"""``PerObject[str]``: text, an expression rendered like any `Dynamic` one, or one that sees ``object``."""


class NotYet:
    """
    Annotation for a property of Kestra that Tidewaiter does not have: any value but the harmless ones is an error.

    *instead* completes "… is not supported yet: ".
    """

    def __init__(self, instead: str, *, harmless: tuple[Any, ...] = ()) -> None:
        self._instead = instead
        self._harmless = (None, *harmless)

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._refuse, core_schema.any_schema())

    def _refuse(self, value: Any) -> None:
        if not any(value is harmless or value == harmless for harmless in self._harmless):
            raise PydanticCustomError("not_yet", "is not supported yet: {instead}", {"instead": self._instead})


S = TypeVar("S", bound=Spec)


def concrete(spec: S, render: Render, only: Container[str] | None = None) -> S:
    """
    Give *spec* with every template of its own replaced by its rendered value; child tasks keep theirs until they run.

    *only* restricts this to some properties (by their Python names), for a task whose properties become due at
    different moments.

    Idempotent: a spec without templates is returned as is. Rendered text is data and is never looked at for
    expressions again.

    Raises:
        ExpressionError: an expression failed; the message starts with the property's name.
        PropertyError: a rendered value does not fit the property's type.
    """
    if not any(_own_templates(spec)):
        return spec
    values = {name: getattr(spec, name) for name in spec.model_fields_set}
    for name, value in values.items():
        if only is None or name in only:
            values[name] = _rendered(value, render, type(spec).model_fields[name].alias or name)
    try:
        return type(spec).model_validate(values, context=_CONCRETE, by_name=True)
    except ValidationError as error:
        raise PropertyError(_mismatch(error)) from error


def _own_templates(spec: Spec) -> Iterator[Template]:
    for name in spec.model_fields_set:
        value = getattr(spec, name)
        if isinstance(value, Template):
            yield value
        elif isinstance(value, Spec) and not isinstance(value, TypedSpec):
            yield from _own_templates(value)


def _rendered(value: Any, render: Render, name: str) -> Any:
    if isinstance(value, Template):
        return _tree(value.source, render, name)
    if isinstance(value, Spec) and not isinstance(value, TypedSpec):
        return concrete(value, render)
    return value


def _tree(source: Any, render: Render, name: str) -> Any:
    """Render every string of *source*, map keys included, keeping its shape."""
    if isinstance(source, str):
        return _one(source, render, name)
    if isinstance(source, Mapping):
        return {_tree(key, render, name): _tree(item, render, f"{name}.{key}") for key, item in source.items()}
    if isinstance(source, list | tuple):
        return [_tree(item, render, f"{name}[{index}]") for index, item in enumerate(source)]
    return source


def _one(source: str, render: Render, name: str) -> str:
    if not has_expression(source):
        return source
    try:
        return render(source)
    except ExpressionError as error:
        raise type(error)(f"property '{name}': {error.message}", error.hint) from error


def _mismatch(error: ValidationError) -> str:
    """Say what is wrong. The value is shown only where it is a plain one: a whole spec has credentials in it."""
    first = error.errors(include_url=False)[0]
    if not first["loc"]:
        return str(first["msg"])
    name = ".".join(str(part) for part in first["loc"])
    plain = isinstance(first["input"], str | int | float) and not _SECRET.search(name)
    got = f", got {str(first['input'])[:120]!r}" if plain else ""
    return f"property '{name}': {first['msg'].replace('Input should', 'should')}{got} after rendering"
