"""The inputs of a flow (kestra.md §1.4): what may be given for each, and what becomes of what was given."""

import json
import reprlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Self

from pydantic import AliasChoices, Field, model_validator

from tidewaiter.config.errors import ExpressionError, TidewaiterError
from tidewaiter.config.expression.confinement import Confinement
from tidewaiter.config.expression.java_regex import JavaRegex, compiled
from tidewaiter.config.expression.truth import truthy
from tidewaiter.config.fields import Id, Text
from tidewaiter.config.inputtypes import ORDERED, InputType, as_text, as_yaml, comparable, converted, listed, order
from tidewaiter.config.spec import Render, Spec, has_expression, misfit

_LONGEST_CHECKED = 10_000


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
            if self.type not in ORDERED:
                raise misfit(name, f"cannot be had by a {self.type}", f"it goes with {', '.join(sorted(ORDERED))}")
            try:
                comparable(self.type, bound)
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
            values[spec.id] = None if raw is None else _checked(spec, converted(spec.type, spec.item_type, raw), render)
        except ValueError as error:
            problems.append(f"input '{spec.id}' {error}, got {_shown(spec, raw)}")
    if problems:
        known = ", ".join(spec.id for spec in specs) or "none"
        raise InputError("; ".join(problems), f"inputs of this flow: {known}")
    return values


def as_given(specs: Sequence[Input], values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give typed *values* such that `typed_inputs` makes the same of them once more: text that came out of JSON or YAML
    is written as that again, and so is nothing, for which else the default would stand.
    """
    kinds = {spec.id: (spec.type, spec.item_type) for spec in specs}
    return {name: _unread(value, *kinds.get(name, ("STRING", None))) for name, value in values.items()}


def _unread(value: Any, kind: str, item_kind: str | None) -> Any:
    if kind == "ARRAY" and isinstance(value, list):
        return [_unread(item, item_kind or "STRING", None) for item in value]
    if kind not in {"JSON", "YAML"} or isinstance(value, dict | list):
        return value
    return json.dumps(value) if kind == "JSON" else as_yaml(value)


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
        if bound is not None and order(spec.type, value, bound) == wrong:
            raise ValueError(f"must be {words} {bound}")
    return value


def _matches(pattern: str, value: str) -> bool:
    """Whether all of *value* matches; a pattern that could take long is tried where it can be ended."""
    try:
        return len(value) <= _LONGEST_CHECKED and JavaRegex(Confinement()).fullmatch(pattern, value)
    except ExpressionError as error:
        raise ValueError(f"cannot be checked: {error.message}") from None


def _offered(expression: str, render: Render) -> list[str]:
    return [as_text(item) for item in listed(render(expression))]
