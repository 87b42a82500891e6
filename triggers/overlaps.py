"""
What triggers do to each other: two that take the same objects, and moves that come back to where they began.

Pure: compares what flows say, and reports only what is certain of every value that is known when they are loaded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tidewaiter.config.errors import Problem
from tidewaiter.config.spec import ObjectTemplate, Template
from tidewaiter.triggers.keys import basename, literal_ends
from tidewaiter.triggers.s3 import BucketTrigger, Filter

_AWS = ".amazonaws.com"
_PORTS = {"http": 80, "https": 443}
_HINT = "narrow 'prefix' or 'regexp' so that they do not meet, or say 'allowOverlap: true' if that is meant"
_LOOP_HINT = "let the last one move to a prefix that none of them watches"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trigger is written: its full name, and file, line and column."""

    name: str
    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line}:{self.column})"


@dataclass(frozen=True, slots=True)
class Folder:
    """
    Keys below *prefix* in a *bucket* of the store at *endpoint* (empty: AWS, or what the AWS variables say). *exact* is
    false when the prefix goes on with something that is not known yet.
    """

    endpoint: str
    bucket: str
    prefix: str
    exact: bool

    @property
    def home(self) -> tuple[str, str]:
        """Which bucket it is, whatever it is called."""
        return self.endpoint, self.bucket

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Reach:
    """
    Which objects a trigger takes, whether it *removes* them in the end, and where it puts them (*targets*).

    Every key it takes begins with *head* and ends with *tail*. *deep*: the moved keys keep folders of the old ones.
    """

    place: Place
    watched: Folder
    delimiter: str
    head: str
    tail: str
    kind: Filter
    action: str
    removes: bool
    targets: tuple[Folder, ...]
    deep: bool
    allowed: bool


def reach(spec: BucketTrigger, place: Place) -> Reach | None:
    """Give the reach of *spec*, None while an expression keeps its bucket or its choice of keys open."""
    endpoint = spec.connection().endpoint_url
    choosing = (spec.bucket, endpoint, spec.delimiter, spec.regexp, spec.pattern, spec.filter, spec.action)
    if any(isinstance(value, Template) for value in choosing):
        return None
    watched = Folder(_endpoint(endpoint), spec.bucket, *_known(spec.prefix))
    heads, tails = zip(*_literal_ends(spec), strict=True)
    return Reach(
        place=place,
        watched=watched,
        delimiter=spec.delimiter or "",
        head=max(watched.prefix, *heads, key=len),
        tail=max(*tails, key=len),
        kind=spec.filter,
        action=spec.action,
        removes=spec.removes,
        targets=tuple(_targets(spec, watched.endpoint)),
        deep=spec.preserve_path,
        allowed=spec.allow_overlap,
    )


def _literal_ends(spec: BucketTrigger) -> Iterator[tuple[str, str]]:
    """Give how every key begins and ends, by each of the rules that say so."""
    yield literal_ends(spec.regexp) if spec.regexp else ("", "")
    pattern = spec.pattern or ""
    yield (pattern.partition("{")[0], pattern.rpartition("}")[2]) if "{" in pattern else ("", "")


def _targets(spec: BucketTrigger, endpoint: str) -> Iterator[Folder]:
    for move in spec.destinations:
        if not isinstance(move.bucket, Template):
            each = isinstance(move.key, ObjectTemplate)
            prefix, exact = _known(move.key) if isinstance(move.key, Template) else (move.folder, not each)
            yield Folder(endpoint, move.bucket or spec.bucket, prefix, exact)


def _known(text: object) -> tuple[str, bool]:
    """Give what is known of the beginning of a text, and whether that is all of it."""
    if isinstance(text, Template):
        return str(text.source).partition("{")[0], False
    return str(text), True


def _endpoint(url: str | None) -> str:
    """Give one spelling to the addresses of one store; bucket names are AWS's own across all its regions."""
    parts = urlsplit(url or "")
    host = parts.hostname or ""
    if host.endswith(_AWS):
        return ""
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return url or ""
    return f"{host}:{port}{parts.path.rstrip('/')}" if host else ""


