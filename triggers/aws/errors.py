"""What a store says when it refuses, and what the network does, in the words of `triggers.bucket`."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import aiohttp

from tidewaiter.triggers.aws.replies import NotS3Error
from tidewaiter.triggers.bucket import BucketError, BucketUnavailableError, ObjectChangedError, ObjectGoneError

_BARE_CODES = {301: "PermanentRedirect", 403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed"}
"""The code for a reply without a body: one to HEAD has none."""

_GONE = frozenset({"NoSuchKey", "NoSuchVersion"})
_LATER = frozenset(
    {
        "SlowDown",
        "RequestTimeout",
        "OperationAborted",
        "ConditionalRequestConflict",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "TooManyRequestsException",
        "RequestThrottled",
        # Of who we are, not of what was asked: over as soon as the credentials or the clock are right again.
        "ExpiredToken",
        "RequestExpired",
        "RequestTimeTooSkewed",
    }
)

_HINTS: Mapping[str, str] = {
    "AccessDenied": "allow {permission} for these credentials, in the bucket's policy, too",
    "AccountProblem": "the account of the bucket has a problem; ask its owner",
    "AuthorizationHeaderMalformed": "set region: {region}",
    "ExpiredToken": "renew sessionToken, or let stsRoleArn renew it by itself",
    "IllegalLocationConstraintException": "set region: {region}",
    "InvalidAccessKeyId": "check accessKeyId, and that it belongs to this endpoint",
    "InvalidObjectState": "the object is in an archive tier; restore it first or exclude its storage class",
    "InvalidToken": "check sessionToken; it belongs to one pair of keys",
    "NoSuchBucket": "check the bucket's name, the region and the endpoint",
    "PermanentRedirect": "set region: {region}",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "SignatureDoesNotMatch": "check secretKeyId, and that no proxy rewrites the request",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the store in words: what it does, and the IAM action it needs."""

    does: str
    permission: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    A reply that is not the one hoped for: HTTP *status*, and *code*, *message* and *region* as far as it tells them.
    """

    status: int
    code: str | None = None
    message: str = ""
    region: str | None = None


def s3_name(bucket: str, key: str | None = None) -> str:
    """Write bucket and key for a message, with control and bidirectional characters escaped."""
    return repr(f"s3://{bucket}" if key is None else f"s3://{bucket}/{key}")


@contextmanager
def translated(call: Call) -> Iterator[None]:
    """
    Turn what the network, TLS or a senseless reply raises inside the block into the `BucketError` family.

    Raises:
        BucketUnavailableError: the store is unreachable.
        BucketError: anything else, with *cause* and a hint.
    """
    try:
        yield
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise tls_failed(call, error) from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise unreachable(call, error) from error
    except (NotS3Error, LookupError) as error:
        raise BucketError(
            f"cannot {call.does}: the reply is not one of S3",
            "check that the endpoint is that of the S3 API, not of a web page",
            cause="NotS3",
        ) from error
    except ValueError as error:
        raise BucketError(f"cannot {call.does}: {plain(str(error))}", cause=type(error).__name__) from error


def answered(refusal: Refusal, call: Call) -> BucketError:
    """
    Choose the error for a refusal, by its code and else by its HTTP status.

    It is `BucketUnavailableError` for a store that is overloaded or answered 5xx and for credentials that have ended,
    `ObjectGoneError` for 404 of the key or version, `ObjectChangedError` for 412, else `BucketError`.
    """
    cause = refusal.code or _BARE_CODES.get(refusal.status) or str(refusal.status)
    hint = _HINTS.get(cause)
    if hint:
        region = plain(refusal.region) if refusal.region else "the bucket's own"
        hint = hint.format(permission=call.permission, region=region)
    said = f": {plain(refusal.message)}" if refusal.message else ""
    return _kind(cause, refusal.status)(f"cannot {call.does}: {plain(cause)}{said}", hint, cause=plain(cause))


def _kind(cause: str, status: int) -> type[BucketError]:
    if cause in _GONE:
        return ObjectGoneError
    if cause == "PreconditionFailed":
        return ObjectChangedError
    if cause in _LATER or status == 429 or (status >= 500 and status != 501):
        return BucketUnavailableError
    return BucketError


def no_credentials(call: Call, why: str) -> BucketError:
    """Say where credentials are looked for."""
    return BucketError(
        f"cannot {call.does}: no credentials: {why}",
        "set accessKeyId and secretKeyId, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role",
        cause="NoCredentials",
    )


def tls_failed(call: Call, error: Exception) -> BucketError:
    """Say that the other side is not the one it should be, or that a certificate of ours is none."""
    return BucketError(
        f"cannot {call.does}: TLS failed: {plain(str(error))}",
        "check the endpoint's certificate, or set caPem",
        cause="TLS",
    )


def unreachable(call: Call, error: Exception) -> BucketUnavailableError:
    """Say that the connection failed, or broke."""
    return BucketUnavailableError(
        f"cannot {call.does}: {plain(str(error) or 'timed out')}",
        "check the endpoint and the network",
        cause="Unreachable",
    )


def plain(text: str) -> str:
    """Make what a store said fit for one line of a log: it is not trusted."""
    return "".join(character if character.isprintable() else " " for character in text[:300]).strip()
