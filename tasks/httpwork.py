"""The work of the HTTP tasks: requests from their properties, and outputs and files from responses."""

import contextlib
import email.message
import json
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

import aiohttp

from tidewaiter.config.errors import TaskError, storage_error
from tidewaiter.tasks.context import Result, TaskContext
from tidewaiter.tasks.http import Download, HttpSpec, Request
from tidewaiter.tasks.httpclient import Body, Message, address_of, exchange, text_body

_CHUNK = 1 << 16
_MULTIPART = "multipart/form-data"
_EXCERPT = 500


async def request(spec: Request, context: TaskContext) -> Result:
    """See `tidewaiter.tasks.http.run_request`."""
    async with _answer(spec, context) as response:
        body = await _text(response, spec.options.max_content_length)
        if not spec.connecting.accepts(response.status):
            return Result("FAILED", _told(response), f"{_refusal(response)}: {body[:_EXCERPT]}")
        return Result(outputs={"uri": str(response.url), **_told(response), "body": body})


async def download(spec: Download, context: TaskContext) -> Result:
    """See `tidewaiter.tasks.http.run_download`."""
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
