"""Webhooks over HTTP: reads requests within bounds, and answers them."""

import asyncio
import base64
import json
from collections.abc import Iterable
from typing import Any

import structlog
from aiohttp import web
from multidict import MultiMapping

from tidewaiter.config.document import MAX_DEPTH
from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.records import storable
from tidewaiter.daemon.webhooks import Answer, Call, Webhooks

_log = structlog.get_logger("tidewaiter.webhooks")

_PATHS = tuple(
    f"/api/v1/{tenant}executions/webhook/{{namespace}}/{{flow}}/{{key}}" for tenant in ("", "main/")
)  # Kestra's, without a tenant and with the one of its open-source edition
_METHODS = ("GET", "POST", "PUT")
_BODY_SECONDS = 30.0
_MOST_HEADERS = 100


class WebhookRoutes:
    """Serves *webhooks*: at most *at_once* requests at a time that have not been answered, others get a 503."""

    def __init__(self, webhooks: Webhooks, at_once: int) -> None:
        self._webhooks = webhooks
        self._at_once = at_once
        self._in_hand = 0

    def routes(self) -> Iterable[web.RouteDef]:
        """Give the routes to add to an application; its ``client_max_size`` bounds bodies."""
        return [web.route(method, path, self._handle) for path in _PATHS for method in _METHODS]

    async def _handle(self, request: web.Request) -> web.Response:
        if not self._webhooks.knows(*_named(request)):
            return _refused(404, "there is no such webhook")
        if self._in_hand >= self._at_once:
            return _refused(503, "too many requests at once; try again")
        self._in_hand += 1
        try:
            return await self._answered(request)
        finally:
            self._in_hand -= 1

    async def _answered(self, request: web.Request) -> web.Response:
        if len(request.headers) > _MOST_HEADERS:
            return _refused(431, f"more than {_MOST_HEADERS} headers")
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                content = await request.read()
        except TimeoutError:
            return _refused(408, "the body did not arrive in time")
        except web.HTTPRequestEntityTooLarge:
            return _refused(413, "the body is too large; see limits.webhook_body")
        try:
            answer = await self._webhooks.answer(*_named(request), _call(request, content))
        except TidewaiterError as error:
            # The journal failed. Where it lies is nothing for those outside.
            _log.error("webhook_failed", error=error.message, hint=error.hint)
            return _refused(503, "nothing can be started now; try again")
        return _response(answer)


def _named(request: web.Request) -> tuple[str, str]:
    """Give the full name of the flow, and the key."""
    named = request.match_info
    return f"{named['namespace']}.{named['flow']}", named["key"]


def _call(request: web.Request, content: bytes) -> Call:
    return Call(body_of(content), _lists(request.headers), _lists(request.query))


def _lists(values: MultiMapping[str]) -> dict[str, list[str]]:
    """Give every name with all its values; bytes that are no text have been read as halves of surrogate pairs."""
    return {storable(name): [storable(text) for text in values.getall(name)] for name in dict.fromkeys(values)}


def body_of(content: bytes) -> Any:
    """
    Give what ``trigger.body`` shows: a map or list where the content is one in JSON, not nested too deeply, else its
    text; base64 where it is none; None for nothing.
    """
    if not content:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
    try:
        data = json.loads(text, parse_constant=_no_constant)
        # What escapes have made of it must be text again when it is shown.
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return text
    return data if isinstance(data, dict | list) and _is_flat(data) else text


def _is_flat(data: Any) -> bool:
    """Whether nothing in *data* lies deeper than flows may nest."""
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [item for value in level for item in _items(value)]
        if not level:
            return True
    return False


def _items(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refused(status: int, reason: str) -> web.Response:
    return _response(Answer(status, json.dumps({"error": reason})))


def _response(answer: Answer) -> web.Response:
    if answer.text is None:
        return web.Response(status=answer.status)
    return web.Response(text=answer.text, status=answer.status, content_type=answer.content_type)
