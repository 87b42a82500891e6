"""Where a trigger moves objects to, and which objects its action must not be done to (reliability.md §2.3)."""

from collections.abc import Callable

from tidewaiter.config.spec import ObjectTemplate
from tidewaiter.triggers.bucket import S3Object
from tidewaiter.triggers.keys import basename, below, danger
from tidewaiter.triggers.moves import MoveTo, as_folder
from tidewaiter.triggers.s3 import BucketTrigger, destination_watched, sees

Render = Callable[[str], str]
"""Gives the text of an expression's source for one object."""

Place = tuple[str, str]
"""Bucket and key."""

Means = Callable[[str], bool]
"""Tells whether a trigger means a key that it sees."""

_LONGEST = 1024


def is_folder_marker(listed: S3Object) -> bool:
    """Tell whether *listed* is only there to make a folder appear in a console."""
    return listed.size == 0 and listed.key.endswith("/")


def was_moved(spec: BucketTrigger, key: str) -> bool:
    """Tell whether *key* lies where *spec* moves all objects to, inside the prefix it watches."""
    return any(
        move.folder and destination_watched(spec, move) and key.startswith(move.folder) for move in spec.destinations
    )


def refusal(spec: BucketTrigger, listed: S3Object) -> str | None:
    """Say why *spec* must not move or delete *listed*, wherever it goes, None if it may."""
    if not spec.removes:
        return None
    if is_folder_marker(listed):
        return "it is a folder marker"
    if spec.destinations and not basename(listed.key):
        return danger(listed.key) or "its key ends with a slash, so it has no name at the destination"
    return danger(listed.key)


def destination(spec: BucketTrigger, listed: S3Object, move: MoveTo, render: Render) -> Place:
    """
    Give bucket and key *listed* moves to: the folder ``moveTo.key`` and the object's name (kestra.md D1, D13), or
    ``moveTo.name``. *move* is that of the action or of an outcome; *render* is asked for what differs from object to
    object, and what it gives is hostile: see `objection`.

    With ``preservePath`` the name keeps the folders below the folder of ``prefix``: with ``prefix: raw/`` the object
    ``raw/a/x.csv`` becomes ``archive/a/x.csv``, without it ``archive/x.csv``.

    Raises:
        ExpressionError: an expression of ``moveTo`` fails for *listed*.
    """
    # An expression that gives nothing must not mean the top of the bucket: the slash stays, to be objected to.
    folder = (as_folder(render(move.key.source)) or "/") if isinstance(move.key, ObjectTemplate) else move.folder
    name = below(spec.prefix, listed.key) if spec.preserve_path else basename(listed.key)
    if move.name is not None:
        name = render(move.name.source) if isinstance(move.name, ObjectTemplate) else move.name
    return move.bucket or spec.bucket, folder + name


def objection(spec: BucketTrigger, listed: S3Object, move: MoveTo, place: Place, means: Means) -> str | None:
    """
    Say why *listed* must not be moved to *place*, where *move* puts it, None if it may. *means* tells whether the
    trigger means a key that it sees.
    """
    bucket, key = place
    if len(key.encode(errors="surrogatepass")) > _LONGEST:
        return f"its key at the destination would be longer than {_LONGEST} bytes"
    if _is_rendered(move) and (problem := danger(key) or _hollow(key)):
        return f"its destination {key!r} is not safe: {problem}"
    if place == (listed.bucket, listed.key):
        return "it would be moved onto itself"
    if bucket == listed.bucket and sees(spec, key) and not was_moved(spec, key) and means(key):
        return "its destination would be found again by the trigger"
    return None


def _is_rendered(move: MoveTo) -> bool:
    return isinstance(move.key, ObjectTemplate) or move.name is not None


def _hollow(key: str) -> str | None:
    return None if all(key.split("/")) else "a part between its slashes is empty"
