"""How requests are sent: how often, with what, and what of the reply counts."""

import asyncio
import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket, BucketError, BucketUnavailableError, Removal, S3Object

LISTED = S3Object("b-1", "raw/a.csv", "0" * 32, 4, datetime(2026, 1, 1, tzinfo=UTC))
EMPTY = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
BROKEN = b""
"""Instead of a reply: the connection is closed."""
CUT = f"HTTP/1.1 200 Said\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{EMPTY}".encode()


def reply(status: int, body: str | bytes = "", *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + content


def error(status: int, code: str, more: str = "") -> bytes:
    return reply(status, f"<Error><Code>{code}</Code>{more}</Error>")


@dataclass
class Script:
    """A server that gives *replies* one after the other, the last one for ever, on connections that stay open."""

    replies: Sequence[bytes]
    port: int = 0
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while answer := await self.answer(reader):
                writer.write(answer)
                if b"Connection: close" in answer:
                    break
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def answer(self, reader: asyncio.StreamReader) -> bytes:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        self.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
        self.requests.append(head)
        return self.replies[min(len(self.requests), len(self.replies)) - 1]


@pytest.fixture
async def scripted(clients: Clients) -> AsyncIterator[Callable]:
    """Open a bucket on a server that follows a script."""
    async with AsyncExitStack() as stack:

        async def open_scripted(*replies: bytes) -> tuple[Bucket, Script]:
            script = Script(replies)
            server = await stack.enter_async_context(await asyncio.start_server(script.serve, "127.0.0.1", 0))
            script.port = server.sockets[0].getsockname()[1]
            # The pool goes first: a server waits for its connections to end.
            stack.push_async_exit(clients)
            connection = Connection("us-east-1", f"http://127.0.0.1:{script.port}", "key", "secret")
            return await stack.enter_async_context(clients(connection, "b-1")), script

        yield open_scripted


async def list_all(bucket: Bucket) -> list[S3Object]:
    return [listed async for page in bucket.list("raw/") for listed in page.objects]


async def remove(bucket: Bucket, _folder: Path) -> None:
    await bucket.delete(LISTED)


async def copy(bucket: Bucket, _folder: Path) -> None:
    await bucket.copy(LISTED, "b-1", "archive/a.csv")


async def upload(bucket: Bucket, folder: Path) -> None:
    (folder / "local").write_bytes(b"data")
    await bucket.upload(folder / "local", "b-1", "archive/a.csv")


@pytest.mark.parametrize("write", [remove, copy, upload])
async def test_a_write_is_sent_once_on_a_connection_that_breaks(
    scripted: Callable, tmp_path: Path, write: Callable
) -> None:
    """A request on a connection kept open is not repeated when that breaks: it may have been carried out."""
    bucket, script = await scripted(reply(200, EMPTY), BROKEN)
    await list_all(bucket)
    with pytest.raises(BucketUnavailableError):
        await write(bucket, tmp_path)
    assert (len(script.requests), script.connections) == (2, 1)


@pytest.mark.parametrize("write", [remove, copy, upload])
async def test_a_write_is_sent_once_to_a_store_in_trouble(scripted: Callable, tmp_path: Path, write: Callable) -> None:
    """What a 500 has done nobody knows."""
    bucket, script = await scripted(error(500, "InternalError"))
    with pytest.raises(BucketUnavailableError):
        await write(bucket, tmp_path)
    assert len(script.requests) == 1


@pytest.mark.parametrize("trouble", [BROKEN, error(503, "SlowDown"), reply(500), CUT])
async def test_a_listing_is_asked_for_again(scripted: Callable, trouble: bytes) -> None:
    """A read is repeated after a lost connection, an overload or a reply without end."""
    bucket, script = await scripted(trouble, trouble, reply(200, EMPTY))
    assert await list_all(bucket) == []
    assert len(script.requests) == 3


async def test_a_read_is_given_up_after_three_attempts(scripted: Callable, tmp_path: Path) -> None:
    """A store that stays in trouble is the caller's to try again, later."""
    bucket, script = await scripted(error(503, "SlowDown"))
    with pytest.raises(BucketUnavailableError, match="SlowDown"):
        await bucket.read(LISTED, tmp_path / "data")
    assert len(script.requests) == 3


async def test_a_refused_read_is_not_repeated(scripted: Callable) -> None:
    """No would be no again."""
    bucket, script = await scripted(error(403, "AccessDenied"))
    with pytest.raises(BucketError):
        await list_all(bucket)
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "elsewhere",
    [
        error(400, "AuthorizationHeaderMalformed", "<Region>eu-north-1</Region>"),
        reply(301, "", "x-amz-bucket-region: eu-north-1", "Location: http://127.0.0.1:9/"),
    ],
)
async def test_the_right_region_is_learned(scripted: Callable, elsewhere: bytes) -> None:
    """A store that says where a bucket is gets this and all later requests signed for there."""
    bucket, script = await scripted(elsewhere, reply(200, EMPTY))
    await list_all(bucket)
    await bucket.delete(LISTED)
    regions = [re.search(r"/\d{8}/([^/]+)/s3", request)[1] for request in script.requests]
    assert regions == ["us-east-1", "eu-north-1", "eu-north-1"]


