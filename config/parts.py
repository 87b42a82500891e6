"""The parts of a document that specs describe, as far as their types are known: flows as they are written."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from tidewaiter.config.document import Path
from tidewaiter.config.spec import OneOf, TypedSpec
from tidewaiter.config.typenames import current_name, is_current, short_name


@dataclass(frozen=True, slots=True)
class Part:
    """
    A map in a document and the model that describes it.

    *spec* is None where its ``type`` selects none of those there are; *owner* is the nearest part around it.
    """

    path: Path
    data: Mapping[str, Any]
    spec: type[BaseModel] | None
    owner: "Part | None" = None

    def owners(self) -> Iterator["Part"]:
        """The parts around it, the nearest first."""
        if self.owner is not None:
            yield self.owner
            yield from self.owner.owners()

    @property
    def renamed(self) -> str | None:
        """The present name of its type, if it is written with an old one."""
        written = self.data.get("type")
        names: tuple[str, ...] = getattr(self.spec, "NAMES", ())
        if not isinstance(written, str) or written not in names or is_current(written):
            return None
        current = current_name(names, written)
        return current if is_current(current) else None

    def old_names(self) -> Iterator[tuple[str, str]]:
        """The properties that are written with an old name, each with the present one."""
        for name, field in (self.spec.model_fields if self.spec else {}).items():
            current, *former = written_names(name, field)
            yield from ((old, current) for old in former if old in self.data and current not in self.data)

    def fields(self) -> Iterator[tuple[str, FieldInfo]]:
        """The properties that are written here and known, by the names under which they are written."""
        for name, field in (self.spec.model_fields if self.spec else {}).items():
            yield from ((key, field) for key in written_names(name, field) if key in self.data)


def written_names(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The names of a property in YAML, the present one first."""
    alias = field.validation_alias or field.alias or name
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias),)


def annotation_of(field: FieldInfo) -> Any:
    """The whole annotation of a property; pydantic keeps its parts apart."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def parts(
    data: Any, model: type[BaseModel], path: Path = (), owner: Part | None = None, along: Path | None = None
) -> Iterator[Part]:
    """
    Every part of *data*, a document for *model*, outer ones before inner ones; with *along* only those on the way to
    that place. Nothing has to be valid in it.
    """
    if not isinstance(data, Mapping):
        return
    part = Part(path, data, model, owner)
    yield part
    wanted = dict(_steps(data, path, along))
    for key, field in part.fields():
        if key in wanted:
            yield from _within(annotation_of(field), data[key], (*path, key), part, along)


def _steps(value: Mapping[str, Any] | list[Any], path: Path, along: Path | None) -> Iterable[tuple[Any, Any]]:
    """Give what is in *value*, which stands at *path*: all of it, or only what is next on the way *along*."""
    if along is None:
        return value.items() if isinstance(value, Mapping) else enumerate(value)
    step = along[len(path)] if len(along) > len(path) else None
    if isinstance(value, Mapping):
        return [(step, value[step])] if isinstance(step, str) and step in value else []
    return [(step, value[step])] if isinstance(step, int) and step in range(len(value)) else []


def _within(annotation: Any, value: Any, path: Path, owner: Part, along: Path | None) -> Iterator[Part]:
    shapes = list(shapes_of(annotation))
    if isinstance(value, Mapping):
        yield from _of_map(shapes, value, path, owner, along)
    elif isinstance(value, list):
        items = [inner for shape in shapes if get_origin(shape) in {tuple, list} for inner in get_args(shape)]
        for index, item in _steps(value, path, along):
            for inner in items:
                yield from _within(inner, item, (*path, index), owner, along)


def _of_map(shapes: list[Any], value: Mapping[str, Any], path: Path, owner: Part, along: Path | None) -> Iterator[Part]:
    choice = next((shape for shape in shapes if isinstance(shape, OneOf)), None)
    models = [shape for shape in shapes if isinstance(shape, type) and issubclass(shape, BaseModel)]
    if choice is not None:
        spec = choice.selected(value)
        yield from parts(value, spec, path, owner, along) if spec else (Part(path, value, None, owner),)
    elif models:
        yield from parts(value, _fitting(models, value), path, owner, along)
    else:
        for inner in (get_args(shape)[1] for shape in shapes if get_origin(shape) is dict):
            for key, item in _steps(value, path, along):
                yield from _within(inner, item, (*path, key), owner, along)


def shapes_of(annotation: Any) -> Iterator[Any]:
    """The alternatives of *annotation*: unions and annotations opened; a `OneOf` stands for all its specs."""
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        choices = [item for item in metadata if isinstance(item, OneOf)]
        yield from choices or shapes_of(inner)
    elif get_origin(annotation) in {Union, UnionType}:
        for inner in get_args(annotation):
            yield from shapes_of(inner)
    else:
        yield annotation


def _fitting(models: list[type[BaseModel]], value: Mapping[str, Any]) -> type[BaseModel]:
    """The one of *models* whose ``type`` may be the one written; the first if none says so."""
    written = value.get("type")
    return next((model for model in models if written in types_of(model)), models[0])


def choices_of(models: Iterable[type[BaseModel]]) -> list[OneOf]:
    """Every `OneOf` in the properties of *models*, each once."""
    found = (
        choice
        for model in models
        for field in model.model_fields.values()
        for choice in _choices_in(annotation_of(field))
    )
    return list(dict.fromkeys(found))


def _choices_in(annotation: Any) -> Iterator[OneOf]:
    for shape in shapes_of(annotation):
        if isinstance(shape, OneOf):
            yield shape
        else:
            yield from (choice for inner in get_args(shape) for choice in _choices_in(inner))


def models_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """*model* and every model that may stand in it, at any depth, each once."""
    found = {model: None}
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            new = [inner for inner in _models_in(annotation_of(field)) if inner not in found]
            found |= dict.fromkeys(new)
            waiting += new
    return list(found)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    for shape in shapes_of(annotation):
        if isinstance(shape, OneOf):
            yield from shape.specs
        elif isinstance(shape, type) and issubclass(shape, BaseModel):
            yield shape
        else:
            yield from (model for inner in get_args(shape) for model in _models_in(inner))


def types_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The values of ``type`` that *model* answers to; none for a model that is not chosen by it."""
    if issubclass(model, TypedSpec):
        return model.accepted_names()
    names = getattr(model, "NAMES", ())
    field = model.model_fields.get("type")
    if names or field is None:
        return (*names, *map(short_name, names))
    return tuple(map(str, get_args(field.annotation))) if get_origin(field.annotation) is Literal else ()
