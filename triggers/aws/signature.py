"""Signature Version 4 for S3 (AWS "Signing AWS API requests"), of a whole request in its headers."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Keys:
    """What requests are signed with; *session_token* belongs to temporary keys."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with *keys* for *region* at the time *now*, which is UTC."""

    keys: Keys
    region: str
    now: datetime

    def headers(self, method: str, path: str, query: str, given: Mapping[str, str], *, sha256: str) -> dict[str, str]:
        """
        Give all headers to send: the *given* ones, with lower-case names and ``host`` among them, and those of the
        signature. *path* and *query* are as they go on the wire; *sha256* is that of the body, in hexadecimal.
        """
        time = f"{self.now:%Y%m%dT%H%M%SZ}"
        scope = f"{time[:8]}/{self.region}/s3/aws4_request"
        headers = {**given, "x-amz-date": time, "x-amz-content-sha256": sha256}
        if self.keys.session_token:
            headers["x-amz-security-token"] = self.keys.session_token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{sha256}"
        signed = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.keys.secret_access_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, signed.encode(), "sha256").hex()
        credential = f"Credential={self.keys.access_key_id}/{scope}"
        headers["authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
        return headers


def query_string(query: Mapping[str, str]) -> str:
    """Write *query* in the one way that a signature covers: sorted, everything but unreserved characters encoded."""
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