async def test_regions_do_not_go_round_in_circles(scripted: Callable) -> None:
    """A store that sends us away twice is an error that names the region."""
    away = [error(301, "PermanentRedirect", f"<Region>eu-{number}</Region>") for number in range(4)]
    bucket, script = await scripted(*away)
    with pytest.raises(BucketError) as caught:
        await list_all(bucket)
    assert "set region: eu-1" in (caught.value.hint or "")
    assert len(script.requests) == 2


async def test_no_region_is_learned_from_nonsense(scripted: Callable) -> None:
    """What cannot be a region is not asked for, now or later."""
    bucket, script = await scripted(error(301, "PermanentRedirect", "<Region>a/b</Region>"))
    with pytest.raises(BucketError, match="PermanentRedirect"):
        await list_all(bucket)
    assert len(script.requests) == 1


async def test_a_redirect_is_not_followed(scripted: Callable) -> None:
    """Nobody but the endpoint gets our requests."""
    bucket, script = await scripted(reply(307, "", "Location: /b-1/other"))
    with pytest.raises(BucketError):
        await bucket.delete(LISTED)
    assert len(script.requests) == 1


async def test_the_content_of_an_upload_is_signed(scripted: Callable, tmp_path: Path) -> None:
    """The store can check every byte, and nobody can change one on the way."""
    bucket, script = await scripted(reply(200))
    await upload(bucket, tmp_path)
    assert script.bodies == [b"data"]
    assert f"x-amz-content-sha256: {hashlib.sha256(b'data').hexdigest()}" in script.requests[0]


async def test_keys_go_on_the_wire_as_they_are(scripted: Callable) -> None:
    """A key with dots and slashes is not tidied up to another one."""
    bucket, script = await scripted(reply(204))
    await bucket.delete_unconditionally("../other//./a%2F b")
    assert script.requests[0].startswith("DELETE /b-1/../other//./a%252F%20b HTTP/1.1\r\n")


async def test_the_host_has_its_port(scripted: Callable) -> None:
    """The host that is signed is the one that is sent, once."""
    bucket, script = await scripted(reply(200, EMPTY))
    await list_all(bucket)
    assert re.findall(r"(?im)^host: (.*)\r$", script.requests[0]) == [f"127.0.0.1:{script.port}"]


async def test_encoded_content_is_not_decoded(scripted: Callable, tmp_path: Path) -> None:
    """Real gzip arrives as gzip, in the length that was announced."""
    packed = gzip.compress(b"data" * 100)
    bucket, _script = await scripted(reply(200, packed, "Content-Encoding: gzip", f'ETag: "{LISTED.etag}"'))
    stored = await bucket.read(LISTED, tmp_path / "data")
    assert (tmp_path / "data").read_bytes() == packed
    assert stored.size == len(packed)


async def test_a_web_page_is_no_missing_object(scripted: Callable) -> None:
    """A 404 of something that is no store does not say that an object is gone."""
    bucket, _script = await scripted(reply(404, "<html>Not here</html>"))
    with pytest.raises(BucketError) as caught:
        await bucket.delete(LISTED)
    assert caught.value.cause == "404"


