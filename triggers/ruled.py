"""The properties that say which objects a trigger means, when, and with which others (docs/arrival-rules.md)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.fields import PositiveDuration, Size, Text, format_size
from tidewaiter.config.flow import TriggerSpec
from tidewaiter.config.globs import compile_glob
from tidewaiter.config.spec import Dynamic, PerObject, Template, misfit
from tidewaiter.triggers.keys import java_pattern
from tidewaiter.triggers.pattern import compile_pattern

Mismatch = tuple[str, str, str]
"""A property that does not fit the others, the problem, and what to do."""


def _regexp(value: str | None) -> str | None:
    try:
        java_pattern(value or "")
    except re.error as error:
        raise PydanticCustomError("regexp", "is not a regular expression: {reason}", {"reason": str(error)}) from error
    return value or None


def _pattern(value: str) -> str:
    try:
        compile_pattern(value)
    except ValueError as error:
        raise PydanticCustomError("pattern", "is not a pattern: {reason}", {"reason": str(error)}) from error
    return value


def _glob(value: str) -> str:
    try:
        compile_glob(value)
    except ValueError as error:
        raise PydanticCustomError("glob", "{reason}", {"reason": str(error)}) from error
    return value


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _condition(value: str) -> str:
    if value.strip() not in {"true", "false"}:
        raise PydanticCustomError("condition", "has no expression; write {how}", {"how": "{{ object.size > 0 }}"})
    return value


def _initial(value: Any) -> Any:
    if not isinstance(value, str) or value in {"process", "skip"}:
        return value
    word, _, moment = value.partition(":")
    try:
        since = datetime.fromisoformat(moment.strip())
    except ValueError:
        since = None
    if word != "since" or since is None:
        reason = "must be process, skip or since:<time>, for example since:2026-05-01T00:00:00Z"
        raise PydanticCustomError("initial", "{reason}", {"reason": reason})
    return (since if since.tzinfo else since.replace(tzinfo=UTC)).astimezone(UTC)


def _marker_name(value: Any) -> Any:
    if isinstance(value, str) and (not value or value.startswith("/") or value.endswith("/")):
        raise PydanticCustomError("marker", "must be a name relative to the object's folder, for example _SUCCESS")
    return value


Regexp = Annotated[str | None, AfterValidator(_regexp)]
Glob = Annotated[Text, AfterValidator(_glob)]
_ONE_OR_MORE = WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]})
Texts = Annotated[tuple[Text, ...], BeforeValidator(_one_or_more), _ONE_OR_MORE]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_one_or_more), _ONE_OR_MORE]
Condition = Annotated[Text, AfterValidator(_condition), WithJsonSchema({"type": ["string", "boolean"]})]
Initial = Annotated[
    Literal["process", "skip"] | datetime,
    BeforeValidator(_initial),
    WithJsonSchema({"type": "string", "pattern": "^(process|skip|since:.+)$"}),
]
PositiveCount = Annotated[int, Field(ge=1)]


class RuledTrigger(TriggerSpec):
    """A trigger with arrival rules. Only *regexp* is Kestra's; all are optional (docs/arrival-rules.md)."""

    regexp: Dynamic[Regexp] = None
    """A regular expression in Java's syntax for the whole key; its named groups are captures."""
    include: Globs = ()
    """Globs, one of which must match; without a slash for the name, with one for the path below the prefix."""
    exclude: Globs = ()
    """Globs, none of which may match; they win over *include*."""
    pattern: Annotated[Text, AfterValidator(_pattern)] | None = None
    """The form of the whole key, such as ``raw/{customer}/{day:%Y-%m-%d}/{name}.csv``; its parts are captures."""
    min_age: PositiveDuration | None = None
    """How long an object must have been left unchanged."""
    max_age: PositiveDuration | None = None
    """How long ago it may have been changed."""
    min_size: Size | None = None
    """The least number of bytes."""
    max_size: Size | None = None
    """The greatest number of bytes."""
    storage_class: Texts = ()
    """The storage classes that are meant."""
    when: PerObject[Condition | None] = None
    """An expression that must be true of ``object``."""
    initial: Initial = "process"
    """
    What to do with what is there at the first look: ``process``, ``skip``, or ``since:`` a time, for what was
    changed then or later.
    """
    order: Literal["key", "lastModified"] = "key"
    """The order in which they are taken: by key, or the oldest first."""
    group_by: str | None = None
    """The capture by which objects are put together; an execution has those of one value only."""
    min_objects: PositiveCount = 1
    """How many there must be before any is taken."""
    quiet_for: PositiveDuration | None = None
    """How long nothing may have been added to a group before it is taken."""
    done_file: PerObject[Annotated[Text, AfterValidator(_marker_name)] | None] = None
    """
    The name of a file in the same folder that says that the others are complete; with an expression, one for each
    object.
    """
    manifest: Glob | None = None
    """A glob for files that list the objects that belong together."""

    @model_validator(mode="after")
    def _rules_fit(self) -> Self:
        for name, problem, hint in self._mismatches():
            raise misfit(name, problem, hint)
        return self

    def _mismatches(self) -> Iterator[Mismatch]:
        yield from self._empty_ranges()
        yield from self._bad_group()
        if self.done_file is not None and self.manifest is not None:
            yield "manifest", "cannot go with doneFile", "a set has one marker: choose doneFile or manifest"
        if self.group_by is not None and self.marked:
            marker = "doneFile" if self.done_file is not None else "manifest"
            yield "groupBy", f"cannot go with {marker}", "the marker already says which objects go together"

    def _empty_ranges(self) -> Iterator[Mismatch]:
        if self.min_size is not None and self.max_size is not None and self.min_size > self.max_size:
            sizes = f"{format_size(self.min_size)} is more than maxSize {format_size(self.max_size)}"
            yield "minSize", sizes, "no object can be that large and that small"
        if self.min_age is not None and self.max_age is not None and self.min_age >= self.max_age:
            yield "minAge", "is not shorter than maxAge", "no object can be that old and that young"

    def _bad_group(self) -> Iterator[Mismatch]:
        if self.group_by is None or isinstance(self.regexp, Template):
            return
        names = self.capture_names
        if not names:
            hint = "add for example 'pattern: raw/{customer}/{name}'"
            yield "groupBy", "groups by a capture, and there is no pattern to capture one", hint
        elif self.group_by not in names:
            yield "groupBy", f"there is no capture '{self.group_by}'", f"captures: {', '.join(names)}"

    @property
    def capture_names(self) -> tuple[str, ...]:
        """The names under which *pattern* and *regexp* give parts of a key; only for a spec without templates."""
        pattern = compile_pattern(self.pattern).names if self.pattern else ()
        regexp = java_pattern(self.regexp).groupindex if self.regexp else {}
        return tuple(dict.fromkeys((*pattern, *regexp)))

    @property
    def marked(self) -> bool:
        """Whether a set is complete only when its marker is there."""
        return self.done_file is not None or self.manifest is not None

    @property
    def in_sets(self) -> bool:
        """Whether an object is taken together with others only, so that a look must know all that waits."""
        return bool(self.marked or self.group_by or self.min_objects > 1 or self.quiet_for)

    @property
    def since(self) -> datetime | None:
        """The time before which objects are not meant, None without one."""
        return self.initial if isinstance(self.initial, datetime) else None
