"""Connections that are shared: one pool for each way to do TLS, one source of keys for each `Connection`."""

import asyncio
import importlib
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

import aiohttp
from yarl import URL

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.address import Addresses
from tidewaiter.triggers.aws.bucket import S3Bucket
from tidewaiter.triggers.aws.errors import Call, no_credentials, tls_failed, translated
from tidewaiter.triggers.aws.plain import PlainBucket
from tidewaiter.triggers.aws.proxies import Proxies
from tidewaiter.triggers.aws.signature import Keys
from tidewaiter.triggers.aws.wire import KeySource, Wire, open_session
from tidewaiter.triggers.bucket import Bucket

if TYPE_CHECKING:
    from tidewaiter.triggers.aws.chain import Chain

_SIGN_IN = Call("sign in", "s3:ListBucket")
_REACH = Call("reach the store", "s3:ListBucket")


def defaulted(connection: Connection, environment: Mapping[str, str]) -> Connection:
    """
    Fill what *connection* leaves open from the standard AWS variables; keys and session token are taken together or not
    at all.
    """
    region = connection.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    endpoint = connection.endpoint_url or environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    sts_endpoint = connection.sts_endpoint_url or environment.get("AWS_ENDPOINT_URL_STS")
    filled = replace(
        connection, region=region or None, endpoint_url=endpoint or None, sts_endpoint_url=sts_endpoint or None
    )
    if connection.access_key_id or not environment.get("AWS_ACCESS_KEY_ID"):
        return filled
    return replace(
        filled,
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_key_id=environment.get("AWS_SECRET_ACCESS_KEY"),
        session_token=environment.get("AWS_SESSION_TOKEN"),
    )


@dataclass(frozen=True, slots=True)
class _Tls:
    """Who vouches for the store, and who for us, in PEM; with neither, the certificates of the system do."""

    ca_pem: str | None = None
    client_pem: str | None = None
    ca_file: str | None = None


def _context(tls: _Tls) -> ssl.SSLContext | None:
    """Give what aiohttp asks for; None for its own context, which it makes in any case."""
    if tls == _Tls():
        return None
    try:
        context = ssl.create_default_context(cafile=None if tls.ca_pem else tls.ca_file, cadata=tls.ca_pem)
        if tls.client_pem:
            _load(context, tls.client_pem)
    except (OSError, ValueError, TypeError) as error:
        raise tls_failed(_SIGN_IN, error) from error
    return context


def _load(context: ssl.SSLContext, pem: str) -> None:
    """Load a certificate with its key; the TLS library reads it from a file, which is kept off the disk."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, pem.encode())
        # With a password, even a wrong one, it does not ask the terminal for that of an encrypted key.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="none")  # noqa: S106  # that is none
    finally:
        os.close(descriptor)


class Clients:
    """
    Opens buckets (`Connect`); owns every connection and closes them all when its ``async with`` block ends.

    *environment* holds the AWS variables as they were when the process started, since the daemon drops secrets from its
    own environment. What is not named there (profiles, container and instance roles) botocore finds by its standard
    chain. A store that sends nothing for *read_timeout* counts as unreachable.
    """

    def __init__(self, environment: Mapping[str, str], read_timeout: timedelta = timedelta(minutes=1)) -> None:
        self._environment = dict(environment)
        self._read_timeout = read_timeout
        self._proxies = Proxies(environment)
        self._open = AsyncExitStack()
        self._wires: dict[Connection, Wire] = {}
        self._sessions: dict[_Tls, aiohttp.ClientSession] = {}
        self._opening = asyncio.Lock()
        self._chain: Chain | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wires.clear()
        self._sessions.clear()
        await self._open.aclose()

    @asynccontextmanager
    async def __call__(self, connection: Connection, bucket: str) -> AsyncIterator[Bucket]:
        """Give *bucket*; it is connected to, and credentials are looked up, at its first call."""
        filled = defaulted(connection, self._environment)
        yield S3Bucket(bucket, filled, partial(self._wire, filled))

    @asynccontextmanager
    async def plain(self, connection: Connection, bucket: str) -> AsyncIterator[PlainBucket]:
        """Give *bucket*, as `__call__` does, for calls that mean whatever is at a key."""
        filled = defaulted(connection, self._environment)
        yield PlainBucket(bucket, filled, partial(self._wire, filled))

    async def clock(self, connection: Connection, bucket: str) -> datetime | None:
        """
        Ask the store for its time: the header ``Date`` of whatever it answers to an unsigned request (RFC 9110
        §6.6.1). None if it does not tell.

        Raises:
            BucketError: it cannot be reached.
        """
        filled = defaulted(connection, self._environment)
        addresses = Addresses(filled)
        session = await self._session(filled, encrypted=addresses.encrypted)
        address = addresses.find(bucket, None, addresses.region)
        with translated(_REACH):
            url = URL(f"{address.origin}{address.path}", encoded=True)
            proxy = self._proxies.find(address)
            async with session.get(url, allow_redirects=False, proxy=proxy) as response:
                said = response.headers.get("Date")
                return parsedate_to_datetime(said) if said else None

    async def _wire(self, connection: Connection) -> Wire:
        if wire := self._wires.get(connection):
            return wire
        async with self._opening:
            if connection not in self._wires:
                self._wires[connection] = await self._make_wire(connection)
            return self._wires[connection]

    async def _make_wire(self, connection: Connection) -> Wire:
        """Make nothing to keep when there are no credentials: a role may be attached at any time."""
        if connection.access_key_id and not connection.sts_role_arn:
            keys = _fixed(connection)
        else:
            found = await self._load_chain().find(connection)
            keys = found.keys
            connection = replace(connection, region=connection.region or found.region)
        addresses = Addresses(connection)
        session = await self._session(connection, encrypted=addresses.encrypted)
        return Wire(session, addresses, keys, self._proxies)

    async def _session(self, connection: Connection, *, encrypted: bool) -> aiohttp.ClientSession:
        bundle = self._environment.get("AWS_CA_BUNDLE")
        tls = _Tls(connection.ca_pem, connection.client_pem, bundle) if encrypted else _Tls()
        if tls not in self._sessions:
            self._sessions[tls] = await self._open.enter_async_context(open_session(_context(tls), self._read_timeout))
        return self._sessions[tls]

    def _load_chain(self) -> "Chain":
        """
        Load aiobotocore only for connections that need it (docs/decisions/0004): at the top of the module it would cost
        every process 10 MB and 0.1 s at its start.
        """
        if self._chain is None:
            self._chain = importlib.import_module("tidewaiter.triggers.aws.chain").Chain(self._open)
        return self._chain


def _fixed(connection: Connection) -> KeySource:
    """Give the keys that *connection* names."""
    if not connection.secret_key_id:
        raise no_credentials(_SIGN_IN, "accessKeyId comes without secretKeyId")
    keys = Keys(connection.access_key_id or "", connection.secret_key_id, connection.session_token)

    async def give() -> Keys:
        return keys

    return give