async def test_a_bare_404_is_a_missing_object(scripted: Callable) -> None:
    """Some stores say no more than the status."""
    bucket, _script = await scripted(reply(404))
    assert await bucket.delete(LISTED) is Removal.ALREADY_GONE


async def test_a_listing_with_a_document_type_is_refused(scripted: Callable) -> None:
    """Entities are for attacks only."""
    bucket, _script = await scripted(reply(200, f"<!DOCTYPE x>{EMPTY}"))
    with pytest.raises(BucketError) as caught:
        await list_all(bucket)
    assert caught.value.cause == "NotS3"


async def test_a_listing_without_an_end_is_given_up(scripted: Callable) -> None:
    """A store that names the same page as the next one would be asked for ever."""
    more = "<IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"
    page = f"<ListBucketResult>{more}</ListBucketResult>"
    bucket, _script = await scripted(reply(200, page))
    with pytest.raises(BucketUnavailableError, match="again and again"):
        await list_all(bucket)


async def test_an_error_inside_a_listing_is_an_error(scripted: Callable) -> None:
    """A listing that fails after its reply began is not empty."""
    bucket, _script = await scripted(error(200, "SlowDown"))
    with pytest.raises(BucketUnavailableError, match="SlowDown"):
        await list_all(bucket)


@pytest.mark.parametrize(("status", "size"), [(200, 17 * 1024**2), (403, 65 * 1024)])
async def test_an_endless_reply_is_not_kept(scripted: Callable, status: int, size: int) -> None:
    """A listing is at most 16 MiB, an error 64 KiB."""
    bucket, _script = await scripted(reply(status, b"<a>" + b" " * size + b"</a>"))
    with pytest.raises(BucketError, match=r"not (one|a reply) of S3"):
        await list_all(bucket)


async def test_a_store_that_says_nothing_is_given_up() -> None:
    """A write whose reply does not come fails after the time that was set, and is sent once."""
    received: list[bytes] = []
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        store = Connection("us-east-1", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key", "secret")
        async with Clients({}, timedelta(seconds=0.1)) as clients, clients(store, "b-1") as bucket:
            with pytest.raises(BucketUnavailableError):
                await bucket.delete(LISTED)
        await left.wait()
    assert len(received) == 1


async def test_a_store_behind_a_proxy(connection: Connection, bucket_name: str) -> None:
    """The proxy that the environment names is asked, with the name and password in its URL, unless it says not to."""
    script = Script([reply(200, EMPTY)])
    async with await asyncio.start_server(script.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        environment = {"HTTP_PROXY": f"http://me:pw@127.0.0.1:{port}", "no_proxy": "127.0.0.1"}
        remote = Connection("us-east-1", "http://store.invalid:90", "key", "secret")
        async with Clients(environment) as clients, clients(remote, "b-1") as far:
            await list_all(far)
            async with clients(connection, bucket_name) as near:
                await list_all(near)
    (request,) = script.requests
    assert request.startswith("GET http://store.invalid:90/b-1?")
    assert "Proxy-Authorization: Basic bWU6cHc=" in request


@pytest.mark.parametrize(
    "certificate", [{"ca_pem": "none"}, {"client_pem": "none"}, {"ca_pem": "-----BEGIN CERTIFICATE-----\nä"}]
)
async def test_no_certificate(clients: Clients, certificate: dict[str, str]) -> None:
    """What is no PEM is an error of TLS."""
    async with clients(Connection("us-east-1", "https://127.0.0.1:9", "key", "secret", **certificate), "b-1") as bucket:
        with pytest.raises(BucketError) as caught:
            await list_all(bucket)
    assert caught.value.cause == "TLS"


def test_botocore_is_not_loaded_for_given_keys() -> None:
    """Importing the client leaves aiobotocore alone (docs/decisions/0004)."""
    code = "import sys, tidewaiter.triggers.aws; print([name for name in sys.modules if 'botocore' in name])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ran.stdout.strip() == "[]"
