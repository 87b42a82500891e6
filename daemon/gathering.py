"""What one look at a bucket gathers: the new objects that are ready, and account of those that are not."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.journal.claims import Arrival, Claim
from tidewaiter.triggers.bucket import Bucket, Page, S3Object
from tidewaiter.triggers.manifests import ManifestError, Manifests, Members
from tidewaiter.triggers.rules import Found, Kind, Rules
from tidewaiter.triggers.sets import Batch, ObjectSet, Sight, batches, form_sets, sort_key

_REFUSED_AT_ONCE = 1000
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Judged:
    """A new object, and what the rules say of it."""

    arrival: Arrival
    found: Found


@dataclass(frozen=True, slots=True)
class Backlog:
    """
    How many objects a look left behind because of limits, and when the oldest was changed. Unless *complete*, there
    may be more.
    """

    objects: int = 0
    complete: bool = True
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a look at the bucket found to claim: *batches*, each for one execution, in order, and what must not be touched.

    *backlog* is left because of limits. *held* counts what waits by the rule that holds it, *ready_in* is when the
    first of that may be ready, if known; *trouble* is what keeps one of them from being judged.
    """

    batches: list[list[Claim]]
    refused: list[Claim]
    backlog: Backlog
    held: Mapping[str, int]
    ready_in: timedelta | None
    trouble: TidewaiterError | None


Notice = Callable[[Found], object]
"""Is told of each new object that is not claimed, with the last word of the rules on it."""


@dataclass(slots=True)
class _Account:
    """Counts what is not taken."""

    notice: Notice | None
    left: int = 0
    oldest: datetime | None = None
    held: Counter[str] = field(default_factory=Counter)
    until: datetime | None = None
    trouble: TidewaiterError | None = None

    def leave(self, found: Iterable[Found]) -> None:
        """Count objects that are ready, but too many."""
        found = list(found)
        if self.notice is not None:
            for item in found:
                self.notice(item)
        moments = [item.object.last_modified for item in found]
        self.left += len(moments)
        self.oldest = min([*moments, *([self.oldest] if self.oldest else [])], default=None)

    def hold(self, found: Found) -> None:
        """Count an object that waits by a rule."""
        if self.notice is not None:
            self.notice(found)
        verdict = found.verdict
        self.held[verdict.rule] += 1
        self.trouble = self.trouble or verdict.error
        if verdict.until is not None:
            self.until = min(verdict.until, self.until or verdict.until)


