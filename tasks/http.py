"""The HTTP tasks: Request gives a response as output, Download keeps it as a file."""

import contextlib
import email.message
import json
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import aiohttp

from tidewaiter.config.errors import TaskError, storage_error
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.httpclient import Body, Message, address_of, exchange, text_body
from tidewaiter.tasks.httpoptions import HttpOptions, Ssl

_CHUNK = 1 << 16
_MULTIPART = "multipart/form-data"
_EXCERPT = 500


class HttpSpec(TaskSpec):
    """
    What both tasks have in common.

    *params* are added to the query of *uri*. *form_data* is sent URL-encoded, or in parts where *content_type* is
    ``multipart/form-data``; a part whose value is the URI of a stored file, or a map of ``name`` and ``content``, is
    that file. Without it *body* is sent. *allow_failed* and *ssl_options* are old forms of those in *options*.
    """

    uri: Dynamic[Text]
    """The address."""
    method: Dynamic[Text] = "GET"
    """The method of the request."""
    params: Dynamic[dict[str, Any] | None] = None
    """What is added to the query of the address."""
    body: Dynamic[Any] = None
    """What is sent; a map or list as JSON."""
    form_data: Dynamic[dict[str, Any] | None] = None
    """The fields of a form to send, the URI of a stored file for a file."""
    content_type: Dynamic[Text | None] = "application/json"
    """The type of what is sent."""
    headers: Dynamic[dict[str, Text] | None] = None
    """The headers of the request."""
    options: HttpOptions = HttpOptions()
    """How to connect, and which responses are failures."""
    allow_failed: Dynamic[bool | None] = None
    """The older place of ``options.allowFailed``."""
    ssl_options: Ssl | None = None
    """The older place of ``options.ssl``."""

    @property
    def connecting(self) -> HttpOptions:
        """The options with the old forms in them; only for a spec without templates."""
        given = {"allow_failed": self.allow_failed, "ssl": self.ssl_options}
        return self.options.model_copy(update={name: value for name, value in given.items() if value is not None})


class Request(HttpSpec):
    """
    Send a request and give its response as outputs (Kestra's documentation of ``core.http.Request``).

    *encrypt_body* has no effect: outputs are kept in the journal, which only the daemon's user can read.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Request", "io.kestra.plugin.fs.http.Request")

    encrypt_body: Dynamic[bool] = False
    """Has no effect: outputs are kept in the journal, which only the daemon's user can read."""


class Download(HttpSpec):
    """Keep a response as a file in internal storage (Kestra's documentation of ``core.http.Download``)."""

    NAMES: ClassVar[tuple[str, ...]] = ("io.kestra.plugin.core.http.Download", "io.kestra.plugin.fs.http.Download")

    fail_on_empty_response: Dynamic[bool] = True
    """Fail if nothing comes."""


async def run_request(spec: Request, context: TaskContext) -> Result:
    """
    Do a `Request` task: outputs ``uri``, ``code``, ``headers`` (each with its values) and ``body``.

    Raises:
        TaskError: the server cannot be asked, or its response is no text or too long for an output.
    """
    if spec.encrypt_body:
        context.log("WARN", "encryptBody has no effect: outputs are kept in the journal as they are")
    async with _answer(spec, context) as response:
        body = await _text(response, spec.options.max_content_length)
        if not spec.connecting.accepts(response.status):
            return Result("FAILED", _told(response), f"{_refusal(response)}: {body[:_EXCERPT]}")
        return Result(outputs={"uri": str(response.url), **_told(response), "body": body})


async def run_download(spec: Download, context: TaskContext) -> Result:
    """
    Do a `Download` task: outputs ``uri`` of the file, ``code``, ``length``, ``headers`` and ``fileName``.

    Raises:
        TaskError: the server cannot be asked, or there is nothing in its response and that is not accepted.
        StorageError: the disk is full.
    """
    path = context.scratch / "download"
    async with _answer(spec, context) as response:
        if not spec.connecting.accepts(response.status):
            return Result("FAILED", _told(response), _refusal(response))
        length = await _save(response, path)
    if not length and spec.fail_on_empty_response and not spec.connecting.allow_failed:
        raise TaskError("the response has no content", "failOnEmptyResponse: false accepts that")
    if not length:
        context.log("WARN", "the response has no content")
    name = _file_name(response)
    uri = await context.files.store(path, name)
    return Result(outputs={"uri": uri, **_told(response), "length": length, "fileName": name})


