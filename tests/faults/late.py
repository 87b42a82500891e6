"""A request that arrives late: after whoever sent it has given up, stopped or died."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from faults.proxy import Meant, Proxy


@dataclass
class Late:
    """
    A rule for *proxy* that holds the first request *meant*, and no other. *reached*: it has come; after `arrive` it has
    been carried out, though its sender may be gone, and *status* is what the store said.
    """

    proxy: Proxy
    meant: Meant
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    status: int = 0
    _open: asyncio.Event = field(default_factory=asyncio.Event)
    _done: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if self.reached.is_set() or not self.meant(request):
            return None
        self.reached.set()
        await self._open.wait()
        answer = await self.proxy.carry_out(request)
        self.status = answer.status
        self._done.set()
        return answer.response()

    async def arrive(self) -> None:
        """Let it go on to the store, and wait for the answer."""
        self._open.set()
        await asyncio.wait_for(self._done.wait(), 30)
