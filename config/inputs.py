"""The inputs of a flow (kestra.md §1.4): what may be given for each, and what becomes of what was given."""

import json
import math
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, model_validator

from tidewaiter.config.document import MAX_DEPTH, parse
from tidewaiter.config.errors import ExpressionError, TidewaiterError
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.java_regex import JavaRegex, compiled
from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import Id, Text, parse_duration
from tidewaiter.config.spec import Render, Spec, has_expression, misfit

InputType = Literal[
    "STRING", "ENUM", "SELECT", "INT", "FLOAT", "BOOLEAN", "BOOL", "DATETIME", "DATE", "TIME", "DURATION", "FILE",
    "JSON", "URI", "SECRET", "ARRAY", "MULTISELECT", "YAML", "EMAIL",
]  # fmt: skip

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_LONGEST_CHECKED = 10_000
_ORDERED = frozenset({"INT", "FLOAT", "DURATION", "DATE", "TIME", "DATETIME"})


class InputError(TidewaiterError):
    """What was given for a flow's inputs does not fit them."""


class DependsOn(Spec):
    """When an input is asked for at all: the inputs its condition looks at, and the condition."""

    inputs: tuple[str, ...] = ()
    """The inputs that *condition* looks at."""
    condition: str | None = None
    """An expression; if it is false, the input is not asked for and has no value."""


class Input(Spec):
    """
    One input of a flow.

    An execution that a bucket started has the defaults; one that is started by hand, by a schedule, by a webhook or by
    another flow has what it was given, and the defaults for the rest.
    """

    IGNORED = MappingProxyType({
        "isRadio": "it tells how a form shows the input",
        "prefill": "it tells how a form shows the input",
        "accept": "it tells how a form shows the input",
        "allowedFileExtensions": "it tells how a form shows the input",
    })  # fmt: skip

    id: Annotated[Id, Field(validation_alias=AliasChoices("id", "name"))]
    """Its name, as in ``inputs.name``."""
    type: InputType = "STRING"
    """What it may be."""
    description: str | None = None
    """For readers."""
    display_name: str | None = None
    """What a form calls it."""
    required: bool = True
    """Refuse an execution that is given nothing for it and that it has no default for."""
    defaults: Any = None
    """Its value when nothing is given."""
    depends_on: DependsOn | None = None
    """When it is asked for."""
    validator: str | None = None
    """A regular expression in Java's syntax that a STRING must match."""
    values: tuple[Text, ...] | None = None
    """What an ENUM, SELECT or MULTISELECT may be."""
    options: tuple[Text, ...] | None = None
    """An older name of *values*, for MULTISELECT."""
    expression: str | None = None
    """An expression that gives a list of what may be chosen."""
    allow_custom_value: bool = False
    """Accept what is not among those to choose from."""
    auto_select_first: bool = False
    """Take the first of *values* when nothing is given."""
    item_type: InputType | None = None
    """The type of what is in an ARRAY."""
    min: Any = None
    """The least an INT, FLOAT or DURATION may be."""
    max: Any = None
    """The most an INT, FLOAT or DURATION may be."""
    after: str | None = None
    """The earliest a DATE, TIME or DATETIME may be."""
    before: str | None = None
    """The latest a DATE, TIME or DATETIME may be."""
    extension: str | None = None
    """The extension that a FILE gets."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.type == "ARRAY" and self.item_type is None:
            raise misfit("type", "an ARRAY needs 'itemType'", "add itemType: STRING, for example")
        if self.item_type == "ARRAY":
            raise misfit("itemType", "cannot be ARRAY", "use type JSON for lists of lists")
        if self.type in {"ENUM", "SELECT", "MULTISELECT"} and not (self.choices or self.expression):
            raise misfit("type", f"a {self.type} needs 'values'", "list what may be chosen")
        if self.validator is not None:
            _check_pattern(self.validator)
        self._check_bounds()
        if self.type == "FILE" and isinstance(self.defaults, str) and "://" not in self.defaults:
            raise misfit(
                "defaults", "the default of a FILE must be the URI of a file", "for example nsfile:///data.csv"
            )
        return self

    def _check_bounds(self) -> None:
        """Make sure that values can be compared with what they must not be below or above."""
        for name in ("min", "max", "after", "before"):
            bound = getattr(self, name)
            if bound is None:
                continue
            if self.type not in _ORDERED:
                raise misfit(name, f"cannot be had by a {self.type}", f"it goes with {', '.join(sorted(_ORDERED))}")
            try:
                _comparable(self.type, bound)
            except (ValueError, TypeError, OverflowError):
                raise misfit(name, f"is not a value of type {self.type}", "give a number or an ISO-8601 text") from None

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be chosen, as written; an *expression* may give more."""
        return self.values or self.options or ()


