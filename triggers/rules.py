"""
What a trigger's rules say of one listed object: whether it is meant, whether it is time, and why not.

Pure: the same object, rules and time always get the same verdict, so showing one and acting on it cannot disagree.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.expression import truthy
from tidewaiter.config.fields import format_duration, format_size
from tidewaiter.config.spec import ObjectTemplate
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.destinations import Place, destination, is_folder_marker, objection, refusal, was_moved
from tidewaiter.triggers.keynames import KeyGlob, KeyNames
from tidewaiter.triggers.keys import basename, below, danger, folder_of, is_probe
from tidewaiter.triggers.moves import MoveTo
from tidewaiter.triggers.s3 import BucketTrigger

Render = Callable[[str, Mapping[str, Any]], str]
"""Renders the source of an expression for what it sees as ``object``; raises `ExpressionError`."""

_STANDARD = "STANDARD"


class Kind(Enum):
    """
    What is to be done with an object: take it; skip it, as it is not meant; let it wait, as it is meant but not yet;
    refuse it, as it is meant but must not be touched.
    """

    TAKE = "take"
    SKIP = "skip"
    WAIT = "wait"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What the rules say of an object. But for TAKE, *rule* is the property that decided (or ``key`` for what no property
    says) and *reason* a sentence about "it".

    *until* is when a waiting object may become ready, if known; *error* is what keeps it from being judged. *captures*
    are the named parts of its key, *destination* the bucket and key it would move to.
    """

    kind: Kind
    rule: str = ""
    reason: str = ""
    until: datetime | None = None
    captures: Mapping[str, str] = field(default_factory=dict)
    destination: Place | None = None
    error: ExpressionError | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A listed object and what the rules say of it."""

    object: S3Object
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of a trigger without templates, ready to judge."""

    spec: BucketTrigger
    names: KeyNames
    manifests: KeyGlob | None
    render: Render

    @classmethod
    def of(cls, spec: BucketTrigger, render: Render) -> "Rules":
        """Make the rules of *spec* ready."""
        return cls(spec, KeyNames.of(spec, spec.prefix), KeyGlob.of(spec.manifest) if spec.manifest else None, render)

    def judge(self, listed: S3Object, at: datetime) -> Verdict:
        """Say what to do with *listed* at the time *at* of the store's clock."""
        for rule, reason in self._not_meant(listed, at):
            return Verdict(Kind.SKIP, rule, reason)
        captures = self.names.captures(listed.key)
        if (young := self._too_young(listed, at, captures)) is not None:
            return young
        try:
            if self.spec.when is not None and not self._wanted(listed, captures):
                return Verdict(Kind.SKIP, "when", "the expression of 'when' is not true for it", captures=captures)
            return self.place(listed, captures)
        except ExpressionError as error:
            return Verdict(
                Kind.WAIT, "expression", f"it cannot be judged: {error.message}", None, captures, error=error
            )

    def means(self, listed: S3Object) -> bool:
        """Tell whether no rule about keys leaves *listed* out: cheaper than `judge`, for what may be known already."""
        if not _passes_filter(self.spec, listed) or is_probe(listed.key) or was_moved(self.spec, listed.key):
            return False
        return self.names.means(listed.key)

    def _not_meant(self, listed: S3Object, at: datetime) -> Iterator[tuple[str, str]]:
        """Give the reasons why *listed* is not meant, as far as they need no expression; the first is enough."""
        if not _passes_filter(self.spec, listed):
            yield (
                "filter",
                f"it is {'a folder' if listed.key.endswith('/') else 'no folder'}; filter is {self.spec.filter}",
            )
        if is_probe(listed.key):
            yield "key", "it is one of Tidewaiter's own probe objects"
        if was_moved(self.spec, listed.key):
            yield "moveTo", "it lies where the trigger moves objects to"
        if self.is_marker(listed.key):
            yield "doneFile" if self.spec.done_file is not None else "manifest", "it is the marker of a set"
        yield from self.names.unmeant(listed.key)
        yield from self._out_of_range(listed, at)

    def _out_of_range(self, listed: S3Object, at: datetime) -> Iterator[tuple[str, str]]:
        spec, old = self.spec, at - listed.last_modified
        stored = listed.storage_class or _STANDARD
        if spec.min_size is not None and listed.size < spec.min_size:
            yield "minSize", f"its size {format_size(listed.size)} is below minSize {format_size(spec.min_size)}"
        if spec.max_size is not None and listed.size > spec.max_size:
            yield "maxSize", f"its size {format_size(listed.size)} is above maxSize {format_size(spec.max_size)}"
        if spec.storage_class and stored not in spec.storage_class:
            yield "storageClass", f"its storage class is {stored}; storageClass is {', '.join(spec.storage_class)}"
        if spec.max_age is not None and old > spec.max_age:
            yield "maxAge", f"it is {age(old)} old; maxAge is {format_duration(spec.max_age)}"
        if spec.since is not None and listed.last_modified < spec.since:
            changed = clock(listed.last_modified, at)
            yield "initial", f"it was changed at {changed}; initial lets in what is since {clock(spec.since, at)}"

    def _too_young(self, listed: S3Object, at: datetime, captures: Mapping[str, str]) -> Verdict | None:
        if self.spec.min_age is None or at - listed.last_modified >= self.spec.min_age:
            return None
        until = listed.last_modified + self.spec.min_age
        old, asked = age(at - listed.last_modified), format_duration(self.spec.min_age)
        reason = f"it is {old} old; minAge {asked} lets it in at {clock(until, at)}"
        return Verdict(Kind.WAIT, "minAge", reason, until, captures)

    def _wanted(self, listed: S3Object, captures: Mapping[str, str]) -> bool:
        when = self.spec.when
        return truthy(self._text(when.source, listed, captures) if isinstance(when, ObjectTemplate) else when or "")

    def place(self, listed: S3Object, captures: Mapping[str, str]) -> Verdict:
        """
        Take *listed*, whatever the other rules say, or refuse it if the action, or what may follow its execution, must
        not be done to it.

        Raises:
            ExpressionError: a ``moveTo`` has an expression that fails for it.
        """
        if reason := refusal(self.spec, listed):
            return Verdict(Kind.REFUSE, "key", reason, captures=captures)
        where = None
        for move in self.spec.destinations:
            place, reason = self.destination(listed, captures, move)
            if reason:
                return Verdict(Kind.REFUSE, "moveTo", reason, captures=captures)
            where = place if move is self.spec.move_to else where
        return Verdict(Kind.TAKE, captures=captures, destination=where)

    def destination(self, listed: S3Object, captures: Mapping[str, str], move: MoveTo) -> tuple[Place, str | None]:
        """
        Give where *move* puts *listed*, and why it must not be put there, if so.

        Raises:
            ExpressionError: *move* has an expression that fails for it.
        """
        where = destination(self.spec, listed, move, lambda source: self._text(source, listed, captures))
        return where, objection(self.spec, listed, move, where, self.names.means)

    def is_marker(self, key: str) -> bool:
        """Tell whether *key* is the marker of a set by its name alone; with an expression in ``doneFile`` none is."""
        if isinstance(self.spec.done_file, str):
            return f"/{key}".endswith(f"/{self.spec.done_file}")
        return self.manifests is not None and self.manifests.matches(below(self.spec.prefix, key))

    def may_mark(self, key: str) -> bool:
        """Tell whether a listed object at *key* may be a marker, or show that a set is complete."""
        return not isinstance(self.spec.done_file, str) or self.is_marker(key)

    def done_file(self, listed: S3Object, captures: Mapping[str, str]) -> str:
        """
        Give the key of the done file of *listed*; only with ``doneFile``.

        Raises:
            ExpressionError: the expression of ``doneFile`` fails for it, or gives what is no name.
        """
        written = self.spec.done_file or ""
        name = self._text(written.source, listed, captures) if isinstance(written, ObjectTemplate) else written
        if not all(name.split("/")) or danger(name):
            hint = "it must be a name relative to the object's folder"
            raise ExpressionError(f"doneFile {name!r} of {listed.key!r} is not a name", hint)
        return folder_of(listed.key) + name

    def _text(self, source: str, listed: S3Object, captures: Mapping[str, str]) -> str:
        return self.render(source, variables_of(listed, captures, self.spec.prefix))