def conflict(known: Sequence[Reach], new: Sequence[Reach]) -> Problem | None:
    """
    Say why the triggers *new*, those of one flow, cannot be served beside *known* ones, None if they can.

    Two triggers that can take the same object conflict when one of them moves or deletes it: only one gets it then. So
    do moves that lead back to where they began, over any number of triggers (reliability.md §3.5).
    """
    for at, later in enumerate(new):
        for earlier in (*known, *new[:at]):
            if _collide(earlier, later):
                return _overlap(earlier, later)
        if round_trip := _cycle(later, (*known, *new)):
            return _loop(round_trip)
    return None


def _collide(one: Reach, other: Reach) -> bool:
    if one.watched.home != other.watched.home or one.allowed or other.allowed:
        return False
    return (one.removes or other.removes) and _meet(one, other)


def _meet(one: Reach, other: Reach) -> bool:
    """Tell whether an object of one bucket can be meant by both, as far as can be told."""
    if not (_shows(one, other.watched) or _shows(other, one.watched)):
        return False
    if {one.kind, other.kind} == {"FILES", "DIRECTORY"}:
        return False
    return _begin_alike(one.head, other.head) and _end_alike(one.tail, other.tail)


def _shows(outer: Reach, inner: Folder) -> bool:
    """Tell whether the listing of *outer* surely shows what is directly in *inner*, a folder of the same bucket."""
    watched = outer.watched
    if not watched.exact or not inner.prefix.startswith(watched.prefix):
        return False
    return not (outer.delimiter and outer.delimiter in inner.prefix[len(watched.prefix) :])


def _begin_alike(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _end_alike(one: str, other: str) -> bool:
    return one.endswith(other) or other.endswith(one)


def _feeding(giver: Reach, taker: Reach) -> Folder | None:
    """Give where *giver* puts objects that *taker* can mean; None if it cannot mean any."""
    return next((target for target in giver.targets if _means(taker, giver, target)), None)


def _means(taker: Reach, giver: Reach, target: Folder) -> bool:
    if target.home != taker.watched.home or taker.kind == "DIRECTORY":
        return False
    if not (_shows(taker, target) or _may_reach(target, taker.watched, deep=giver.deep)):
        return False
    return _begin_alike(target.prefix, taker.head) and _end_alike(_extension(giver.tail), taker.tail)


def _may_reach(target: Folder, watched: Folder, *, deep: bool) -> bool:
    """Tell whether names given in *target* can make keys of *watched*: ``archive/`` and ``archive/2026-``."""
    if not (target.exact and watched.exact and watched.prefix.startswith(target.prefix)):
        return False
    return deep or "/" not in watched.prefix[len(target.prefix) :]


def _extension(tail: str) -> str:
    """Give what of the end of a name stays in any case: ``onConflict: suffix`` puts an id before the extension."""
    name = basename(tail)
    return name[name.rfind(".") :] if "." in name else ""


def _cycle(start: Reach, reaches: Sequence[Reach]) -> Sequence[Reach]:
    """Find triggers that hand an object on from *start* back to it, in this order; empty if there are none."""
    moving = [item for item in reaches if item.targets and not item.allowed]
    ways: list[tuple[Reach, ...]] = [(start,)] if start in moving else []
    visited: set[Place] = set()
    while ways:
        way = ways.pop()
        for following in (item for item in moving if item is not way[-1] and _feeding(way[-1], item)):
            if following is start:
                return way
            if following.place not in visited:
                visited.add(following.place)
                ways.append((*way, following))
    return ()


def _overlap(earlier: Reach, later: Reach) -> Problem:
    message = (
        f"trigger {later.place.name} ({later.action}) watches {_described(later)}, where {earlier.place} takes "
        f"objects, too ({earlier.action}, {_described(earlier)}): each object would reach only one of them"
    )
    return _problem(later, message, _HINT)


def _described(item: Reach) -> str:
    return f"{item.watched}" if item.watched.exact else f"{item.watched}…"


def _loop(way: Sequence[Reach]) -> Problem:
    return _problem(way[0], f"objects would be moved in a circle: {'; '.join(_steps(way))}", _LOOP_HINT)


def _steps(way: Sequence[Reach]) -> Iterator[str]:
    for giver, taker in zip(way, _following(way), strict=True):
        yield f"{giver.place} moves them to {_feeding(giver, taker)}, watched by {taker.place.name}"


def _following(way: Sequence[Reach]) -> Iterable[Reach]:
    return (*way[1:], way[0])


def _problem(item: Reach, message: str, hint: str) -> Problem:
    return Problem(item.place.file, item.place.line, item.place.column, message, hint)
