"""Where the HTTP tasks may not go: the metadata services of clouds, which hand out credentials (reliability.md §4)."""

import ipaddress
import socket
from collections.abc import Sequence

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from tidewaiter.config.errors import TaskError

_FORBIDDEN = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::254/128"),
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def forbidden(address: str) -> bool:
    """Tell whether *address*, in any spelling, is link-local or that of a metadata service; a name is neither."""
    found = _parsed(address.partition("%")[0])
    return found is not None and any(meant in network for meant in _meanings(found) for network in _FORBIDDEN)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an address; the C library also takes ``2852039166`` and ``0xa9.254.43518`` for one of IPv4."""
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(address))
    except (OSError, ValueError):
        return None


def _meanings(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Give *address* and the IPv4 address that a mapped, 6to4 or NAT64 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    nat64 = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
    return tuple(meant for meant in (address, address.ipv4_mapped, address.sixtofour, nat64) if meant)


def refused(host: str) -> TaskError:
    """Say that a request may not go to *host*."""
    return TaskError(
        f"requests to '{host}' are refused: it is a link-local address",
        "metadata services hand out the machine's credentials; give credentials to the task instead",
    )


class GuardedResolver(AbstractResolver):
    """Looks names up as the system does, and refuses those that lead to a forbidden address."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Give the addresses of *host*. Raises `TaskError` if one of them is forbidden."""
        found = await self._system.resolve(host, port, family)
        if any(forbidden(result["host"]) for result in found):
            raise refused(host)
        return found

    async def close(self) -> None:
        """Let go of what the system's resolver holds."""
        await self._system.close()
