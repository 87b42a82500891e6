"""Rules about triggers: what Kestra does otherwise with the same text, and what is likely a mistake anywhere."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tidewaiter.config.parts import Part
from tidewaiter.config.spec import has_expression
from tidewaiter.daemon.lint.finding import Hit, Rule
from tidewaiter.daemon.lint.subject import Subject
from tidewaiter.triggers.s3 import BucketTrigger, S3Trigger

_TEXTS = frozenset({"key", "uri", "etag", "lastModified", "storageClass", "versionId", "changeType"})


def _triggers(subject: Subject, kind: type[BaseModel] = BucketTrigger) -> Iterator[Part]:
    return (part for part in subject.under("triggers") if part.spec is not None and issubclass(part.spec, kind))


def limit_before_filter(subject: Subject) -> Iterator[Hit]:
    """
    With ``maxKeys`` and a ``filter`` or ``regexp``, Kestra cuts the listing first and filters what is left. The folder
    marker ``raw/`` that the S3 console makes then fills a listing of one key, and nothing ever fires. Here the limit
    counts objects that match.
    """
    for part in _triggers(subject):
        narrowing = [name for name in ("filter", "regexp") if part.data.get(name) not in {None, "", "BOTH"}]
        if "maxKeys" in part.data and narrowing:
            yield Hit(
                subject.key((*part.path, "maxKeys")),
                f"here maxKeys counts objects that match; Kestra applies it before {' and '.join(narrowing)}",
                "if the flow goes back to Kestra: raise maxKeys there, and remove folder markers below the prefix",
            )


def limit_without_removal(subject: Subject) -> Iterator[Hit]:
    """
    With ``action: NONE`` the objects stay, and Kestra only ever looks at the first ``maxKeys`` and ``maxFiles`` (25
    unless given) of them in order of their keys: later ones never fire. Its state needs ``stateTtl`` not to grow, which
    makes old objects fire again. Here each object fires once, however many lie before it, and is forgotten when it is
    removed.
    """
    for part in _triggers(subject):
        if part.data.get("action") == "NONE":
            limit = next((name for name in ("maxKeys", "maxFiles") if name in part.data), "action")
            yield Hit(
                subject.key((*part.path, limit)),
                "here every object fires once; Kestra looks at the first maxKeys and maxFiles (25) keys only",
                "if the flow goes back to Kestra: use action MOVE or DELETE there",
            )


def jq_on_text(subject: Subject) -> Iterator[Hit]:
    """
    ``jq`` reads a text as JSON, so it fails on a key or a URI: ``trigger.objects[0].key | jq('endswith(".json")')``.
    Tests and filters for text do what was meant.
    """
    for splice, where in subject.splices(()):
        for variable in splice.variables:
            texts = variable.root in {"trigger", "object"} and variable.names[-1] in _TEXTS
            if texts and variable.filters[:1] == ("jq",):
                yield Hit(
                    where,
                    f"jq reads '{'.'.join(variable.names)}' as JSON, and it is plain text: this fails",
                    "use a filter for text: '| endsWith(\".json\")', '| substringAfterLast(\"/\")', '| split(\"/\")'",
                )


def destination_watched(subject: Subject) -> Iterator[Hit]:
    """
    Objects are moved to a place below the prefix that the trigger watches; only its ``regexp`` or ``delimiter`` keeps
    them from being found again. Here they never are; Kestra looks at that pattern alone. Without one the flow is
    refused (TW001).
    """
    for part in _triggers(subject):
        target = part.data.get("moveTo")
        key = target.get("key") if isinstance(target, dict) else None
        plain = all(_plain(value) for value in (key, part.data.get("prefix"), part.data.get("bucket")))
        if (
            not plain
            or part.data.get("action") != "MOVE"
            or not (part.data.get("regexp") or part.data.get("delimiter"))
        ):
            continue
        bucket = target.get("bucket") if isinstance(target, dict) else None
        if bucket in {None, part.data.get("bucket")} and str(key).startswith(str(part.data.get("prefix") or "")):
            yield Hit(
                subject.value((*part.path, "moveTo", "key")),
                f"'{key}' lies inside the watched prefix '{part.data.get('prefix') or ''}'",
                "move to a folder outside of the prefix",
            )


def _plain(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not has_expression(value))


def same_names(subject: Subject) -> Iterator[Hit]:
    """
    ``moveTo.key`` is a folder, and an object keeps only the last part of its key there: ``raw/a/x.csv`` and
    ``raw/b/x.csv`` get the same name. Kestra overwrites the first with the second. Here the second gets a name of its
    own (``onConflict: suffix``), but the folders are lost unless ``preservePath`` keeps them.
    """
    for part in _triggers(subject):
        moves = part.data.get("action") == "MOVE" and isinstance(part.data.get("moveTo"), dict)
        settled = {"preservePath", "onConflict", "delimiter"} & part.data.keys() or "name" in (
            part.data["moveTo"] if moves else {}
        )
        if moves and not settled:
            yield Hit(
                subject.value((*part.path, "moveTo")),
                "objects of one name from several folders meet at the destination; Kestra overwrites, here the later "
                "one gets a suffix",
                "say what is meant: 'preservePath: true' keeps the folders, 'onConflict' decides about equal names",
            )


def no_region(subject: Subject) -> Iterator[Hit]:
    """
    An S3 trigger names neither ``region`` nor ``endpointOverride``: the region is then that of the machine's
    environment (``AWS_REGION`` or the AWS configuration), and the flow works on one machine only.
    """
    for part in _triggers(subject, S3Trigger):
        if not {"region", "endpointOverride"} & part.data.keys():
            yield Hit(
                subject.key((*part.path, "bucket")),
                "no region is given: it is taken from the environment of the daemon",
                "add 'region: …' to the trigger",
            )


RULES = (
    Rule("TW301", "info", "maxKeys with filter or regexp", limit_before_filter),
    Rule("TW302", "info", "action NONE", limit_without_removal),
    Rule("TW303", "warning", "jq on a text", jq_on_text),
    Rule("TW304", "warning", "destination inside the watched prefix", destination_watched),
    Rule("TW305", "info", "equal names at the destination", same_names),
    Rule("TW306", "warning", "no region", no_region),
)