@dataclass(slots=True)
class Gathering:
    """
    Collects the pages of one listing for *room* executions.

    Without rules about sets only what may be taken is kept in memory, with them all that waits. *notice* is told of
    each new object that stays where it is.
    """

    rules: Rules
    room: int
    notice: Notice | None = None
    _arrivals: dict[str, Arrival] = field(default_factory=dict)
    _ready: list[Found] = field(default_factory=list)
    _waiting: list[Found] = field(default_factory=list)
    _refused: list[Found] = field(default_factory=list)
    _markers: dict[str, S3Object] = field(default_factory=dict)
    _manifests: Mapping[str, Members] = field(default_factory=dict)
    _account: _Account = field(init=False)
    _at: datetime = _NEVER

    def __post_init__(self) -> None:
        self._account = _Account(self.notice)

    @property
    def wanted(self) -> int:
        """How many objects there is room for."""
        return self.room * self.rules.spec.batch_size

    @property
    def needs_all(self) -> bool:
        """Whether nothing can be decided before the listing is complete."""
        return self.rules.spec.in_sets or self.rules.spec.order != "key"

    @property
    def enough(self) -> bool:
        """Whether going on would only count what there is no room for."""
        return self._account.left > 0 and not self.needs_all

    def add(self, page: Page, at: datetime, judged: Iterable[Judged]) -> None:
        """Take in what is new on *page*, as judged at the time *at* of the store's clock."""
        self._at = at
        if self.rules.spec.marked:
            self._markers |= {item.key: item for item in page.objects if self.rules.may_mark(item.key)}
        for item in judged:
            self._sort(item)
        self._trim()

    def _sort(self, item: Judged) -> None:
        if item.arrival.object.key in self._arrivals:
            return  # shown once more: not every store keeps its pages apart while the bucket changes
        kind = item.found.verdict.kind
        if kind is not Kind.SKIP or self.rules.spec.marked:
            self._arrivals[item.arrival.object.key] = item.arrival
        if kind is Kind.SKIP and self.notice is not None:
            self.notice(item.found)
        if kind is Kind.REFUSE:
            self._refused.append(item.found)
        elif kind is not Kind.SKIP and self.rules.spec.in_sets:
            self._waiting.append(item.found)
        elif kind is Kind.TAKE:
            self._ready.append(item.found)
        elif kind is Kind.WAIT:
            self._account.hold(item.found)

    def _trim(self) -> None:
        """Keep no more than there is room for."""
        if self.rules.spec.order != "key":
            self._ready.sort(key=lambda found: sort_key(self.rules, found))
        for kept, most in ((self._ready, self.wanted), (self._refused, _REFUSED_AT_ONCE)):
            over = kept[most:]
            del kept[most:]
            self._account.leave(over)
            for found in over:
                del self._arrivals[found.object.key]

    async def read_manifests(self, bucket: Bucket, manifests: Manifests) -> None:
        """
        Read the manifests that were listed, as far as objects wait for one.

        Raises:
            BucketError: the store failed.
        """
        if self.rules.spec.manifest is not None:
            listed = [item for key, item in self._markers.items() if self.rules.is_marker(key)]
            self._manifests = await manifests.read(
                bucket, self.rules.spec.prefix, listed, {found.object.key for found in self._waiting}
            )

    def look(self, *, complete: bool) -> Look:
        """Decide what to claim. *complete*: the listing was seen to its end."""
        groups = [ObjectSet(tuple(self._ready))]
        if self.rules.spec.in_sets:
            groups = form_sets(self.rules, Sight(self._at, self._waiting, self._markers, self._manifests))
        account = self._account
        for found in (member for group in groups for member in group.members):
            if found.verdict.kind is Kind.WAIT:
                account.hold(found)
        account.trouble = account.trouble or next(filter(_is_error, self._manifests.values()), None)
        chosen = [self._batch(batch) for batch in self._choose(groups)]
        return Look(
            batches=chosen,
            refused=[self._claim(found) for found in self._refused],
            backlog=Backlog(account.left, complete, account.oldest),
            held=dict(account.held),
            ready_in=account.until - self._at if account.until else None,
            trouble=account.trouble,
        )

    def _choose(self, groups: Iterable[ObjectSet]) -> Iterator[Batch]:
        """
        Give the batches there is room for. A set with a marker is taken whole, even if that is more: what it lists must
        not go before it is complete, nor be missed when half of it has gone.
        """
        room = self.room
        for group in groups:
            made = batches(self.rules, group)
            fitting = len(made) if group.marker and room > 0 else max(0, room)
            yield from made[:fitting]
            self._account.leave(found for batch in made[fitting:] for found in batch.objects)
            room -= len(made)

    def _batch(self, batch: Batch) -> list[Claim]:
        claims = [self._claim(found) for found in batch.objects]
        # A marker that is known has been claimed before, and stays where it is.
        if batch.marker is not None and batch.marker.object.key in self._arrivals:
            claims.append(replace(self._claim(batch.marker), marker=True))
        return claims

    def _claim(self, found: Found) -> Claim:
        verdict = found.verdict
        refusal = verdict.reason if verdict.kind is Kind.REFUSE else None
        return Claim(self._arrivals[found.object.key], verdict.destination, refusal, verdict.captures)


def _is_error(said: Members) -> TypeGuard[ManifestError]:
    return isinstance(said, ManifestError)
