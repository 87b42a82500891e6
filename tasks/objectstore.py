"""
An object store as tasks see it: one bucket, whose calls mean whatever is at a key now. The daemon lends it to them.

Every call may raise a `TidewaiterError` that names the operation, bucket and key, and what to do.
"""

# ruff: noqa: D102 - what a property is, the docstring of its class says

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from tidewaiter.config.connection import Connection

Headers = Mapping[str, str | None]
"""Headers of a request by their names in lower case; those that are None are left out."""


class Listed(Protocol):
    """One object of a listing; *etag* is without quotes, *size* in bytes."""

    @property
    def key(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def last_modified(self) -> datetime: ...


class Page(Protocol):
    """Some objects of a listing, in the order of their keys."""

    @property
    def objects(self) -> Sequence[Listed]: ...


class Stored(Protocol):
    """What is known of a downloaded object; *size* in bytes, *sha256* in hexadecimal and our own."""

    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...
    @property
    def etag(self) -> str: ...
    @property
    def version_id(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def metadata(self) -> Mapping[str, str] | None: ...


class Fetched(Protocol):
    """A download, and the *checksums* that the store keeps, in base64 by algorithm (``SHA256`` …)."""

    @property
    def stored(self) -> Stored: ...
    @property
    def checksums(self) -> Mapping[str, str]: ...


class Written(Protocol):
    """What the store said of an object it has just stored."""

    @property
    def etag(self) -> str | None: ...
    @property
    def version_id(self) -> str | None: ...


class Removed(Protocol):
    """What the store said of a removal."""

    @property
    def version_id(self) -> str | None: ...
    @property
    def delete_marker(self) -> bool | None: ...
    @property
    def request_charged(self) -> str | None: ...


class ObjectBucket(Protocol):
    """One bucket, called *name*."""

    @property
    def name(self) -> str: ...

    def list(self, prefix: str, *, start_after: str | None = None, delimiter: str | None = None) -> AsyncIterator[Page]:
        """Give the objects below *prefix* page by page."""

    async def fetch(
        self, key: str, destination: Path, *, version_id: str | None = None, etag: str | None = None
    ) -> Fetched:
        """Download what is at *key*, or fail if it is not the content with *etag*; after a failure there is no file."""

    async def put(self, source: Path, key: str, headers: Headers) -> Written:
        """Store a local file at *key*, in place of what is there."""

    async def copy_as(
        self, key: str, bucket: str, new_key: str, *, version_id: str | None = None, headers: Headers | None = None
    ) -> str:
        """Copy what is at *key*, in place of what is at the destination, and give the copy's ETag."""

    async def move_as(self, key: str, etag: str, bucket: str, new_key: str, headers: Headers | None = None) -> None:
        """Move the content with *etag*; what is at the destination is never replaced. Safe to repeat."""

    async def discard(self, key: str, etag: str) -> bool:
        """Remove the content with *etag*; tells whether it is gone, other content stays. Safe to repeat."""

    async def remove(self, key: str, headers: Headers | None = None) -> Removed:
        """Remove whatever is at *key*. Safe to repeat."""

    async def create(self, headers: Headers | None = None) -> str | None:
        """Create the bucket and give where the store says it is."""

    async def exists(self) -> bool:
        """Tell whether there is such a bucket that may be used."""


class ObjectStores(Protocol):
    """Opens buckets."""

    def __call__(self, connection: Connection, bucket: str) -> AbstractAsyncContextManager[ObjectBucket]:
        """Give *bucket* reached through *connection*."""
