"""Checks of the stores that triggers watch: reached, allowed, and what they can do; nothing is written unless asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.doctor.finding import Finding, ok, problem, warning
from tidewaiter.daemon.flows import FlowFile, Rendering, bucket_triggers
from tidewaiter.daemon.probes import Probes, check_removal
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError
from tidewaiter.triggers.s3 import BucketTrigger

_SKEW_SECONDS = 300  # S3 refuses requests that are signed more than 15 minutes away
_PROBE_HINT = "'tidewaiter doctor --probe' finds out, with objects of its own that it removes"


@dataclass(frozen=True, slots=True)
class Watched:
    """One enabled trigger, rendered; *name* is namespace/flow/trigger."""

    name: str
    spec: BucketTrigger


def watched(flows: Mapping[str, FlowFile], rendering: Rendering) -> Iterator[Watched | Finding]:
    """Give the enabled bucket triggers of *flows*, or what keeps one from being rendered."""
    enabled = [file.flow for file in flows.values() if not file.flow.disabled]
    for flow, trigger in ((owner, item) for owner in enabled for item in bucket_triggers(owner) if not item.disabled):
        name = f"{flow.namespace}/{flow.id}/{trigger.id}"
        try:
            yield Watched(name, rendering(flow, trigger))
        except TidewaiterError as error:
            yield problem(name, error.message, error.hint)


def distinct(triggers: Iterable[Watched]) -> list[list[Watched]]:
    """Group *triggers* by store, credentials and bucket: one answer holds for all of a group."""
    groups: dict[tuple[Any, str], list[Watched]] = {}
    for trigger in triggers:
        groups.setdefault((trigger.spec.connection(), trigger.spec.bucket), []).append(trigger)
    return list(groups.values())


@dataclass(frozen=True, slots=True)
class Stores:
    """
    Checks buckets through *clients*. *known* gives what the daemon knows of a trigger's store (None: nothing);
    *probes* asks the store itself, with objects that are written there, None to leave that.
    """

    clients: Clients
    known: Callable[[str], Mapping[str, Any] | None]
    probes: Probes | None

    async def check(self, group: list[Watched]) -> list[Finding]:
        """Check the bucket that all of *group* watch. What fails ends it: the rest could only fail, too."""
        spec = group[0].spec
        subject = f"s3://{spec.bucket}"
        findings: list[Finding] = []
        try:
            findings.append(_clock(subject, await self.clients.clock(spec.connection(), spec.bucket)))
            async with self.clients(spec.connection(), spec.bucket) as bucket:
                await _list_one(bucket, spec)
                findings.append(ok(subject, f"listed '{spec.prefix}'"))
                findings += await self._safety(subject, bucket, group)
        except BucketError as error:
            findings.append(problem(subject, f"{error.cause}: {error.message}", error.hint))
        return findings

    async def _safety(self, subject: str, bucket: Bucket, group: list[Watched]) -> list[Finding]:
        """Say what makes removing safe there, for those of *group* that remove."""
        removing = [trigger for trigger in group if trigger.spec.removes]
        if not removing:
            return []
        if self.probes is not None:
            return [await _probed(subject, bucket, trigger.spec, self.probes) for trigger in removing]
        known = next((found for trigger in removing if (found := self.known(trigger.name))), None)
        if known and not (known["versioning"] or known["deleteIfMatch"]):
            return [warning(subject, "the daemon found that it cannot delete conditionally", "turn on versioning")]
        if known:
            return [ok(subject, f"deletes {'by version' if known['versioning'] else 'conditionally'}, says the daemon")]
        if await bucket.versioning():
            return [ok(subject, "keeps versions")]
        return [warning(subject, "whether it deletes conditionally is not known", _PROBE_HINT)]


async def _list_one(bucket: Bucket, spec: BucketTrigger) -> None:
    async for _ in bucket.list(spec.prefix, page_size=1):
        return


async def _probed(subject: str, bucket: Bucket, spec: BucketTrigger, probes: Probes) -> Finding:
    capabilities = await probes.of(bucket, spec)
    try:
        check_removal(spec, capabilities)
    except BucketError as error:
        return problem(subject, error.message, error.hint)
    way = "by version" if capabilities.versioning else "conditionally" if capabilities.delete_if_match else "unsafely"
    return ok(subject, f"writes, copies and deletes {way}")


def _clock(subject: str, store: datetime | None) -> Finding:
    if store is None:
        return ok(subject, "reached")
    skew = abs((datetime.now(UTC) - store).total_seconds())
    if skew > _SKEW_SECONDS:
        return problem(subject, f"its clock and ours are {skew:.0f} s apart", "set this machine's clock, by NTP")
    return ok(subject, f"reached, its clock is {skew:.0f} s away")
