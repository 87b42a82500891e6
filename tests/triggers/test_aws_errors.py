"""What goes wrong between us and a store, in words: on real stores, and on a server made of faults for the rest."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import (
    Bucket,
    BucketError,
    BucketUnavailableError,
    ObjectChangedError,
    ObjectGoneError,
    S3Object,
)

LISTED = S3Object("b-1", "raw/a.csv", "0" * 32, 4, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def faulty(clients: Clients) -> Callable:
    """Open a bucket on a server that gives one fixed reply to everything."""

    @asynccontextmanager
    async def open_faulty(reply: bytes) -> AsyncIterator[Bucket]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            connection = Connection("us-east-1", f"http://127.0.0.1:{port}", "key", "secret")
            async with clients(connection, "b-1") as bucket:
                yield bucket

    return open_faulty


def reply(status: int, body: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", "Connection: close", f"Content-Length: {len(body)}", *headers, "", body]
    return "\r\n".join(lines).encode()


def error(status: int, code: str, *headers: str, more: str = "") -> bytes:
    return reply(status, f"<Error><Code>{code}</Code><Message>No.</Message>{more}</Error>", *headers)


async def list_all(bucket: Bucket) -> list[S3Object]:
    return [listed async for page in bucket.list("") for listed in page.objects]


@pytest.mark.parametrize(
    ("changed", "cause"),
    [({"access_key_id": "nobody"}, "InvalidAccessKeyId"), ({"secret_key_id": "wrong"}, "SignatureDoesNotMatch")],
)
async def test_wrong_keys(clients: Clients, connection: Connection, changed: dict[str, str], cause: str) -> None:
    """Wrong keys are named by cause, with the property to look at, and never printed."""
    async with clients(replace(connection, **changed), "any-bucket") as bucket:
        with pytest.raises(BucketError) as caught:
            await list_all(bucket)
    assert caught.value.cause == cause
    assert "KeyId" in (caught.value.hint or "")
    assert connection.secret_key_id not in str(caught.value)


async def test_no_credentials(clients: Clients, connection: Connection) -> None:
    """Without any credentials the error says where to put them."""
    bare = replace(connection, access_key_id=None, secret_key_id=None)
    async with clients(bare, "any-bucket") as bucket:
        with pytest.raises(BucketError, match="no credentials") as caught:
            await list_all(bucket)
    assert caught.value.cause == "NoCredentials"


async def test_closed_port(clients: Clients) -> None:
    """A store that is down may be up later."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connection = Connection("us-east-1", f"http://127.0.0.1:{unused.getsockname()[1]}", "key", "secret")
        async with clients(connection, "b-1") as bucket:
            with pytest.raises(BucketUnavailableError):
                await bucket.delete(LISTED)


async def test_invalid_endpoint(clients: Clients) -> None:
    """An endpoint that is no URL is an error for good."""
    async with clients(Connection("us-east-1", "not a url", "key", "secret"), "b-1") as bucket:
        with pytest.raises(BucketError, match="not a url") as caught:
            await list_all(bucket)
    assert not isinstance(caught.value, BucketUnavailableError)


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout")])
async def test_overload_may_pass(faulty: Callable, status: int, code: str) -> None:
    """What the store says of itself and not of the request is worth another try."""
    async with faulty(error(status, code)) as bucket:
        with pytest.raises(BucketUnavailableError) as caught:
            await bucket.delete(LISTED)
    assert caught.value.cause == code


async def test_a_race_with_another_writer_may_pass(faulty: Callable) -> None:
    """409 is the store's word for a conditional request that met another one."""
    async with faulty(error(409, "ConditionalRequestConflict")) as bucket:
        with pytest.raises(BucketUnavailableError):
            await bucket.copy(LISTED, "b-1", "archive/a.csv")


async def test_missing_permission_is_named(faulty: Callable) -> None:
    """A refusal names the IAM action that is missing."""
    async with faulty(error(403, "AccessDenied")) as bucket:
        with pytest.raises(BucketError) as caught:
            await bucket.delete(LISTED)
    assert caught.value.cause == "AccessDenied"
    assert "s3:DeleteObject" in (caught.value.hint or "")


