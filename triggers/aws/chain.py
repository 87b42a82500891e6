"""
Credentials that have to be found or renewed: the standard AWS chain and roles, by aiobotocore.

Nothing else needs aiobotocore, so this module is loaded by `triggers.aws.clients` when a connection has no keys of its
own (docs/decisions/0004).
"""

import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioCredentialResolver, AioDeferredRefreshableCredentials
from aiobotocore.session import AioSession
from botocore import exceptions

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws.errors import Call, Refusal, answered, no_credentials, plain, tls_failed, unreachable
from tidewaiter.triggers.aws.signature import Keys
from tidewaiter.triggers.aws.wire import KeySource
from tidewaiter.triggers.bucket import BucketError

_CONNECT_SECONDS = 10
_READ_SECONDS = 60

_NETWORK = (exceptions.HTTPClientError, exceptions.ConnectionError)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.RefreshWithMFAUnsupportedError,
    exceptions.MetadataRetrievalError,
)
_SIGN_IN = Call("sign in", "sts:AssumeRole")


@dataclass(frozen=True, slots=True)
class Found:
    """Where a connection's keys come from, and the *region* that its profile names, if any."""

    keys: KeySource
    region: str | None


class Chain:
    """Finds credentials by the standard AWS chain and assumes roles; what it opens is closed with *stack*."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self._models = AioSession().get_component("data_loader")

    async def find(self, connection: Connection) -> Found:
        """
        Look for the credentials of *connection*; a role is assumed when the first request is signed.

        Raises:
            BucketError: there are none, *cause* ``NoCredentials``, or AWS refuses to give them.
            BucketUnavailableError: the service that gives them cannot be reached.
        """
        with _translated(_SIGN_IN):
            session = self._session()
            region = session.get_config_variable("region")
            if connection.sts_role_arn:
                role = _Role(connection, await self._sts_client(session, connection, region))
                session = self._session()
                session.register_component("credential_provider", AioCredentialResolver([role]))
            credentials = await session.get_credentials()
            if credentials is None:
                raise exceptions.NoCredentialsError
        return Found(_Source(credentials), region)

    def _session(self) -> AioSession:
        session = AioSession()
        session.register_component("data_loader", self._models)
        return session

    async def _sts_client(self, session: AioSession, connection: Connection, region: str | None) -> Any:
        return await self._stack.enter_async_context(
            session.create_client(
                "sts",
                region_name=connection.region or region or "us-east-1",
                endpoint_url=connection.sts_endpoint_url,
                config=AioConfig(connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS),
                aws_access_key_id=connection.access_key_id,
                aws_secret_access_key=connection.secret_key_id,
                aws_session_token=connection.session_token,
            )
        )


class _Source:
    """Keys from botocore's credentials, which renew themselves when they are about to end."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials

    async def __call__(self) -> Keys:
        with _translated(_SIGN_IN):
            frozen = await self._credentials.get_frozen_credentials()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)


class _RoleCredentials(AioDeferredRefreshableCredentials):  # type: ignore[misc]  # botocore is untyped
    """Renewed in the last five minutes: botocore's fifteen would renew a session of 15 minutes at every request."""

    _advisory_refresh_timeout = 5 * 60
    _mandatory_refresh_timeout = 60


class _Role:
    """A botocore credential provider that assumes the role of a connection, and again before the session ends."""

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
        with _translated(Call(f"assume the role {wanted.sts_role_arn!r}", "sts:AssumeRole")):
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


@contextmanager
def _translated(call: Call) -> Iterator[None]:
    """Turn what botocore raises inside the block into the `BucketError` family."""
    try:
        yield
    except exceptions.ClientError as error:
        said = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise answered(Refusal(status, said.get("Code"), str(said.get("Message", ""))), call) from error
    except _NO_CREDENTIALS as error:
        raise no_credentials(call, str(error)) from error
    except exceptions.SSLError as error:
        raise tls_failed(call, error) from error
    except _NETWORK as error:
        raise unreachable(call, error) from error
    except exceptions.BotoCoreError as error:
        raise BucketError(f"cannot {call.does}: {plain(str(error))}", cause=type(error).__name__) from error