def variables_of(listed: S3Object, captures: Mapping[str, str], prefix: str) -> dict[str, Any]:
    """Give what an expression sees of *listed* under ``object``: what the listing shows, and the parts of its key."""
    name = basename(listed.key)
    stem, dot, extension = name.rpartition(".")
    return {
        "bucket": listed.bucket,
        "key": listed.key,
        "name": name,
        "stem": stem if stem and dot else name,
        "extension": extension if stem and dot else "",
        "path": below(prefix, listed.key),
        "size": listed.size,
        "etag": listed.etag,
        "lastModified": listed.last_modified.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "versionId": listed.version_id,
        "storageClass": listed.storage_class or _STANDARD,
        "captures": dict(captures),
    }


def _passes_filter(spec: BucketTrigger, listed: S3Object) -> bool:
    directory = listed.key.endswith("/")
    if spec.filter == "BOTH":
        return not is_folder_marker(listed)
    return directory is (spec.filter == "DIRECTORY")


def clock(moment: datetime, at: datetime) -> str:
    """Write *moment* in UTC for somebody who reads it at *at*: with the date only if that is another day."""
    moment, day = moment.astimezone(UTC), at.astimezone(UTC).date()
    return f"{moment:%H:%M:%SZ}" if moment.date() == day else f"{moment:%Y-%m-%d %H:%M:%SZ}"


def age(old: timedelta) -> str:
    """Write how old something is, in the unit people would choose."""
    seconds = max(0, int(old.total_seconds()))
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
