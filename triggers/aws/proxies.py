"""The proxy that the environment names for a host (``https_proxy``, ``http_proxy``, ``no_proxy``)."""

from collections.abc import Mapping
from urllib.request import proxy_bypass

from yarl import URL

from tidewaiter.triggers.aws.address import Address


class Proxies:
    """
    Finds the proxy for an address. aiohttp's own ``trust_env`` would also read ``.netrc`` and sign with what is there.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._bypass = {"no": environment.get("no_proxy") or environment.get("NO_PROXY") or ""}
        self._urls = {
            scheme: URL(url)
            for scheme in ("http", "https")
            if (url := environment.get(f"{scheme}_proxy") or environment.get(f"{scheme}_proxy".upper()))
        }

    def find(self, address: Address) -> URL | None:
        """Give the proxy, with the name and password to use there if its URL has them; None to go directly."""
        url = self._urls.get(address.origin.partition(":")[0])
        return None if url is None or proxy_bypass(address.host, self._bypass) else url
