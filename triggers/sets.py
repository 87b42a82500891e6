"""
Which waiting objects go together, and whether they are all there: ``groupBy``, ``minObjects``, ``quietFor``,
``doneFile``, ``manifest``.

Pure and without memory: what waits is judged anew at every look, from the listing and the store's clock alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from tidewaiter.config.errors import ExpressionError
from tidewaiter.config.fields import format_duration
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.manifests import ManifestError, Members
from tidewaiter.triggers.rules import Found, Kind, Rules, Verdict, age, clock


@dataclass(frozen=True, slots=True)
class Sight:
    """
    What a complete listing showed at the time *at* of the store's clock: *waiting*, new objects that are meant;
    *markers*, every listed object that may be a marker or a member, by key; and what the manifests among them say.
    """

    at: datetime
    waiting: Sequence[Found]
    markers: Mapping[str, S3Object] = field(default_factory=dict)
    manifests: Mapping[str, Members] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObjectSet:
    """
    Objects that go together. Those with the verdict TAKE are ready; the others tell what they wait for. With a marker,
    all are ready or none.
    """

    members: tuple[Found, ...]
    marker: Found | None = None

    @property
    def ready(self) -> list[Found]:
        """The objects to be taken now."""
        return [found for found in self.members if found.verdict.kind is Kind.TAKE]


def sort_key(rules: Rules, found: Found) -> Any:
    """Give what the trigger's ``order`` sorts by."""
    item = found.object
    return (item.last_modified, item.key) if rules.spec.order == "lastModified" else item.key


def form_sets(rules: Rules, sight: Sight) -> list[ObjectSet]:
    """Sort the waiting objects into sets, in the trigger's order, and tell for each object whether it is ready."""
    ordered = replace(sight, waiting=sorted(sight.waiting, key=lambda found: sort_key(rules, found)))
    if rules.spec.done_file is not None:
        return list(_by_done_file(rules, ordered))
    if rules.spec.manifest is not None:
        return list(_by_manifest(rules, ordered))
    return [_gathered(rules, ObjectSet(tuple(group)), sight.at) for group in _groups(rules, ordered.waiting)]


def _groups(rules: Rules, waiting: Iterable[Found]) -> Iterable[list[Found]]:
    name = rules.spec.group_by
    groups: dict[str | None, list[Found]] = {}
    for found in waiting:
        groups.setdefault(found.verdict.captures.get(name) if name else None, []).append(found)
    return groups.values()


def _by_done_file(rules: Rules, sight: Sight) -> Iterator[ObjectSet]:
    groups: dict[str, list[Found]] = {}
    for found in sight.waiting:
        try:
            groups.setdefault(rules.done_file(found.object, found.verdict.captures), []).append(found)
        except ExpressionError as error:
            yield _hold(ObjectSet((found,)), "doneFile", f"its done file cannot be told: {error.message}", error=error)
    for key, group in groups.items():
        members = tuple(found for found in group if found.object.key not in groups)
        marker = sight.markers.get(key)
        if marker is None:
            yield _hold(ObjectSet(members), "doneFile", f"its done file {key!r} is not there")
        elif members:
            yield _marked(rules, members, marker, sight.at)


def _by_manifest(rules: Rules, sight: Sight) -> Iterator[ObjectSet]:
    left = {found.object.key: found for found in sight.waiting}
    for key, listed in sight.manifests.items():
        if isinstance(listed, ManifestError):
            continue
        members = tuple(left.pop(member) for member in list(left) if member in listed)
        missing = min(listed - sight.markers.keys(), default=None)
        if missing is not None:
            reason = f"manifest {key!r} names {missing!r}, which is not there yet"
            yield _hold(ObjectSet(members), "manifest", reason)
        elif members:
            yield _marked(rules, members, sight.markers[key], sight.at)
    bad = next((said for said in sight.manifests.values() if isinstance(said, ManifestError)), None)
    reason = "no manifest names it" + (f", but one cannot be read: {bad.message}" if bad else "")
    yield _hold(ObjectSet(tuple(left.values())), "manifest", reason)


def _marked(rules: Rules, members: tuple[Found, ...], marker: S3Object, at: datetime) -> ObjectSet:
    """Make a set whose marker is there: all of its objects are ready, or none."""
    late = next((found for found in members if found.verdict.kind is Kind.WAIT), None)
    if late is not None:
        reason = f"{late.object.key!r} of its set waits: {late.verdict.reason}"
        return _hold(ObjectSet(members), late.verdict.rule, reason, late.verdict.until)
    shared = [set(found.verdict.captures.items()) for found in members]
    captures = dict(set.intersection(*shared))
    try:
        verdict = rules.place(marker, captures)
    except ExpressionError as error:
        return _hold(ObjectSet(members), "moveTo", f"its marker cannot be moved: {error.message}", error=error)
    if verdict.kind is Kind.REFUSE:
        hint = "a marker is moved like its set: give it, or moveTo, another name"
        refused = ExpressionError(f"marker {marker.key!r} cannot be moved: {verdict.reason}", hint)
        return _hold(ObjectSet(members), verdict.rule, refused.message, error=refused)
    return _gathered(rules, ObjectSet(members, Found(marker, verdict)), at)


def _gathered(rules: Rules, group: ObjectSet, at: datetime) -> ObjectSet:
    """Hold *group* while it is not quiet, or too small."""
    quiet, least = rules.spec.quiet_for, rules.spec.min_objects
    newest = max(found.object.last_modified for found in group.members)
    if quiet is not None and at - newest < quiet:
        until = clock(newest + quiet, at)
        reason = (
            f"the newest object of its set is {age(at - newest)} old; quietFor {format_duration(quiet)} ends at {until}"
        )
        return _hold(group, "quietFor", reason, newest + quiet)
    short = _too_few(group, least, rules.spec.batch_size)
    reason = f"there are {short} of at least {least} objects for an execution (minObjects)"
    return _hold_some(group, group.ready[len(group.ready) - short :], Verdict(Kind.WAIT, "minObjects", reason))


def _too_few(group: ObjectSet, least: int, size: int) -> int:
    """Count the last ones that would make an execution with fewer than *least* objects; a set is counted as a whole."""
    number = len(group.ready)
    rest = number if number < least else 0 if group.marker else number % size
    return rest if rest < least else 0


def _hold(
    group: ObjectSet, rule: str, reason: str, until: datetime | None = None, error: ExpressionError | None = None
) -> ObjectSet:
    return _hold_some(group, group.ready, Verdict(Kind.WAIT, rule, reason, until, error=error))


def _hold_some(group: ObjectSet, late: Sequence[Found], verdict: Verdict) -> ObjectSet:
    """Let those of *group* that are *late* wait for their set; what waits already keeps its own reason."""
    keys = {found.object.key for found in late}
    return replace(
        group, members=tuple(_held(found, verdict) if found.object.key in keys else found for found in group.members)
    )


def _held(found: Found, verdict: Verdict) -> Found:
    return Found(found.object, replace(verdict, captures=found.verdict.captures))


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects for one execution, and the marker that ends their set with them."""

    objects: tuple[Found, ...]
    marker: Found | None = None


def batches(rules: Rules, group: ObjectSet) -> list[Batch]:
    """Divide what is ready of *group* by ``maxKeys`` and ``maxFiles``; the marker goes with the last batch."""
    size, ready = rules.spec.batch_size, group.ready
    cut = [tuple(ready[at : at + size]) for at in range(0, len(ready), size)]
    return [Batch(objects, group.marker if objects is cut[-1] else None) for objects in cut]
