"""How connections become clients and credentials."""

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.aws.clients import defaulted
from tidewaiter.triggers.bucket import Bucket, BucketError

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "env-key", "AWS_SECRET_ACCESS_KEY": "env-secret", "AWS_SESSION_TOKEN": "env-token",
    "AWS_DEFAULT_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
}  # fmt: skip


@dataclass
class Recorder:
    """A server that answers every request with *reply* and keeps its head and body."""

    reply: str
    status: int = 200
    requests: list[str] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", request)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.requests.append(request + body.decode())
        head = f"HTTP/1.1 {self.status} Said\r\nConnection: close\r\nContent-Length: {len(self.reply)}\r\n\r\n"
        writer.write((head + self.reply).encode())
        writer.close()


async def start(stack: AsyncExitStack, reply: str) -> Recorder:
    recorder = Recorder(reply)
    server = await stack.enter_async_context(await asyncio.start_server(recorder.serve, "127.0.0.1", 0))
    recorder.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return recorder


@pytest.fixture
async def store() -> AsyncIterator[Recorder]:
    """A store with empty buckets."""
    async with AsyncExitStack() as stack:
        yield await start(stack, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")


@pytest.fixture
async def sts() -> AsyncIterator[Recorder]:
    """The service that gives out sessions of 15 minutes."""
    async with AsyncExitStack() as stack:
        yield await start(stack, session_ending_in(minutes=15))


def session_ending_in(*, minutes: float) -> str:
    end = (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat()
    return (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>temporary</AccessKeyId><SecretAccessKey>s"
        f"</SecretAccessKey><SessionToken>token-1</SessionToken><Expiration>{end}</Expiration></Credentials>"
        "</AssumeRoleResult></AssumeRoleResponse>"
    )


async def poll(bucket: Bucket) -> None:
    async for _page in bucket.list("raw/"):
        pass


def role(store: Recorder, sts: Recorder) -> Connection:
    return Connection(
        "us-east-1", store.url, "key", "secret", sts_role_arn="arn:aws:iam::123456789012:role/tide",
        sts_role_external_id="outside", sts_endpoint_url=sts.url,
    )  # fmt: skip


def test_environment_fills_what_is_open() -> None:
    """Region, endpoint and keys come from the standard AWS variables when the flow does not say."""
    filled = defaulted(Connection(), ENVIRONMENT)
    assert filled == Connection("eu-west-1", "http://127.0.0.1:1", "env-key", "env-secret", "env-token")


def test_environment_never_mixes_with_given_keys() -> None:
    """A session token belongs to its pair of keys."""
    filled = defaulted(Connection(access_key_id="mine", secret_key_id="own", region="us-east-1"), ENVIRONMENT)
    assert (filled.access_key_id, filled.session_token, filled.region) == ("mine", None, "us-east-1")


def test_secrets_are_not_printed() -> None:
    """A connection in a log or traceback shows no secret."""
    shown = repr(Connection(secret_key_id="hush", session_token="hush", client_pem="hush"))
    assert "hush" not in shown


async def test_equal_connections_share_a_client(clients: Clients, store: Recorder) -> None:
    """Two buckets reached in the same way use the same connections."""
    connection = Connection("us-east-1", store.url, "key", "secret")
    async with clients(connection, "b-1") as one, clients(replace(connection), "b-2") as two:
        await asyncio.gather(poll(one), poll(two))
    assert len(clients._wires) == 1


async def test_connections_with_other_keys_share_a_pool(clients: Clients, store: Recorder) -> None:
    """Keys are for signing: only another way to do TLS needs connections of its own."""
    connection = Connection("us-east-1", store.url, "key", "secret")
    async with clients(connection, "b-1") as one, clients(replace(connection, access_key_id="other"), "b-1") as two:
        await asyncio.gather(poll(one), poll(two))
    assert len(clients._sessions) == 1


async def test_half_a_pair_of_keys(clients: Clients, store: Recorder) -> None:
    """A key without its secret is said to be missing before anything is sent."""
    async with clients(Connection("us-east-1", store.url, "key"), "b-1") as bucket:
        with pytest.raises(BucketError, match="secretKeyId") as caught:
            await poll(bucket)
    assert caught.value.cause == "NoCredentials"
    assert store.requests == []


@pytest.fixture
def profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The files of an AWS profile."""
    (tmp_path / "credentials").write_text("[tide]\naws_access_key_id = of-profile\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[profile tide]\nregion = sa-east-1\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "tide")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)


@pytest.mark.parametrize(("region", "expected"), [(None, "sa-east-1"), ("eu-west-1", "eu-west-1")])
async def test_a_profile_has_keys_and_region(
    clients: Clients, store: Recorder, profile: None, region: str | None, expected: str
) -> None:
    """Without keys the standard chain is asked; the region of the profile is used if there is no other."""
    async with clients(Connection(region, store.url), "b-1") as bucket:
        await poll(bucket)
    assert re.search(rf"(?i)credential=of-profile/\d+/{expected}/s3", store.requests[0])


async def test_session_token_is_sent(clients: Clients, store: Recorder) -> None:
    """A session token goes with every request."""
    async with clients(Connection("us-east-1", store.url, "key", "secret", "token-1"), "b-1") as bucket:
        await poll(bucket)
    assert "x-amz-security-token: token-1" in store.requests[0].lower()


async def test_owner_and_payer_are_sent(clients: Clients, store: Recorder) -> None:
    """The expected owner and who pays go with every request."""
    connection = Connection("us-east-1", store.url, "key", "secret", requester_pays=True, expected_bucket_owner="1234")
    async with clients(connection, "b-1") as bucket:
        await poll(bucket)
    assert "x-amz-request-payer: requester" in store.requests[0].lower()
    assert "x-amz-expected-bucket-owner: 1234" in store.requests[0].lower()


async def test_role_is_assumed_once(clients: Clients, store: Recorder, sts: Recorder) -> None:
    """Requests are signed with the role's session, which is asked for once and not for each of them."""
    async with clients(role(store, sts), "b-1") as bucket:
        await poll(bucket)
        await poll(bucket)
    assert all("credential=temporary/" in request.lower() for request in store.requests)
    assert "x-amz-security-token: token-1" in store.requests[0].lower()
    assert len(sts.requests) == 1


async def test_role_is_asked_for_as_the_flow_says(clients: Clients, store: Recorder, sts: Recorder) -> None:
    """The request for a session names role, external id, duration and a session name of ours."""
    async with clients(role(store, sts), "b-1") as bucket:
        await poll(bucket)
    (asked,) = sts.requests
    assert "role%2Ftide" in asked
    assert "ExternalId=outside" in asked
    assert "DurationSeconds=900" in asked
    assert "RoleSessionName=tidewaiter-" in asked


async def test_role_is_renewed_before_it_ends(clients: Clients, store: Recorder, sts: Recorder) -> None:
    """A session in its last minutes is replaced by a new one."""
    sts.reply = session_ending_in(minutes=2)
    async with clients(role(store, sts), "b-1") as bucket:
        await poll(bucket)
        await poll(bucket)
    assert len(sts.requests) == 2


async def test_a_refused_role_is_named(clients: Clients, store: Recorder, sts: Recorder) -> None:
    """A role that cannot be assumed is named, with what is missing."""
    sts.status = 403
    sts.reply = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>No.</Message></Error></ErrorResponse>"
    async with clients(role(store, sts), "b-1") as bucket:
        with pytest.raises(BucketError, match="role/tide") as caught:
            await poll(bucket)
    assert "sts:AssumeRole" in (caught.value.hint or "")
    assert store.requests == []


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and its own certificate for this machine, in one PEM file."""
    pem = tmp_path / "own.pem"
    subject = ["-subj", "/CN=tide", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", "-", "-out", "-"]
    pem.write_bytes(subprocess.run(made, capture_output=True, check=True).stdout)
    return pem


@pytest.fixture
async def tls_store(certificate: Path) -> AsyncIterator[Recorder]:
    """A store that shows the certificate and wants to see it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificate))
    context.load_cert_chain(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    recorder = Recorder("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
    async with await asyncio.start_server(recorder.serve, "127.0.0.1", 0, ssl=context) as server:
        recorder.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield recorder


async def test_own_certificates_are_used(clients: Clients, tls_store: Recorder, certificate: Path) -> None:
    """``caPem`` vouches for the server, ``clientPem`` for us."""
    pem = certificate.read_text()
    connection = Connection("us-east-1", tls_store.url, "key", "secret", ca_pem=pem, client_pem=pem)
    async with clients(connection, "b-1") as bucket:
        await poll(bucket)
    assert len(tls_store.requests) == 1


async def test_the_bundle_of_the_environment_is_used(tls_store: Recorder, certificate: Path) -> None:
    """``AWS_CA_BUNDLE`` vouches for servers where ``caPem`` is not given."""
    connection = Connection("us-east-1", tls_store.url, "key", "secret", client_pem=certificate.read_text())
    async with Clients({"AWS_CA_BUNDLE": str(certificate)}) as clients, clients(connection, "b-1") as bucket:
        await poll(bucket)
    assert len(tls_store.requests) == 1


async def test_an_unknown_certificate_is_refused(clients: Clients, tls_store: Recorder) -> None:
    """A server nobody vouches for gets no request, and the error names the property."""
    async with clients(Connection("us-east-1", tls_store.url, "key", "secret"), "b-1") as bucket:
        with pytest.raises(BucketError) as caught:
            await poll(bucket)
    assert caught.value.cause == "TLS"
    assert "caPem" in (caught.value.hint or "")
    assert tls_store.requests == []


async def test_the_clock_of_a_store(store: Recorder, connection: Connection, clients: Clients) -> None:
    """It is in the reply to any request, signed or not; a store that does not tell has none."""
    silent = await clients.clock(Connection(endpoint_url=store.url), "b")
    told = await clients.clock(connection, "no-such-bucket")
    assert silent is None
    assert told is not None
    assert abs((told - datetime.now(UTC)).total_seconds()) < 60
    assert "authorization" not in store.requests[0].lower()
