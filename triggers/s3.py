"""The triggers that watch a bucket: `aws.s3.Trigger` and `minio.Trigger` (kestra.md §1.1, §1.2)."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from tidewaiter.config.connection import AwsConnection, Connection, MinioConnection
from tidewaiter.config.fields import Optional, PositiveDuration
from tidewaiter.config.spec import Dynamic, ObjectTemplate, Template, misfit
from tidewaiter.triggers.bucket import OnConflict
from tidewaiter.triggers.conditions import Conditions, about_time
from tidewaiter.triggers.moves import MoveTo, Outcome, Tags
from tidewaiter.triggers.ruled import RuledTrigger

Action = Literal["MOVE", "DELETE", "TAG", "NONE"]
Filter = Literal["FILES", "DIRECTORY", "BOTH"]
On = Literal["CREATE", "UPDATE", "CREATE_OR_UPDATE"]


def _empty_if_none(value: Any) -> Any:
    return "" if value is None else value


Count = Annotated[int, Field(ge=1)]
Required = Annotated[str, Field(min_length=1)]


class BucketTrigger(RuledTrigger):
    """
    What both triggers have in common.

    Objects that are meant are taken into custody, *action* is done to them, and an execution starts on them. How a
    destination that is taken is settled tells `settle.Move`; what an overlap is, `overlaps.conflict`; the risk of
    deleting without a condition, reliability.md §3.7 (R2).
    """

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **RuledTrigger.IGNORED,
            "stateKey": "each trigger has its own state",
            "stateTtl": "an object is forgotten when it is no longer in the bucket",
        }
    )

    interval: PositiveDuration = timedelta(minutes=1)
    """How long to wait from the end of one look to the next."""
    bucket: Dynamic[Required]
    """The bucket to watch."""
    prefix: Dynamic[Annotated[str, BeforeValidator(_empty_if_none)]] = ""
    """How the keys of its objects begin."""
    delimiter: Dynamic[Optional] = None
    """Leave out objects whose key has this after the prefix; with ``/``, those in folders."""
    marker: Dynamic[Optional] = None
    """A key; objects up to it are left out."""
    encoding_type: Dynamic[Literal["url"] | None] = None
    """Has no effect: keys always travel URL-encoded and arrive decoded."""
    max_keys: Dynamic[Count] = 1000
    """How many new objects one execution has at most; it never limits what is looked at."""
    filter: Dynamic[Filter] = "BOTH"
    """Take objects, or folder markers (empty objects whose key ends with a slash); ``BOTH`` leaves these out, too."""
    action: Dynamic[Action] = "NONE"
    """What to do with the objects once they are in custody."""
    move_to: MoveTo | None = None
    """Where ``MOVE`` puts them."""
    on: Dynamic[On] = "CREATE_OR_UPDATE"
    """Take new objects, changed ones, or both."""
    access_key_id: Dynamic[Optional] = None
    """The access key; that of the daemon's environment without it."""
    secret_key_id: Dynamic[Optional] = None
    """The secret key that belongs to it."""
    region: Dynamic[Optional] = None
    """The region; that of the daemon's environment without it."""

    allow_overlap: bool = False
    """Accept that other triggers take some of the same objects."""
    tags: Dynamic[Tags | None] = None
    """The tags that ``TAG`` puts on an object."""
    allow_unconditional_delete: bool = False
    """Accept a store that cannot delete conditionally, and the risk that newer content is deleted."""
    keep_versions: bool = False
    """In a versioned bucket, leave the removed version under a delete marker."""
    on_conflict: OnConflict = "suffix"
    """
    What to do when the destination is taken by other content: ``suffix`` takes a free name. The same content counts
    as moved, except with ``fail``.
    """
    preserve_path: bool = False
    """Keep the folders below that of the prefix at the destination."""
    prefetch: Count | None = None
    """How many executions are prepared ahead."""
    on_success: Outcome | None = None
    """Where objects go when their execution has ended in SUCCESS or WARNING."""
    on_failure: Outcome | None = None
    """Where objects go when their execution has failed; a file beside each tells what happened."""
    max_attempts: Count = 1
    """How often an execution is tried before *onFailure* counts."""

    conditions: Conditions = ()
    """What must hold for the trigger to look for objects at all (kestra.md §1.3)."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        checks = (self._has_destination, self._has_tags, self._removes, self._has_both_keys, self._leaves_prefix)
        for check in (*checks, self._keeps_failures):
            if problem := check():
                raise PydanticCustomError("trigger", "{problem}", {"problem": problem})
        if self.preserve_path and self.move_to is not None and self.move_to.name is not None:
            raise misfit("preservePath", "cannot go with moveTo.name", "write the folders into the name: object.path")
        self._can_gather()
        about_time(self.conditions)
        return self

    def _can_gather(self) -> None:
        """A batch must be able to hold as many objects as it needs; the objects of a marker are counted as a set."""
        if self.marked or any(isinstance(limit, Template) for limit in self.limits.values()):
            return
        smallest = min(self.limits, key=self.limits.__getitem__)
        if self.min_objects > self.batch_size:
            raise misfit(
                "minObjects", f"{self.min_objects} never fit into a batch of {self.batch_size}", f"raise {smallest}"
            )

    def _has_destination(self) -> str | None:
        if self.action == "MOVE" and (self.move_to is None or self.move_to.key is None):
            return "action MOVE needs a destination: add 'moveTo: {key: archive/}'"
        return None

    def _has_tags(self) -> str | None:
        if isinstance(self.action, Template) or (self.action == "TAG") is bool(self.tags):
            return None
        if self.action == "TAG":
            return "action TAG needs tags: add 'tags: {state: taken}'"
        return f"tags belong to action TAG, not {self.action}; those of an archived copy are 'moveTo: {{tags: …}}'"

    def _removes(self) -> str | None:
        if self.keep_versions and not self.removes and isinstance(self.action, str):
            return f"keepVersions belongs to what removes objects; {self.action} removes nothing: leave it out"
        return None

    def _has_both_keys(self) -> str | None:
        if (self.access_key_id is None) is not (self.secret_key_id is None):
            return "accessKeyId and secretKeyId go together: give both or none"
        return None

    def _keeps_failures(self) -> str | None:
        if self.on_failure and self.on_failure.action == "DELETE":
            return "onFailure cannot be DELETE: nothing would be left of what failed; move it, or leave onFailure out"
        if self.action == "DELETE" and self.on_success and self.on_success.action == "DELETE":
            return "onSuccess deletes what action DELETE has deleted already; leave one of them out"
        return None

    def _leaves_prefix(self) -> str | None:
        return moves_into_itself(self)

    @property
    def removes(self) -> bool:
        """Whether objects ever leave their place: by the action or by what follows an execution."""
        return self.action in {"MOVE", "DELETE"} or self.on_success is not None or self.on_failure is not None

    @property
    def destinations(self) -> tuple[MoveTo, ...]:
        """Every place to which objects may be moved."""
        ends = (self.on_success, self.on_failure)
        moves = [self.move_to if self.action == "MOVE" else None, *(end.move_to for end in ends if end)]
        return tuple(move for move in moves if move)

    @property
    def limits(self) -> Mapping[str, int]:
        """The properties that limit how many new objects go into one execution, by their names in a flow."""
        return {"maxKeys": self.max_keys}

    @property
    def batch_size(self) -> int:
        """How many new objects at most go into one execution; it never limits the listing (kestra.md D4, D5)."""
        return min(self.limits.values())

    def connection(self) -> Connection:
        """How to reach the store; only for a spec without templates."""
        raise NotImplementedError


class S3Trigger(AwsConnection, BucketTrigger):
    """Watches a bucket on AWS S3 or any store that speaks S3 (kestra.md §1.1)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.Trigger",)

    action: Dynamic[Action]
    max_files: Dynamic[Count] = 25
    """As *maxKeys*; the smaller one counts."""

    @property
    def limits(self) -> Mapping[str, int]:
        """*max_keys* and *max_files*: the smaller one counts."""
        return {"maxKeys": self.max_keys, "maxFiles": self.max_files}


