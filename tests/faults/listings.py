"""What the store has shown to whoever listed it."""

import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from aiohttp import web
from faults.operation import Operation, operation_of
from faults.proxy import Proxy

_XML = "{http://s3.amazonaws.com/doc/2006-03-01/}"


@dataclass
class Listings:
    """A rule for *proxy* that lets every listing pass and keeps what it *showed*: keys with their ETags."""

    proxy: Proxy
    showed: set[tuple[str, str]] = field(default_factory=set)

    async def __call__(self, request: web.Request) -> web.StreamResponse | None:
        if operation_of(request) is not Operation.LIST:
            return None
        answer = await self.proxy.carry_out(request)
        if answer.status == 200:
            self.showed |= _shown(answer.body)
        return answer.response()


def _shown(body: bytes) -> set[tuple[str, str]]:
    root = ET.fromstring(body)
    decode = urllib.parse.unquote_plus if root.findtext(f"{_XML}EncodingType") == "url" else str
    entries = root.iterfind(f"{_XML}Contents")
    return {(decode(item.findtext(f"{_XML}Key", "")), item.findtext(f"{_XML}ETag", "").strip('"')) for item in entries}
