"""A YAML document to a validated model; every mistake of a file at once, each with line, column and remedy."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tidewaiter.config.defaults import with_defaults
from tidewaiter.config.descriptions import property_descriptions
from tidewaiter.config.document import Document, Path
from tidewaiter.config.errors import ConfigError, ExpressionError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.config.parts import parts, written_names
from tidewaiter.config.spec import expressions_in, has_expression

M = TypeVar("M", bound=BaseModel)

Specs = Mapping[Path, type[BaseModel] | None]
"""What describes each part of a document that is more than a plain value."""

# Text that is documentation, not input: never rendered, so never checked.
_PROSE = frozenset({"description", "displayName", "variables", "defaults", "extend"})

# Whoever has made so many mistakes does not read on; what is near each is not looked for endlessly.
_MOST_PROBLEMS = 100

_TASK_GROUPS = ("tasks", "errors", "finally", "afterExecution")
_DASHED = re.compile(r"\b(inputs|outputs)\.(\w+(?:-\w+)+)")

_KNOWN_PROPERTIES = "'tidewaiter schema' tells what each property takes"
_EXPRESSIONS = (
    "an expression is {{ ... }} in Kestra's language; text that is none goes between {% raw %} and {% endraw %}"
)
_KNOWN_TYPES = "'tidewaiter schema' lists the types there are"

_WORDINGS = (
    (re.compile("^Value error, "), ""),
    (re.compile("^Input should"), "should"),
    (re.compile("should be a valid dictionary or (?:instance of .*|object to extract fields from)"), "should be a map"),
    (re.compile("should be a valid dictionary"), "should be a map"),
    (re.compile("should be a valid (?:tuple|list)"), "should be a list"),
    (re.compile("should be a valid string"), "should be text"),
    (re.compile("(?:Tuple|List) should have at least 1 item.*"), "needs at least one entry"),
    (re.compile("String should have at least 1 character"), "must not be empty"),
)
"""Pydantic speaks of Python's types; authors of flows know those of YAML."""

PLANNED_TYPES = (
    "io.kestra.plugin.core.",
    "io.kestra.core.tasks.",
    "io.kestra.core.models.",
    "io.kestra.plugin.aws.s3.",
    "io.kestra.plugin.minio.",
    "io.kestra.plugin.git.",
    "io.kestra.plugin.fs.http.",
)
"""Families of types that belong to the job; the ones not done yet are refused as such."""


def validate(
    document: Document,
    model: type[M],
    expressions: Expressions | None = None,
    types: Mapping[str, str] | None = None,
) -> M:
    """
    Make *model* from *document*, checking the syntax of every expression in it when *expressions* is given. With
    *types*, the current name behind each type's name, the document's plugin defaults are filled in first.

    Raises:
        ConfigError: with every problem found.
    """
    problems = [*document.problems, *duplicate_ids(document)]
    if expressions is not None:
        problems += [*_bad_expressions(document, expressions), *_subtractions(document)]
    if not isinstance(document.data, Mapping):
        raise ConfigError(
            [
                *problems,
                document.problem((), "the file is empty" if document.data is None else "expected a map of properties"),
            ]
        )
    try:
        data = document.data if types is None else with_defaults(document.data, types)
        result = model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as error:
        own = (details for details in error.errors(include_url=False) if _own(details))
        problems += [_problem(document, model, details) for details in islice(own, _MOST_PROBLEMS)]
        _fail(problems)
    if problems:
        _fail(problems)
    return result


def _fail(problems: Iterable[Problem]) -> NoReturn:
    raise ConfigError(list(dict.fromkeys(problems))[:_MOST_PROBLEMS])


def _own(details: ErrorDetails) -> bool:
    """Tell whether an error is one of its own, not "too short" for a list whose items are wrong."""
    return details["type"] != "too_short" or not details["input"]


def duplicate_ids(document: Document) -> Iterator[Problem]:
    """Find tasks that share an id anywhere in the flow, and triggers that do: outputs are addressed by it."""
    if not isinstance(document.data, Mapping):
        return
    for groups in (_TASK_GROUPS, ("triggers",), ("inputs",), ("outputs",)):
        first: dict[str, Path] = {}
        for path, identifier in (found for group in groups for found in _ids(document.data.get(group), (group,))):
            if identifier in first:
                line = document.positions[first[identifier]][0]
                message = f"id '{identifier}' is used twice, first in line {line}"
                yield document.problem(path, message, "give each its own id")
            first.setdefault(identifier, path)