class MinioTrigger(MinioConnection, BucketTrigger):
    """Watches a bucket on MinIO or any store that speaks S3 (kestra.md §1.2)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.Trigger",)


TRIGGERS = (S3Trigger, MinioTrigger)
"""Every trigger type that watches a bucket."""


def moves_into_itself(spec: BucketTrigger) -> str | None:
    """
    Say why objects that *spec* moves would be found again by it, None if they would not or templates keep it open.

    A *delimiter* or a *regexp* is taken as the author's way to leave the destination out; `arrivals` leaves it out in
    any case.
    """
    if any(isinstance(value, Template) for value in (spec.bucket, spec.prefix, spec.delimiter)):
        return None
    known = (
        to
        for to in spec.destinations
        if not any(isinstance(part, Template | ObjectTemplate) for part in (to.bucket, to.key))
    )
    return next((reason for move_to in known if (reason := _comes_back(spec, move_to))), None)


def _comes_back(spec: BucketTrigger, move_to: MoveTo) -> str | None:
    if _moves_onto_itself(spec, move_to):
        return (
            f"moveTo.key '{move_to.key}' is where the objects of prefix '{spec.prefix}' lie: each would be moved "
            "onto itself; choose another folder, or another bucket"
        )
    if spec.regexp is not None or not destination_watched(spec, move_to):
        return None
    return (
        f"moveTo.key '{move_to.key}' lies inside the watched prefix '{spec.prefix}': moved objects would be found "
        "again; choose a folder outside of it, or another bucket"
    )


def _moves_onto_itself(spec: BucketTrigger, move_to: MoveTo) -> bool:
    """Tell whether source and destination are one folder; no pattern and no delimiter makes sense of that."""
    folder = spec.prefix[: spec.prefix.rfind("/") + 1] if spec.preserve_path else spec.prefix
    return same_bucket(spec, move_to) and move_to.folder == folder and move_to.name is None


def same_bucket(spec: BucketTrigger, move_to: MoveTo) -> bool:
    """Tell whether *move_to* is in the bucket that *spec* watches."""
    return (move_to.bucket or spec.bucket) == spec.bucket


def destination_watched(spec: BucketTrigger, move_to: MoveTo) -> bool:
    """
    Tell whether *move_to* is a folder in the sight of *spec*; where it differs for each object, only each can tell.
    """
    return not isinstance(move_to.key, ObjectTemplate) and same_bucket(spec, move_to) and sees(spec, move_to.folder)


def sees(spec: BucketTrigger, key: str) -> bool:
    """Tell whether a listing for *spec* shows *key*, were there such an object in the watched bucket."""
    return key.startswith(spec.prefix) and not (spec.delimiter and spec.delimiter in key[len(spec.prefix) :])