@contextlib.asynccontextmanager
async def _answer(spec: HttpSpec, context: TaskContext) -> AsyncIterator[aiohttp.ClientResponse]:
    with contextlib.ExitStack() as files:
        message = await _message(spec, context, files)
        async with exchange(message, spec.connecting) as response:
            context.log("DEBUG", f"{message}: {response.status}")
            yield response


async def _message(spec: HttpSpec, context: TaskContext, files: contextlib.ExitStack) -> Message:
    headers, body = dict(spec.headers or {}), None
    named = any(name.lower() == "content-type" for name in headers)
    if spec.form_data:
        body = _form(spec, context, files)
        # Between the parts stands what only the client knows.
        headers = {name: value for name, value in headers.items() if not value.startswith(_MULTIPART)}
    elif spec.body is not None:
        text = spec.body if isinstance(spec.body, str) else json.dumps(spec.body, ensure_ascii=False)
        body = text_body(text, spec.options.default_charset)
    if not spec.form_data and spec.content_type and not named:
        charset = f"; charset={spec.options.default_charset}" if body and "charset" not in spec.content_type else ""
        headers["Content-Type"] = f"{spec.content_type}{charset}"
    return Message(spec.method.upper(), address_of(spec.uri, spec.params), headers, body)


def _form(spec: HttpSpec, context: TaskContext, files: contextlib.ExitStack) -> Body:
    parts = spec.content_type == _MULTIPART

    def make() -> aiohttp.FormData:
        form = aiohttp.FormData(default_to_multipart=parts)
        for name, value in (spec.form_data or {}).items():
            file = _file(value, context) if parts else None
            if file:
                form.add_field(name, files.enter_context(file[1].open("rb")), filename=file[0])
            else:
                form.add_field(name, value if isinstance(value, str) else json.dumps(value))
        return form

    return make


def _file(value: Any, context: TaskContext) -> tuple[str, Path] | None:
    """Give the name and the file that a part of a form stands for, None if it is plain data."""
    if isinstance(value, str) and context.files.owns(value):
        return PurePosixPath(value).name, context.files.path(value)
    if isinstance(value, dict) and {"name", "content"} <= value.keys():
        return PurePosixPath(str(value["name"])).name or "file", context.files.path(str(value["content"]))
    return None


async def _text(response: aiohttp.ClientResponse, limit: int) -> str:
    data = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > limit:
            raise TaskError(
                f"the response is longer than {limit} bytes",
                "use core.http.Download, which keeps it as a file, or raise options.maxContentLength",
            )
    try:
        return data.decode(response.charset or "utf-8")
    except (LookupError, UnicodeError) as error:
        raise TaskError("the response is no text", "use core.http.Download, which keeps it as a file") from error


async def _save(response: aiohttp.ClientResponse, path: Path) -> int:
    length = 0
    with path.open("wb") as file:
        async for chunk in response.content.iter_chunked(_CHUNK):
            try:
                file.write(chunk)
            except OSError as error:
                raise storage_error(error, path) from error
            length += len(chunk)
    return length


def _told(response: aiohttp.ClientResponse) -> dict[str, Any]:
    return {"code": response.status, "headers": {name: response.headers.getall(name) for name in response.headers}}


def _refusal(response: aiohttp.ClientResponse) -> str:
    return f"failed http request with response code '{response.status}'"


def _file_name(response: aiohttp.ClientResponse) -> str:
    """Give the name that the server suggests (RFC 6266), else the last part of the address; never a path."""
    header = email.message.Message()
    header["Content-Disposition"] = _printable(response.headers.get("Content-Disposition", ""))
    suggested = _printable(header.get_filename() or response.url.name)
    return suggested.replace("\\", "/").rpartition("/")[2].strip().lstrip(".") or "download"


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
