"""Where a bucket is on the network: endpoint, virtual host or path style, and keys in a URL (S3 "Virtual hosting")."""

import re
from dataclasses import dataclass
from urllib.parse import quote

from yarl import URL

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.bucket import BucketError

DEFAULT_REGION = "us-east-1"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_HOST_SAFE = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUFFIX = "amazonaws.com"
_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
)
"""The domain of each AWS partition but the first, by the beginning of its regions' names."""


@dataclass(frozen=True, slots=True)
class Address:
    """One resource on the wire: *origin* ``https://host:port``, *host* for the header, *path* percent-encoded once."""

    origin: str
    host: str
    path: str


class Addresses:
    """
    Finds the address of what a connection names.

    *region* is the one that requests are signed for. A key is encoded once and otherwise left alone: ``..`` and ``//``
    are names in S3, not paths.

    Raises:
        BucketError: endpoint, region or bucket is nothing that a request could be sent to; *cause* ``InvalidEndpoint``,
            ``InvalidRegion`` or ``InvalidBucketName``.
    """

    def __init__(self, connection: Connection) -> None:
        self.region = _checked_region(connection.region or DEFAULT_REGION)
        self._endpoint = _endpoint(connection.endpoint_url) if connection.endpoint_url else None
        self._by_path = connection.path_style if connection.path_style is not None else bool(self._endpoint)

    @property
    def encrypted(self) -> bool:
        """Tell whether requests go through TLS."""
        return self._endpoint is None or self._endpoint.scheme == "https"

    def find(self, bucket: str, key: str | None, region: str) -> Address:
        """Give the address of *bucket*, or of *key* in it, for a bucket that is in *region*."""
        if not _BUCKET.fullmatch(bucket):
            raise BucketError(
                f"{bucket!r} is no name of a bucket",
                "name a bucket; for an access point, its alias",
                cause="InvalidBucketName",
            )
        endpoint = self._endpoint or URL(f"https://s3.{_checked_region(region)}.{_suffix(region)}")
        host, path = endpoint.host_port_subcomponent or "", endpoint.raw_path.rstrip("/")
        if self._by_path or not _HOST_SAFE.fullmatch(bucket):
            path = f"{path}/{bucket}"
        else:
            host = f"{bucket}.{host}"
        if key is not None:
            path = f"{path}/{quoted(key)}"
        return Address(f"{endpoint.scheme}://{host}", host, path or "/")


def quoted(key: str) -> str:
    """Write *key* for a path: everything but ``/`` and RFC 3986's unreserved characters percent-encoded."""
    return quote(key, safe="/-_.~")


def _endpoint(text: str) -> URL:
    try:
        url = URL(text)
        valid = url.scheme in {"http", "https"} and url.host and not (url.user or url.query_string or url.fragment)
    except ValueError:
        valid = False
    if not valid:
        raise BucketError(
            f"the endpoint {_hidden(text)!r} is no URL of a store",
            "write it like https://s3.example.com or http://127.0.0.1:9000",
            cause="InvalidEndpoint",
        )
    return url


def _hidden(text: str) -> str:
    """Leave out what may be a password."""
    return re.sub(r"//[^/]*@", "//…@", text)


def is_region(text: str) -> bool:
    """Tell whether *text* may be a region: it becomes part of the host, so it must not change which host that is."""
    return bool(_REGION.fullmatch(text))


def _checked_region(region: str) -> str:
    if not is_region(region):
        raise BucketError(f"{region!r} is no AWS region", "write it like eu-central-1", cause="InvalidRegion")
    return region


def _suffix(region: str) -> str:
    return next((suffix for start, suffix in _SUFFIXES if region.startswith(start)), _SUFFIX)