def _ids(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """The ids of the specs in a list, and of those nested in their own lists of specs."""
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from _ids_of(item, (*path, index))


def _ids_of(item: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if not isinstance(item, Mapping):
        return
    if isinstance(item.get("id"), str):
        yield (*path, "id"), item["id"]
    for key in ("tasks", "then", "else", "defaults", "errors", "finally"):
        yield from _ids(item.get(key), (*path, key))
    cases = item.get("cases")
    for case, tasks in cases.items() if isinstance(cases, Mapping) else ():
        yield from _ids(tasks, (*path, "cases", case))
    yield from _ids_of(item.get("task"), (*path, "task"))  # of a Dag


def _bad_expressions(document: Document, expressions: Expressions) -> Iterator[Problem]:
    for path, text in document.strings(_PROSE):
        if not has_expression(text):
            continue
        try:
            expressions.check(text)
        except ExpressionError as error:
            yield document.problem(path, error.message, error.hint or _EXPRESSIONS)


def _subtractions(document: Document) -> Iterator[Problem]:
    """
    Find ``inputs.my-key`` and ``outputs.my-task``, which subtract ``key`` from ``inputs.my``, where ``my-key`` is the
    id of an input or ``my-task`` that of a task (Kestra 1.1 refuses them, too).
    """
    data = document.data if isinstance(document.data, Mapping) else {}
    tasks = (found for group in _TASK_GROUPS for found in _ids(data.get(group), (group,)))
    known = {
        "inputs": {name for _, name in _ids(data.get("inputs"), ("inputs",))},
        "outputs": {name for _, name in tasks},
    }
    for path, text in document.strings(_PROSE):
        for root, name in _dashed(text):
            if name in known[root]:
                message = f"{root}.{name} is a subtraction: a name with dashes needs brackets"
                yield document.problem(path, message, f"write {root}['{name}']")


def _dashed(text: str) -> list[tuple[str, str]]:
    return [found for expression in expressions_in(text) for found in _DASHED.findall(expression)]


def _problem(document: Document, model: type[BaseModel], details: ErrorDetails) -> Problem:
    """Say one of pydantic's errors in the words of a flow's author, at the place it is about."""
    path = _path(document.data, details["loc"])
    specs = {part.path: part.spec for part in parts(document.data, model, along=path)}
    kind = details["type"]
    if kind == "extra_forbidden":
        around = _path(document.data, details["loc"][:-1])
        return document.problem(path, *_unknown_property(specs.get(around), str(details["loc"][-1])), at_key=True)
    if kind == "misfit":
        return _misfit(document, path, details["ctx"])
    if kind == "type_unknown":
        return document.problem((*path, "type"), *_unknown_type(details))
    message, hint = _words(path, details)
    return document.problem(path, message, hint or _what_it_is(document, specs, details["loc"]))


def _what_it_is(document: Document, specs: Specs, loc: Path) -> str:
    """Say what the property at *loc* is for, in the words of the reference: the best advice on what to write there."""
    for length in range(len(loc) - 1, -1, -1):
        owner = specs.get(_path(document.data, loc[:length]))
        if owner is not None and isinstance(loc[length], str):
            names = {name: (name, field.alias) for name, field in owner.model_fields.items()}
            described = property_descriptions(owner)
            found = (described.get(name) for name, spellings in names.items() if loc[length] in spellings)
            return next(("it is: " + " ".join(text.split()) for text in found if text), _KNOWN_PROPERTIES)
    return _KNOWN_PROPERTIES


def _misfit(document: Document, path: Path, context: Mapping[str, Any]) -> Problem:
    """Place a `misfit` at the property that does not fit the others."""
    place = (*path, *context["property"].split("."))
    return document.problem(place, f"property '{context['property']}': {context['problem']}", context["hint"])


def _words(path: Path, details: ErrorDetails) -> tuple[str, str | None]:
    kind = details["type"]
    if kind == "missing":
        return f"property '{details['loc'][-1]}' is missing", None
    if kind == "type_missing" and isinstance(details["input"], Mapping):
        return "property 'type' is missing", "every task and trigger names its type"
    if kind == "type_missing":
        return f"should be a map of properties{_got(details)}", None
    if kind == "not_yet" and path and details["msg"].startswith("is not"):
        return f"property '{path[-1]}' {details['msg']}", None
    if kind in {"not_yet", "value_error"} or not (path and isinstance(path[-1], str)):
        return details["msg"].removeprefix("Value error, "), None
    return f"property '{path[-1]}': {_lower(details['msg'])}{_got(details)}", None


def _lower(message: str) -> str:
    for pattern, wording in _WORDINGS:
        message = pattern.sub(wording, message)
    return message[:1].lower() + message[1:]


def _got(details: ErrorDetails) -> str:
    value = details["input"]
    quoted = repr(value)[:60]
    return f", got {quoted}" if isinstance(value, str | int | float) and quoted not in details["msg"] else ""


def _path(data: Any, loc: Path) -> Path:
    """The parts of *loc* that are in the data: neither what is missing nor the name of a choice has a position."""
    path: list[str | int] = []
    for part in loc:
        if _has(data, part):
            data = data[part]
            path.append(part)
    return tuple(path)


def _has(data: Any, part: str | int) -> bool:
    return part in data if isinstance(data, Mapping) else isinstance(data, list) and part in range(len(data))


def _unknown_property(owner: type[BaseModel] | None, name: str) -> tuple[str, str | None]:
    known = [written_names(key, field)[0] for key, field in owner.model_fields.items()] if owner else []
    return f"unknown property '{name}'", _did_you_mean(name, known) or (
        f"known here: {', '.join(sorted(known))}" if known else None
    )


def _unknown_type(details: ErrorDetails) -> tuple[str, str | None]:
    written, names = details["input"]["type"], details["ctx"]["known"]
    if written.startswith(PLANNED_TYPES) and not difflib.get_close_matches(written, names, n=1, cutoff=0.95):
        return f"type '{written}' is not supported here yet", _KNOWN_TYPES
    return f"unknown type '{written}'", _did_you_mean(written, names) or _KNOWN_TYPES


def _did_you_mean(name: str, known: Iterable[str]) -> str | None:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else None