def _check_pattern(pattern: str) -> None:
    try:
        compiled(pattern)
    except ExpressionError as error:
        raise misfit("validator", error.message, "see Java's Pattern for its syntax") from None


def typed_inputs(
    specs: Sequence[Input], given: Mapping[str, Any], render: Render, *, lenient: bool = False
) -> dict[str, Any]:
    """
    Give the value of every input by its id: what was *given*, else its default, converted to its type and checked.

    All values are JSON-like; moments, dates and durations stay ISO-8601 text. *lenient* leaves out what is required
    and missing, as Kestra does for executions that a polling trigger starts.

    Raises:
        InputError: with everything that does not fit.
        ExpressionError: a default or a condition cannot be rendered.
    """
    values: dict[str, Any] = {}
    problems = [f"there is no input '{name}'" for name in given if name not in {spec.id for spec in specs}]
    for spec in specs:
        if not _asked_for(spec, render):
            values[spec.id] = None
            continue
        raw = given[spec.id] if given.get(spec.id) is not None else _rendered(spec.defaults, render)
        if raw is None and spec.auto_select_first and spec.choices:
            raw = spec.choices[0]
        if raw is None and spec.required:
            problems += [] if lenient else [f"input '{spec.id}' is required"]
            continue
        try:
            values[spec.id] = None if raw is None else _checked(spec, _shallow(spec, raw), render)
        except ValueError as error:
            problems.append(f"input '{spec.id}' {error}, got {_shown(spec, raw)}")
    if problems:
        known = ", ".join(spec.id for spec in specs) or "none"
        raise InputError("; ".join(problems), f"inputs of this flow: {known}")
    return values


