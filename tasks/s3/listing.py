"""Which objects of a bucket a task means; and the task List."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tidewaiter.config.connection import AwsConnection, Connection, MinioConnection
from tidewaiter.config.errors import ExpressionError, TaskError
from tidewaiter.config.expression.java_regex import compiled
from tidewaiter.config.fields import Optional, Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.objectstore import Listed, ObjectBucket

MAX_LISTED = 10_000
"""Objects that one task handles, whatever its properties say: they become outputs."""

Required = Annotated[Text, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]
Filter = Literal["FILES", "DIRECTORY", "BOTH"]


class StoreSpec(TaskSpec):
    """What every task on a store has in common."""

    def connection(self) -> Connection:
        """How to reach the store; only for a spec without templates."""
        raise NotImplementedError


class ListingSpec(StoreSpec):
    """
    Objects of *bucket* below *prefix* whose whole key matches *regexp* (Java syntax), after the key *marker*; with a
    *delimiter* those of deeper levels are left out. *filter* tells folder markers, whose key ends with a slash, from
    the rest.
    """

    bucket: Dynamic[Required]
    """The bucket."""
    prefix: Dynamic[Optional] = None
    """How the keys begin."""
    delimiter: Dynamic[Optional] = None
    """Leave out objects whose key has this after the prefix."""
    marker: Dynamic[Optional] = None
    """A key; objects up to it are left out."""
    regexp: Dynamic[Optional] = None
    """A regular expression in Java's syntax for the whole key."""
    filter: Dynamic[Filter] = "BOTH"
    """Take objects, folder markers (their key ends with a slash), or both."""

    @property
    def limits(self) -> dict[str, int]:
        """The properties that limit how many objects are taken, by their names in a flow."""
        return {}


class AwsListing(AwsConnection, ListingSpec):
    """A selection of objects on AWS, of which at most *max_keys* are taken."""

    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**ListingSpec.IGNORED, "encodingType": "keys always travel encoded and arrive as they are"}
    )

    max_keys: Dynamic[Count] = 1000
    """How many objects at most."""

    @property
    def limits(self) -> dict[str, int]:
        """The one there is."""
        return {"maxKeys": self.max_keys}


class AwsFiles(AwsListing):
    """A selection of objects on AWS that become outputs. *max_keys* and *max_files*: the smaller one counts."""

    max_files: Dynamic[Count] = 25
    """As *maxKeys*; the smaller one counts."""

    @property
    def limits(self) -> dict[str, int]:
        """Both of them."""
        return {"maxFiles": self.max_files, "maxKeys": self.max_keys}


class MinioListing(MinioConnection, ListingSpec):
    """A selection of objects on MinIO, which has no limit of its own: *max_keys* is the size of a page there."""

    max_keys: Dynamic[Count] = 1000
    """The size of a page of the listing; it limits nothing."""


class List(AwsFiles):
    """List objects (Kestra's documentation of ``aws.s3.List``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.aws.s3.List",)


class MinioList(MinioListing):
    """List objects (Kestra's documentation of ``minio.List``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.minio.List",)
    IGNORED: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**MinioListing.IGNORED, "includeVersions": "current objects are listed, old versions never (kestra.md D12)"}
    )

    start_after: Dynamic[Optional] = None
    """A key; objects up to it are left out."""
    recursive: Dynamic[bool] = True
    """Take objects of deeper levels, too."""


async def run_list(spec: List | MinioList, context: TaskContext) -> Result:
    """Do a `List` task: its output is ``objects``."""
    async with context.stores(spec.connection(), spec.bucket) as bucket:
        objects = await selected(_resolved(spec), bucket, context)
    return Result(outputs={"objects": [described(item) for item in objects]})


def _resolved(spec: List | MinioList) -> ListingSpec:
    """Say with the properties of any listing what those of MinIO alone say."""
    if isinstance(spec, List):
        return spec
    changes = {
        "marker": spec.marker or spec.start_after,
        "delimiter": spec.delimiter or (None if spec.recursive else "/"),
    }
    return spec.model_copy(update=changes)


def described(item: Listed) -> dict[str, Any]:
    """Give an object as outputs show it, as ``trigger.objects`` does (kestra.md §1.1)."""
    modified = item.last_modified.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"key": item.key, "etag": item.etag, "size": item.size, "lastModified": modified}


async def selected(spec: ListingSpec, bucket: ObjectBucket, context: TaskContext) -> list[Listed]:
    """
    Give the objects that *spec* means, at most as many as it says, which the log tells where there are more. The limits
    count what matches, not what is looked at (kestra.md D4).

    Raises:
        TaskError: the regular expression is none, or there are more than `MAX_LISTED`.
    """
    name, limit = min(spec.limits.items(), key=lambda item: item[1], default=("", MAX_LISTED))
    found: list[Listed] = []
    async for item in matching(spec, bucket):
        if len(found) == limit:
            break
        found.append(item)
    else:
        return found
    if limit >= MAX_LISTED:
        raise TaskError(f"more than {MAX_LISTED} objects of bucket '{bucket.name}' match", "narrow prefix or regexp")
    context.log("WARN", f"more objects match than {name} allows ({limit}); only the first of them are taken")
    return found


async def matching(spec: ListingSpec, bucket: ObjectBucket) -> AsyncIterator[Listed]:
    """Give every object that *spec* means, in the order of keys. Raises `TaskError` for a wrong regular expression."""
    try:
        expression = compiled(spec.regexp) if spec.regexp else None
    except ExpressionError as error:
        raise TaskError(f"regexp: {error.message}") from error
    async for page in bucket.list(spec.prefix or "", start_after=spec.marker, delimiter=spec.delimiter):
        for item in page.objects:
            if _passes(item.key, spec.filter) and (expression is None or expression.fullmatch(item.key)):
                yield item


def _passes(key: str, filter_: Filter) -> bool:
    return filter_ == "BOTH" or key.endswith("/") is (filter_ == "DIRECTORY")
