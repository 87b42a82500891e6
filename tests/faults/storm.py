"""Faults by chance: what a store, the network and a clock do to requests, as often as wanted and the same each time."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web
from faults.operation import Operation, key_of, operation_of
from faults.proxy import Answer, Proxy


class Fault(StrEnum):
    """What happens to a request instead of, or besides, being answered."""

    ERROR = "500 InternalError"
    SLOW_DOWN = "503 SlowDown"
    CONFLICT = "409 ConditionalRequestConflict"
    RESET_BEFORE = "reset before the effect"
    RESET_AFTER = "reset after the effect"
    ERROR_IN_200 = "error inside a 200"
    TRUNCATED = "truncated body"
    STALL = "stall after the effect"
    EXPIRED = "403 ExpiredToken"
    SKEWED = "403 RequestTimeTooSkewed"


_REFUSALS = {
    Fault.ERROR: (500, "InternalError"),
    Fault.SLOW_DOWN: (503, "SlowDown"),
    Fault.CONFLICT: (409, "ConditionalRequestConflict"),
    Fault.ERROR_IN_200: (200, "InternalError"),
    Fault.EXPIRED: (403, "ExpiredToken"),
    Fault.SKEWED: (403, "RequestTimeTooSkewed"),
}
_CONDITIONAL = {Operation.PUT, Operation.COPY, Operation.DELETE, Operation.COMPLETE}
_LATE_VERDICT = {Operation.COPY, Operation.PART_COPY, Operation.COMPLETE}
_WITH_BODY = {Operation.GET, Operation.LIST}


def faults_of(operation: Operation) -> list[Fault]:
    """Give the faults that can befall *operation*: only some are conditional, have a body, or fail after a 200."""
    only = {Fault.CONFLICT: _CONDITIONAL, Fault.ERROR_IN_200: _LATE_VERDICT, Fault.TRUNCATED: _WITH_BODY}
    return [fault for fault in Fault if operation in only.get(fault, {operation})]


@dataclass
class Storm:
    """
    A rule for *proxy* under which a share of all requests, given by *probability*, meets a fault chosen evenly from
    *faults*; with a map only the operations named.

    What happens to the n-th request of an operation for a key follows from *seed* alone, in whatever order requests
    arrive. *injected* counts what happened. A stall lasts *stall_seconds*: more than the client has patience for.
    """

    proxy: Proxy
    seed: int
    probability: float | Mapping[Operation, float]
    faults: frozenset[Fault] = frozenset(Fault)
    stall_seconds: float = 3.0
    injected: Counter[tuple[Fault, Operation]] = field(default_factory=Counter)
    _times: Counter[tuple[Operation, str]] = field(default_factory=Counter)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        operation = operation_of(request)
        fault = self._fate(operation, key_of(request))
        if fault is None:
            return None
        self.injected[fault, operation] += 1
        return await inflict(fault, request, self.proxy, stall_seconds=self.stall_seconds)

    def _fate(self, operation: Operation, key: str) -> Fault | None:
        number = self._times[operation, key] = self._times[operation, key] + 1
        chance = random.Random(f"{self.seed} {operation} {key} {number}")
        share = self.probability
        possible = [fault for fault in faults_of(operation) if fault in self.faults]
        wanted = share if isinstance(share, float) else share.get(operation, 0.0)
        return chance.choice(possible) if possible and chance.random() < wanted else None

    def told(self) -> dict[str, int]:
        """What was injected, by fault and operation, for the results."""
        return {f"{fault}: {operation}": number for (fault, operation), number in sorted(self.injected.items())}


@dataclass
class LostReplies:
    """
    A rule for *proxy* under which the first request of each of *operations* for each key is carried out, and its reply
    is lost; those of a probe only with *probes*. *lost* counts them.
    """

    proxy: Proxy
    operations: frozenset[Operation]
    probes: bool = False
    lost: Counter[Operation] = field(default_factory=Counter)
    _seen: set[tuple[Operation, str]] = field(default_factory=set)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        operation = operation_of(request)
        what = (operation, key_of(request))
        probing = ".tidewaiter-probe-" in what[1]
        if operation not in self.operations or what in self._seen or (probing and not self.probes):
            return None
        self._seen.add(what)
        self.lost[operation] += 1
        return await inflict(Fault.RESET_AFTER, request, self.proxy)


async def inflict(
    fault: Fault, request: web.Request, proxy: Proxy, *, stall_seconds: float = 3.0
) -> web.StreamResponse:
    """Let *request* suffer *fault*, and give what is answered, if anybody is left to hear it."""
    if fault in _REFUSALS:
        await request.read()
        return _refusal(*_REFUSALS[fault])
    if fault is Fault.RESET_BEFORE:
        await request.read()
        return _hung_up(request)
    answer = await proxy.carry_out(request)
    if fault is Fault.TRUNCATED:
        return await _cut_short(request, answer)
    if fault is Fault.STALL:
        await asyncio.sleep(stall_seconds)
    return _hung_up(request)


def _refusal(status: int, code: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>injected</Message></Error>'
    return web.Response(status=status, text=text, content_type="application/xml")


def _hung_up(request: web.Request) -> web.Response:
    """Reset the connection; what is given then reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _cut_short(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Begin with the whole reply's headers, its length among them, and end in the middle of the body."""
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answer.headers:
        response.headers.add(name, value)
    response.headers["Content-Length"] = str(len(answer.body))
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
