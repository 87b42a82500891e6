"""The HTTP tasks, against a server on loopback."""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from tidewaiter.config.errors import TaskError
from tidewaiter.tasks.http import Download, Request, run_download, run_request
from tidewaiter.tasks.httpclient import MAX_REDIRECTS
from tidewaiter.tasks.httpguard import GuardedResolver, forbidden
from tidewaiter.tasks.httpoptions import HttpOptions


async def echo(request: web.Request) -> web.Response:
    """Tell what arrived."""
    body = await request.read()
    told = {
        "method": request.method,
        "path": request.path,
        "query": [list(pair) for pair in request.query.items()],
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": body.decode(),
    }
    return web.json_response(told)


async def form(request: web.Request) -> web.Response:
    """Tell the parts of a form, files with their names."""
    told = {}
    for name, value in (await request.post()).items():
        told[name] = [value.filename, value.file.read().decode()] if isinstance(value, web.FileField) else value
    return web.json_response(told)


async def status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]), text="because")


async def to(request: web.Request) -> web.Response:
    code = int(request.query.get("code", "302"))
    return web.Response(status=code, headers={"Location": request.query["where"]})


async def circle(_request: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/circle"})


async def long(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 120_000)


async def binary(_request: web.Request) -> web.Response:
    return web.Response(body=b"\xff\xfe\x00", content_type="application/octet-stream")


async def empty(_request: web.Request) -> web.Response:
    return web.Response()


async def named(request: web.Request) -> web.Response:
    return web.Response(text="data", headers={"Content-Disposition": request.query["as"], "X-Twice": "1"})


async def never(_request: web.Request) -> web.Response:
    await asyncio.sleep(60)
    return web.Response()


async def cut(request: web.Request) -> web.StreamResponse:
    """Announce more than is sent."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport is not None
    request.transport.close()
    return response


@pytest.fixture(name="server")
async def _server() -> AsyncIterator[str]:
    """The address of a server that does what its paths say."""
    application = web.Application()
    application.router.add_route("*", "/echo{rest:.*}", echo)
    application.router.add_post("/form", form)
    application.router.add_get("/status/{code}", status)
    application.router.add_route("*", "/to", to)
    for handler in (circle, long, binary, empty, named, never, cut):
        application.router.add_get(f"/{handler.__name__}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def asked(context: Any, uri: str, **properties: Any) -> Any:
    return await run_request(Request(id="t", type="http.Request", uri=uri, **properties), context)


async def told(context: Any, uri: str, **properties: Any) -> dict[str, Any]:
    """Give what `echo` says of a request."""
    result = await asked(context, uri, **properties)
    assert result.state == "SUCCESS"
    return dict(json.loads(result.outputs["body"]))


async def downloaded(context: Any, uri: str, **properties: Any) -> Any:
    return await run_download(Download(id="t", type="http.Download", uri=uri, **properties), context)


class TestWhatIsSent:
    async def test_get(self, context, server):
        """Without more it is a GET; parameters are added to the query, spaces are encoded."""
        seen = await told(context, f"{server}/echo/a b?x=1", params={"y": "2 3", "x": 4})

        assert (seen["method"], seen["path"]) == ("GET", "/echo/a b")
        assert seen["query"] == [["x", "1"], ["y", "2 3"], ["x", "4"]]
        assert seen["headers"]["content-type"] == "application/json"

    async def test_body(self, context, server):
        """Text is sent as it is, other data as JSON, of the type that was named."""
        seen = await told(context, f"{server}/echo", method="post", body="ü", contentType="text/plain")
        assert (seen["method"], seen["body"], seen["headers"]["content-type"]) == (
            "POST",
            "ü",
            "text/plain; charset=UTF-8",
        )
        assert (await told(context, f"{server}/echo", method="PUT", body={"a": [1]}))["body"] == '{"a": [1]}'

    async def test_headers(self, context, server):
        """Headers of the flow win over ours."""
        headers = {"user-agent": "harbour", "X-N": 3, "content-type": "text/csv"}
        seen = (await told(context, f"{server}/echo", headers=headers))["headers"]
        assert (seen["user-agent"], seen["x-n"], seen["content-type"]) == ("harbour", "3", "text/csv")

    async def test_url_encoded_form(self, context, server):
        """A form is URL-encoded unless it is to go in parts."""
        seen = await told(context, f"{server}/echo", method="POST", formData={"a": "1 2", "b": {"c": 3}})
        assert seen["headers"]["content-type"] == "application/x-www-form-urlencoded"
        assert seen["body"] == "a=1+2&b=%7B%22c%22%3A+3%7D"

    async def test_form_in_parts(self, context, files, server):
        """Stored files are sent with their content, under their names or the one that is given."""
        uri = files.put("a;b\n", "in.csv")
        parts = {"text": "t", "file": uri, "other": {"name": "../x.csv", "content": uri}}
        headers = {"Content-Type": "multipart/form-data"}
        for more in ({}, {"headers": headers}):
            result = await asked(
                context, f"{server}/form", method="POST", contentType="multipart/form-data", formData=parts, **more
            )
            assert '"text": "t"' in result.outputs["body"]
            assert '["in.csv", "a;b\\n"]' in result.outputs["body"]
            assert '["x.csv", "a;b\\n"]' in result.outputs["body"]

    @pytest.mark.parametrize(
        "options",
        [
            {"auth": {"type": "BASIC", "username": "u", "password": "p"}},
            {"basicAuthUser": "u", "basicAuthPassword": "p"},
        ],
    )
    async def test_basic(self, context, server, options):
        """User and password may be written in the new or the old way."""
        seen = await told(context, f"{server}/echo", options=options)
        assert seen["headers"]["authorization"] == "Basic " + base64.b64encode(b"u:p").decode()

    async def test_bearer(self, context, server):
        """A token is sent as such."""
        seen = await told(context, f"{server}/echo", options={"auth": {"type": "BEARER", "token": "t0"}})
        assert seen["headers"]["authorization"] == "Bearer t0"

    async def test_once(self, context):
        """A request whose connection breaks is not sent again: it may have been done."""
        count = 0

        async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            count += 1
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            with pytest.raises(TaskError, match=f"PUT http://127.0.0.1:{port}/x"):
                await asked(context, f"http://127.0.0.1:{port}/x", method="PUT", body="x")
        assert count == 1


class TestWhatComesBack:
    async def test_outputs(self, context, server):
        """Code, headers with all their values, body and address."""
        outputs = (await asked(context, f"{server}/named?as=inline")).outputs
        assert (outputs["uri"], outputs["code"], outputs["body"]) == (f"{server}/named?as=inline", 200, "data")
        assert outputs["headers"]["X-Twice"] == ["1"]

    async def test_failures(self, context, server):
        """A code from 400 on fails the task, which says it with the response; allowing it gives it as output."""
        result = await asked(context, f"{server}/status/417")
        assert (result.state, result.outputs["code"]) == ("FAILED", 417)
        assert result.error == "failed http request with response code '417': because"
        for allowed in ({"options": {"allowFailed": True}}, {"allowFailed": True}):
            outputs = (await asked(context, f"{server}/status/417", **allowed)).outputs
            assert (outputs["code"], outputs["body"]) == (417, "because")

    @pytest.mark.parametrize(("code", "state"), [(404, "SUCCESS"), (200, "FAILED"), (500, "FAILED")])
    async def test_allowed_codes(self, context, server, code, state):
        """Where codes are named, they and no others are accepted."""
        options = {"allowedResponseCodes": [404], "allowFailed": True}
        assert (await asked(context, f"{server}/status/{code}", options=options)).state == state

    async def test_too_long(self, context, server):
        """A response that is too long for an output is an error that names the remedy."""
        with pytest.raises(TaskError, match=r"longer than 100000 bytes.*http\.Download"):
            await asked(context, f"{server}/long", options={"maxContentLength": 100_000})

    async def test_no_text(self, context, server):
        """Bytes are no output."""
        with pytest.raises(TaskError, match=r"no text.*http\.Download"):
            await asked(context, f"{server}/binary")

    @pytest.mark.parametrize("options", [{"readTimeout": "PT0.05S"}, {"timeout": {"readIdleTimeout": "PT0.05S"}}])
    async def test_silence(self, context, server, options):
        """A server that says nothing is given up."""
        with pytest.raises(TaskError, match="no answer in time"):
            await asked(context, f"{server}/never", options=options)

    async def test_nobody_there(self, context):
        """The error names the request, without what may be secret in its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
            with pytest.raises(TaskError) as caught:
                await asked(context, f"http://me:s3cret@{address}/a?key=s3cret#s3cret")
        assert f"GET http://{address}/a: " in str(caught.value)
        assert "s3cret" not in str(caught.value)

    async def test_no_http(self, context):
        """A server that speaks something else is no reason to show the address."""

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(b"220 smtp ready\r\n")
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as listening:
            port = listening.sockets[0].getsockname()[1]
            with pytest.raises(TaskError) as caught:
                await asked(context, f"http://127.0.0.1:{port}/?key=s3cret")
        assert "s3cret" not in str(caught.value)


class TestConnection:
    @pytest.fixture(name="https")
    async def _https(self, tmp_path):
        """The address of a server whose certificate nobody vouches for."""
        key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"]
        made = await asyncio.create_subprocess_exec(
            *command, "-keyout", str(key), "-out", str(certificate), stderr=asyncio.subprocess.DEVNULL
        )
        assert await made.wait() == 0
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        application = web.Application()
        application.router.add_get("/echo", echo)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()

    async def test_a_certificate_nobody_vouches_for(self, context, https):
        """It is refused unless every certificate is to be trusted, which may be said in the new or the old way."""
        with pytest.raises(TaskError, match="certificate verify failed"):
            await asked(context, f"{https}/echo", options={"ssl": {"insecureTrustAllCertificates": False}})
        trusting = {"insecureTrustAllCertificates": True}
        for more in ({"options": {"ssl": trusting}}, {"sslOptions": trusting}):
            assert (await told(context, f"{https}/echo", **more))["path"] == "/echo"

    @pytest.mark.parametrize("old", [False, True])
    async def test_proxy(self, context, old):
        """Requests go through the proxy, with the name and password it asks for, and nothing is looked up here."""
        seen = []

        async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            writer.close()

        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as listening:
            given = {
                "address": "127.0.0.1",
                "port": listening.sockets[0].getsockname()[1],
                "username": "u",
                "password": "p",
            }
            new = {"proxy": {"type": "HTTP", **given}}
            options = {f"proxy{name.capitalize()}": value for name, value in given.items()} if old else new
            outputs = (await asked(context, "http://far.away.invalid/x", options=options)).outputs
        assert (outputs["body"], seen[0].startswith("GET http://far.away.invalid/x HTTP/1.1")) == ("hi", True)
        assert "Proxy-Authorization: Basic " + base64.b64encode(b"u:p").decode() in seen[0]


class TestRedirects:
    @pytest.mark.parametrize(
        ("code", "method", "expected"),
        [(302, "GET", "GET"), (302, "POST", "GET"), (303, "PUT", "GET"), (307, "POST", "POST"), (308, "PUT", "PUT")],
    )
    async def test_followed(self, context, server, code, method, expected):
        """The request is repeated or becomes a GET, as the code says; its body goes along or not."""
        body = {} if method == "GET" else {"body": "data"}
        seen = await told(context, f"{server}/to?code={code}&where=/echo", method=method, **body)
        assert (seen["method"], seen["body"]) == (expected, "data" if expected != "GET" else "")

    async def test_not_followed(self, context, server):
        """A flow may look at the redirect itself."""
        outputs = (await asked(context, f"{server}/to?code=301&where=/x", options={"followRedirects": False})).outputs
        assert (outputs["code"], outputs["headers"]["Location"]) == (301, ["/x"])

    async def test_too_many(self, context, server):
        """A circle comes to an end."""
        with pytest.raises(TaskError, match=f"more than {MAX_REDIRECTS} times"):
            await asked(context, f"{server}/circle")

    async def test_credentials_stay(self, context, server):
        """Another host gets no credentials, neither ours nor those in the flow's headers; the same one does."""
        other = server.replace("127.0.0.1", "localhost")
        auth = {"auth": {"type": "BEARER", "token": "t0"}}
        for more in ({"options": auth}, {"headers": {"authorization": "Bearer t0", "Cookie": "c"}}):
            away = await told(context, f"{server}/to?where={other}/echo", **more)
            here = await told(context, f"{server}/to?where={server}/echo", **more)
            assert ("authorization" in away["headers"], "cookie" in away["headers"]) == (False, False)
            assert here["headers"]["authorization"] == "Bearer t0"

    @pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://x/", "http://169.254.169.254/latest", "http://["])
    async def test_to_where_nobody_should_go(self, context, server, where):
        """A redirect leads to another kind of address or to a metadata service as little as the flow does."""
        with pytest.raises(TaskError):
            await asked(context, f"{server}/to?where={where}")


class TestGuard:
    @pytest.mark.parametrize(
        "host",
        ["169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe",
         "169.254.43518", "[fe80::1]", "[64:ff9b::a9fe:a9fe]"],
    )  # fmt: skip
    async def test_metadata_services(self, context, host):
        """However the address is written, the task is refused before anything is sent."""
        for run, spec in ((run_request, Request), (run_download, Download)):
            with pytest.raises(TaskError, match=r"refused: it is a link-local|not valid|canonical"):
                await run(spec(id="t", type="x", uri=f"http://{host}/latest/meta-data"), context)

    async def test_names(self):
        """A name counts by what it leads to."""
        resolver = GuardedResolver()
        with pytest.raises(TaskError, match="refused"):
            await resolver.resolve("2852039166")
        assert (await resolver.resolve("localhost"))[0]["host"] == "127.0.0.1"
        await resolver.close()

    @pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fd00::1", "8.8.8.8", "metadata", ""])
    def test_others(self, address):
        """Private networks are the flow's own affair."""
        assert not forbidden(address)


class TestDownload:
    async def test_file(self, context, files, server):
        """The response becomes a file, named as the server suggests or as the address ends."""
        outputs = (await downloaded(context, f"{server}/long")).outputs
        assert (outputs["code"], outputs["length"], outputs["fileName"]) == (200, 120_000, "long")
        assert files.text(outputs["uri"]) == "x" * 120_000

    @pytest.mark.parametrize(
        ("disposition", "name"),
        [
            ('attachment; filename="a b.csv"', "a b.csv"),
            ("attachment; filename=filename..jpg", "filename..jpg"),
            ('attachment; filename="../../etc/passwd"', "passwd"),
            ('attachment; filename="..\\\\..\\\\x.exe"', "x.exe"),
            ("attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv", "größe.csv"),
            ('attachment; filename=".."', "download"),
            ("inline", "named"),
            (";;=;", "named"),
        ],
    )
    async def test_names(self, context, server, disposition, name):
        """A suggested name is taken without its path."""
        spec = Download(id="t", type="http.Download", uri=f"{server}/named", params={"as": disposition})
        assert (await run_download(spec, context)).outputs["fileName"] == name

    async def test_nothing(self, context, files, log, server):
        """An empty response fails the task unless that is accepted."""
        with pytest.raises(TaskError, match="failOnEmptyResponse"):
            await downloaded(context, f"{server}/empty")
        outputs = (await downloaded(context, f"{server}/empty", failOnEmptyResponse=False)).outputs
        assert (files.text(outputs["uri"]), outputs["length"], len(log.at("WARN"))) == ("", 0, 1)

    async def test_failures(self, context, server):
        """A code from 400 on fails the task; nothing is kept."""
        result = await downloaded(context, f"{server}/status/500")
        assert (result.state, result.error) == ("FAILED", "failed http request with response code '500'")
        assert (result.outputs["code"], "uri" in result.outputs) == (500, False)

    async def test_allowed_failure(self, context, files, server):
        """An allowed failure is kept like anything else."""
        outputs = (await downloaded(context, f"{server}/status/417", options={"allowFailed": True})).outputs
        assert (outputs["code"], files.text(outputs["uri"])) == (417, "because")

    async def test_cut_off(self, context, server):
        """A response that ends early is no file."""
        with pytest.raises(TaskError, match="/cut: "):
            await downloaded(context, f"{server}/cut")


@pytest.mark.parametrize("uri", ["", "ftp://x/", "example.com", "http://", "file:///etc/passwd", "http://[x"])
async def test_no_address(context, uri):
    """What is no address of an HTTP server is refused."""
    with pytest.raises(TaskError, match="no address of an HTTP server"):
        await asked(context, uri)


@pytest.mark.parametrize(
    "options",
    [
        {"auth": {"type": "DIGEST", "username": "u"}},
        {"auth": {"type": "BASIC"}},
        {"auth": {"type": "BEARER"}},
        {"proxy": {"type": "SOCKS", "address": "x"}},
        {"maxContentLength": 2**31},
        {"conectTimeout": "PT1S"},
    ],
)
def test_refused_options(options):
    """What is incomplete, unknown or not done here is a mistake of the flow."""
    with pytest.raises(ValidationError):
        Request(id="t", type="http.Request", uri="http://x", options=options)


def test_what_has_no_effect_is_accepted():
    """Options of old and encryption are left out, each with a reason to be shown."""
    old = {
        "connectionPoolIdleTimeout": "PT0S",
        "readIdleTimeout": "PT10M",
        "connectTimeout": "PT1M",
        "logLevel": "INFO",
    }
    spec = Request(id="t", type="http.Request", uri="http://x", options=old, encryptBody=True)
    assert spec.options.wait.connect_timeout
    assert ("encryptBody" in Request.IGNORED, "logLevel" in HttpOptions.IGNORED) == (True, True)
