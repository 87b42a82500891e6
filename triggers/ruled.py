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
    """
    A trigger with arrival rules. Only *regexp* is Kestra's; all are optional, and docs/arrival-rules.md tells each.

    *include*, *exclude* and *pattern* look at the key; *min_age*, *max_age*, *min_size*, *max_size* (bytes) and
    *storage_class* at what the listing shows of the object; *when* at all of it, by an expression. *initial* decides
    about what is there when the trigger first looks, a time (UTC without a zone) by when it was changed.

    *group_by*, *min_objects*, *quiet_for*, *done_file* and *manifest* say which objects go together, and when they are
    all there. *order* is that in which they are taken.
    """

    regexp: Dynamic[Regexp] = None
    include: Globs = ()
    exclude: Globs = ()
    pattern: Annotated[Text, AfterValidator(_pattern)] | None = None
    min_age: PositiveDuration | None = None
    max_age: PositiveDuration | None = None
    min_size: Size | None = None
    max_size: Size | None = None
    storage_class: Texts = ()
    when: PerObject[Condition | None] = None
    initial: Initial = "process"
    order: Literal["key", "lastModified"] = "key"
    group_by: str | None = None
    min_objects: PositiveCount = 1
    quiet_for: PositiveDuration | None = None
    done_file: PerObject[Annotated[Text, AfterValidator(_marker_name)] | None] = None
    manifest: Glob | None = None

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
