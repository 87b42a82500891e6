"""Our signature is botocore's, for whatever an uploader may choose."""

from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.triggers.aws.address import quoted
from tidewaiter.triggers.aws.signature import EMPTY_SHA256, Keys, Signer, query_string

KEYS = [
    "a", "a b", "a+b", "a%2Fb", "%", "..", "../x", "a/./b", "a//b", "/", "a?b#c", "a&b=c", "a;b", "~t", "é", "e\u0301",
    "\u202efoo", "\x01", "a\nb", "a\r\nX: y", "{{ x }}", "$(id)", "*", "=x",
    "\U0001f600", "a:b@c", "[x]", "'\"", "\\", "-_.~",
]  # fmt: skip


def theirs(method: str, path: str, query: str, headers: dict[str, str], token: str | None) -> dict[str, str]:
    """Sign with botocore, and give its headers with lower-case names."""
    url = f"http://{headers['host']}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, headers=headers)
    S3SigV4Auth(Credentials("key", "secret", token), "s3", "eu-west-1").add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


def ours(
    method: str, path: str, query: str, headers: dict[str, str], token: str | None, now: datetime
) -> dict[str, str]:
    signer = Signer(Keys("key", "secret", token), "eu-west-1", now)
    return signer.headers(method, path, query, headers, sha256=EMPTY_SHA256)


def moment(signed: dict[str, str]) -> datetime:
    return datetime.strptime(signed["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def assert_same(method: str, path: str, query: str = "", token: str | None = None, **more: str) -> None:
    headers = {"host": "store:9000", **{name.replace("_", "-"): value for name, value in more.items()}}
    expected = theirs(method, path, query, headers, token)
    assert ours(method, path, query, headers, token, moment(expected)) == expected


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_hostile_keys(key: str) -> None:
    """A path is signed as it goes on the wire, and never normalised."""
    assert_same("GET", f"/b-1/{quoted(key)}", query_string({"versionId": key, "prefix": key}), if_match='"abc"')


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["GET", "PUT", "DELETE", "HEAD"]))
def test_any_key(key: str, method: str) -> None:
    """The same for all the keys we did not think of."""
    assert_same(method, f"/b-1/{quoted(key)}", query_string({"continuation-token": key}))


def test_session_token() -> None:
    """The token of temporary keys is signed, too."""
    assert_same("GET", "/b-1", "versioning=", token="token/+=")


def test_blanks_in_headers() -> None:
    """Runs of blanks count as one in the signature and stay as they are on the wire."""
    assert_same("PUT", "/b-1/k", x_amz_meta_from=" high   and\tlow ")


def test_parameters_are_sorted() -> None:
    """The order is that of names, and of values only for the same name."""
    assert query_string({"uploadId": "a b", "a-b": "1", "a": "2"}) == "a=2&a-b=1&uploadId=a%20b"
    assert_same("GET", "/b-1", query_string({"uploadId": "a b", "a-b": "1", "a": "2"}))


def test_secrets_are_not_printed() -> None:
    """Keys in a log or traceback show no secret."""
    assert "hush" not in repr(Signer(Keys("key", "hush", "hush"), "eu-west-1", datetime.now(UTC)))