def as_given(specs: Sequence[Input], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give typed *values* such that `typed_inputs` makes the same of them once more: text that came out of JSON or YAML
    is written as JSON again, and so is nothing, for which else the default would stand.
    """
    kinds = {spec.id: (spec.type, spec.item_type) for spec in specs}
    return {name: _unread(value, *kinds.get(name, ("STRING", None))) for name, value in values.items()}


def _unread(value: Any, kind: str, item_kind: str | None) -> Any:
    if kind == "ARRAY" and isinstance(value, list):
        return [_unread(item, item_kind or "STRING", None) for item in value]
    return json.dumps(value) if kind in {"JSON", "YAML"} and not isinstance(value, dict | list) else value


def _asked_for(spec: Input, render: Render) -> bool:
    condition = spec.depends_on.condition if spec.depends_on else None
    return condition is None or truthy(render(condition))


def _rendered(value: Any, render: Render) -> Any:
    if isinstance(value, str):
        return render(value) if has_expression(value) else value
    if isinstance(value, Mapping):
        return {key: _rendered(item, render) for key, item in value.items()}
    return [_rendered(item, render) for item in value] if isinstance(value, list | tuple) else value


def _shown(spec: Input, raw: Any) -> str:
    shown = repr(raw) if isinstance(raw, str | int | float) else reprlib.repr(raw)
    return "a secret" if spec.type == "SECRET" else shown[:100]


def _shallow(spec: Input, raw: Any) -> Any:
    """Give *raw* as its type says; neither may be deeper than the rest of the daemon can take."""
    _check_depth(raw)
    value = _converted(spec, spec.type, raw)
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    """Raise `ValueError` if lists and maps are in each other more than `MAX_DEPTH` times."""
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [item for inner in layer for item in _items(inner)]
    if any(isinstance(item, Mapping | list | tuple) for item in layer):
        raise ValueError(f"must not be nested deeper than {MAX_DEPTH} levels")


def _converted(spec: Input, kind: str, raw: Any) -> Any:
    if kind == "ARRAY":
        return [_converted(spec, spec.item_type or "STRING", item) for item in _list(raw)]
    return _CONVERSIONS[kind](raw)


def _list(raw: Any) -> list[Any]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except (ValueError, RecursionError):
            raise ValueError("must be a list") from None
    if not isinstance(raw, list | tuple):
        raise ValueError("must be a list")  # noqa: TRY004 - every misfit is a ValueError here
    return list(raw)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()


def _text(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str | int | float):
        return str(raw)
    return json.dumps(raw, ensure_ascii=False, default=str)


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"[-+]?\d{1,18}", raw.strip(), re.ASCII):
        return int(raw)
    raise ValueError("must be a whole number")


def _float(raw: Any) -> float:
    try:
        number = float(Decimal(str(raw)))
    except (InvalidOperation, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("must be a number")
    return number


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in {"true", "false"}:
        return raw.strip().lower() == "true"
    raise ValueError("must be true or false")


def _json(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("must be JSON") from None


def _yaml(raw: Any) -> Any:
    if not isinstance(raw, str):
        return raw
    try:
        return _document(raw)
    except TidewaiterError:
        raise ValueError("must be YAML") from None


def _document(text: str) -> Any:
    document = parse(text, "input")
    if document.problems:
        raise ValueError("must be YAML")
    return document.data


def _uri(raw: Any) -> str:
    text = _text(raw)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not (parts.netloc or parts.path.startswith("//") or "://" in text):
        raise ValueError("must be a URI")
    return text


def _email(raw: Any) -> str:
    text = _text(raw)
    if len(text) > _LONGEST_CHECKED or not _EMAIL.fullmatch(text):
        raise ValueError("must be an e-mail address")
    return text


def _iso(what: str, parse: Callable[[str], Any]) -> Callable[[Any], str]:
    """Make the check of a text that *parse* must be able to read; the text itself is the value."""

    def check(raw: Any) -> str:
        text = _text(raw).strip()
        try:
            parse(text)
        except ValueError:
            raise ValueError(f"must be {what}") from None
        return text

    return check


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        **dict.fromkeys(("STRING", "ENUM", "SELECT", "SECRET", "FILE"), _text),
        **dict.fromkeys(("BOOLEAN", "BOOL"), _boolean),
        "INT": _integer,
        "FLOAT": _float,
        "JSON": _json,
        "YAML": _yaml,
        "URI": _uri,
        "EMAIL": _email,
        "MULTISELECT": lambda raw: [_text(item) for item in _list(raw)],
        "DATETIME": _iso("a moment such as 2026-01-31T12:00:00Z", datetime.fromisoformat),
        "DATE": _iso("a date such as 2026-01-31", date.fromisoformat),
        "TIME": _iso("a time such as 12:30:00", time.fromisoformat),
        "DURATION": _iso("a duration such as PT1H", parse_duration),
    }
)


def _checked(spec: Input, value: Any, render: Render) -> Any:
    if spec.type in {"ENUM", "SELECT", "MULTISELECT"} and not spec.allow_custom_value:
        chosen = value if isinstance(value, list) else [value]
        allowed = [*spec.choices, *(_offered(spec.expression, render) if spec.expression else ())]
        if not set(chosen) <= set(allowed):
            raise ValueError(f"must be one of {', '.join(allowed)}")
    if spec.validator is not None and isinstance(value, str) and not _matches(spec.validator, value):
        raise ValueError(f"must match {spec.validator}")
    for bound, wrong, words in (
        (spec.min, -1, "at least"), (spec.max, 1, "at most"), (spec.after, -1, "after"), (spec.before, 1, "before"),
    ):  # fmt: skip
        if bound is not None and _order(spec.type, value, bound) == wrong:
            raise ValueError(f"must be {words} {bound}")
    return value


def _matches(pattern: str, value: str) -> bool:
    """Whether all of *value* matches; a pattern that could take long is tried where it can be ended."""
    try:
        return len(value) <= _LONGEST_CHECKED and JavaRegex(Confinement()).fullmatch(pattern, value)
    except ExpressionError as error:
        raise ValueError(f"cannot be checked: {error.message}") from None


def _offered(expression: str, render: Render) -> list[str]:
    return [_text(item) for item in _list(render(expression))]


def _order(kind: str, value: Any, bound: Any) -> int:
    """Give -1, 0 or 1 as *value* is less than, equal to or greater than *bound*."""
    try:
        left, right = (_comparable(kind, item) for item in (value, bound))
    except OverflowError:
        raise ValueError("is too far away") from None
    return int(left > right) - int(left < right)


def _comparable(kind: str, value: Any) -> Any:
    if kind == "DURATION":
        return parse_duration(str(value))
    if kind == "DATETIME":
        moment = datetime.fromisoformat(str(value))
        return moment if moment.tzinfo is None else moment.astimezone().replace(tzinfo=None)
    if kind in {"DATE", "TIME"}:
        return (date if kind == "DATE" else time).fromisoformat(str(value)).isoformat()
    return value if isinstance(value, int | float) else float(value)
