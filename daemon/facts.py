"""What a trigger in service knows of itself, for ``triggers list``."""

from collections.abc import Mapping

from tidewaiter.daemon.intake import Intake
from tidewaiter.daemon.records import timestamp
from tidewaiter.triggers.bucket import Capabilities


def facts(intake: Intake) -> Mapping[str, object]:
    """Give what a running intake knows of its trigger."""
    spec = intake.watch.spec
    backlog = intake.backlog
    return {
        "type": spec.type,
        "state": "UNMET" if intake.unmet else "OK",
        "bucket": str(spec.bucket),
        "prefix": spec.prefix if isinstance(spec.prefix, str) else None,
        "action": str(spec.action),
        "intervalSeconds": intake.interval.total_seconds(),
        "lastPoll": intake.last_poll,
        "waiting": intake.waiting,
        "backlog": {
            "objects": backlog.objects,
            "complete": backlog.complete,
            "oldest": timestamp(backlog.oldest) if backlog.oldest else None,
        },
        "held": dict(intake.held),
        "capabilities": _capabilities(intake.capabilities) if intake.capabilities else None,
    }


def _capabilities(seen: Capabilities) -> Mapping[str, object]:
    return {
        "deleteIfMatch": seen.delete_if_match,
        "copySourceIfMatch": seen.copy_source_if_match,
        "copyIfNoneMatch": seen.copy_if_none_match,
        "versioning": seen.versioning,
        "server": seen.server,
        "detail": seen.detail,
        "keys": list(seen.keys),
    }