async def test_head_without_permission_is_an_error(faulty: Callable) -> None:
    """A refused HEAD has no body, and is not taken for a free key."""
    async with faulty(reply(403)) as bucket:
        with pytest.raises(BucketError) as caught:
            await bucket.head("raw/a.csv")
    assert caught.value.cause == "AccessDenied"


async def test_wrong_region_is_named(faulty: Callable) -> None:
    """A redirect to another region says which one to set."""
    async with faulty(error(400, "AuthorizationHeaderMalformed", more="<Region>eu-north-1</Region>")) as bucket:
        with pytest.raises(BucketError) as caught:
            await bucket.delete(LISTED)
    assert "eu-north-1" in (caught.value.hint or "")


async def test_archived_object_is_named(faulty: Callable, tmp_path: Path) -> None:
    """An object in an archive tier needs to be restored first."""
    async with faulty(error(403, "InvalidObjectState")) as bucket:
        with pytest.raises(BucketError, match="InvalidObjectState") as caught:
            await bucket.read(LISTED, tmp_path / "data")
    assert "restore" in (caught.value.hint or "")


async def test_an_error_inside_a_200_is_an_error(faulty: Callable) -> None:
    """A copy that fails after its reply began is not taken for a copy."""
    async with faulty(error(200, "InternalError")) as bucket:
        with pytest.raises(BucketUnavailableError, match="InternalError"):
            await bucket.copy(LISTED, "b-1", "archive/a.csv")


@pytest.mark.parametrize("body", ["", "not xml at all"])
async def test_nonsense_in_a_200_is_not_a_copy(faulty: Callable, body: str) -> None:
    """A reply without a copy's result is not taken for a copy."""
    async with faulty(reply(200, body)) as bucket:
        with pytest.raises(BucketError):
            await bucket.copy(LISTED, "b-1", "archive/a.csv")


@pytest.mark.parametrize(
    "body",
    [
        "<html>Welcome</html>",
        "<L><IsTruncated>false</IsTruncated><Contents/></L>",
        "<L><IsTruncated>true</IsTruncated></L>",
    ],
)
async def test_a_web_page_is_not_a_store(faulty: Callable, body: str) -> None:
    """An endpoint that is no S3 API is found out, and never taken for an empty bucket."""
    async with faulty(reply(200, body)) as bucket:
        with pytest.raises(BucketError) as caught:
            await list_all(bucket)
    assert caught.value.cause == "NotS3"


async def test_a_destructive_request_is_sent_once(clients: Clients) -> None:
    """No retry hides in the client: it would turn our own success into a 404 or 412."""
    requests = 0

    async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with clients(Connection("us-east-1", f"http://127.0.0.1:{port}", "key", "secret"), "b-1") as bucket:
            with pytest.raises(BucketUnavailableError):
                await bucket.delete(LISTED)
    assert requests == 1


async def test_a_body_that_ends_early_is_not_a_download(faulty: Callable, tmp_path: Path) -> None:
    """A connection lost in the middle leaves no file and may be tried again."""
    etag = f'ETag: "{LISTED.etag}"'
    cut = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n{etag}\r\n\r\nonly this".encode()
    async with faulty(cut) as bucket:
        with pytest.raises(BucketUnavailableError):
            await bucket.read(LISTED, tmp_path / "data")
    assert not (tmp_path / "data").exists()


async def test_other_content_than_asked_for_is_refused(faulty: Callable, tmp_path: Path) -> None:
    """A server that ignores ``If-Match`` is found out by the ETag of its reply."""
    async with faulty(reply(200, "data", 'ETag: "other"')) as bucket:
        with pytest.raises(ObjectChangedError):
            await bucket.read(LISTED, tmp_path / "data")


async def test_a_store_cannot_forge_log_lines(faulty: Callable) -> None:
    """Control characters in a store's message do not reach ours."""
    async with faulty(error(400, "Bad", more="<X/>").replace(b"No.", b"a&#10;")) as bucket:
        with pytest.raises(BucketError) as caught:
            await bucket.delete(LISTED)
    assert caught.value.message.isprintable()


async def test_versions_gone_are_gone(faulty: Callable, tmp_path: Path) -> None:
    """A removed version is a vanished object."""
    async with faulty(error(404, "NoSuchVersion")) as bucket:
        with pytest.raises(ObjectGoneError):
            await bucket.read(replace(LISTED, version_id="v1"), tmp_path / "data")
