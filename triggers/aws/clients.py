"""Sessions, credentials and clients: one pair of clients for each distinct `Connection`."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentialResolver, AioDeferredRefreshableCredentials
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from botocore.exceptions import NoCredentialsError

from tidewaiter.triggers.aws.bucket import Pair, S3Bucket
from tidewaiter.triggers.aws.errors import Call, translated
from tidewaiter.triggers.bucket import Bucket, Connection

_CONNECT_SECONDS = 10
_READ_SECONDS = 60
_POOL = 64
_READ_ATTEMPTS = 3


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


class Clients:
    """
    Opens buckets (`Connect`); owns every client and closes them all when its ``async with`` block ends.

    *environment* holds the AWS variables as they were when the process started, since the daemon drops secrets from its
    own environment. What is not named there (profiles, container and instance roles) botocore finds by its standard
    chain.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._open = AsyncExitStack()
        self._pairs: dict[Connection, Pair] = {}
        self._opening = asyncio.Lock()
        self._models = AioSession().get_component("data_loader")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pairs.clear()
        await self._open.aclose()

    @asynccontextmanager
    async def __call__(self, connection: Connection, bucket: str) -> AsyncIterator[Bucket]:
        """Give *bucket*; its clients are made, and credentials looked up, at its first call."""
        filled = defaulted(connection, self._environment)
        yield S3Bucket(bucket, filled, partial(self._pair, filled))

    async def _pair(self, connection: Connection) -> Pair:
        if pair := self._pairs.get(connection):
            return pair
        async with self._opening:
            if connection not in self._pairs:
                self._pairs[connection] = await self._make_pair(connection)
            return self._pairs[connection]

    async def _make_pair(self, connection: Connection) -> Pair:
        with translated(Call("sign in", "sts:AssumeRole")):
            session = await self._session(connection)
            # A client made without credentials would stay so, although a role may be attached at any time.
            if not connection.access_key_id and await session.get_credentials() is None:
                raise NoCredentialsError
            return Pair(
                reading=await self._client(session, connection, attempts=_READ_ATTEMPTS),
                writing=await self._client(session, connection, attempts=1),
            )

    async def _session(self, connection: Connection) -> AioSession:
        session = AioSession()
        session.register_component("data_loader", self._models)
        if connection.sts_role_arn:
            role = _Role(connection, await self._sts_client(session, connection))
            session = AioSession()
            session.register_component("data_loader", self._models)
            session.register_component("credential_provider", AioCredentialResolver([role]))
        return session

    async def _client(self, session: AioSession, connection: Connection, *, attempts: int) -> Any:
        style = {None: "auto", True: "path", False: "virtual"}[connection.path_style]
        config = AioConfig(
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            max_pool_connections=_POOL,
            tcp_keepalive=True,
            retries={"mode": "standard", "total_max_attempts": attempts},
            s3={"addressing_style": style},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            http_session_cls=AIOHTTPSession if attempts > 1 else _OnceHTTPSession,
            client_cert=self._file(connection.client_pem),
        )
        keys = {} if connection.sts_role_arn else _keys(connection)
        return await self._open.enter_async_context(
            session.create_client(
                "s3",
                region_name=connection.region,
                endpoint_url=connection.endpoint_url,
                config=config,
                verify=self._file(connection.ca_pem),
                **keys,
            )
        )

    def _file(self, pem: str | None) -> str | None:
        """Give *pem* the file name that the TLS library asks for, without leaving a key on a disk."""
        if pem is None:
            return None
        descriptor = os.memfd_create("pem")
        self._open.callback(os.close, descriptor)
        os.write(descriptor, pem.encode())
        return f"/proc/self/fd/{descriptor}"

    async def _sts_client(self, session: AioSession, connection: Connection) -> Any:
        return await self._open.enter_async_context(
            session.create_client(
                "sts",
                region_name=connection.region or "us-east-1",
                endpoint_url=connection.sts_endpoint_url,
                config=AioConfig(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
                **_keys(connection),
            )
        )


class _OnceHTTPSession(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
    """Sends every request once: aiohttp alone repeats PUT and DELETE when a connection breaks (RFC 9112 §9.3.1)."""

    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        session._retry_connection = False  # noqa: SLF001  # aiohttp has no public switch for it
        return session


def _keys(connection: Connection) -> dict[str, str | None]:
    if not connection.access_key_id:
        return {}
    return {
        "aws_access_key_id": connection.access_key_id,
        "aws_secret_access_key": connection.secret_key_id,
        "aws_session_token": connection.session_token,
    }


class _RoleCredentials(AioDeferredRefreshableCredentials):  # type: ignore[misc]  # botocore is untyped
    """Renewed in the last five minutes: botocore's fifteen would renew a session of 15 minutes at every request."""

    _advisory_refresh_timeout = 5 * 60
    _mandatory_refresh_timeout = 60


class _Role:
    """
    A botocore credential provider that assumes the role of a connection, and again before the session ends.

    The role is assumed when the first request is signed.
    """

    METHOD = "sts-assume-role"
    CANONICAL_NAME = None

    def __init__(self, connection: Connection, sts: Any) -> None:
        self._connection = connection
        self._sts = sts

    async def load(self) -> _RoleCredentials:
        """Give credentials that fetch and renew themselves."""
        return _RoleCredentials(self._assume, self.METHOD)

    async def _assume(self) -> dict[str, str]:
        wanted = self._connection
        external = {"ExternalId": wanted.sts_role_external_id} if wanted.sts_role_external_id else {}
        with translated(Call(f"assume the role {wanted.sts_role_arn!r}", "sts:AssumeRole")):
            answer = await self._sts.assume_role(
                RoleArn=wanted.sts_role_arn,
                DurationSeconds=int(wanted.sts_role_session_duration.total_seconds()),
                RoleSessionName=wanted.sts_role_session_name or f"tidewaiter-{int(time.time() * 1000)}",
                **external,
            )
        given = answer["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }
