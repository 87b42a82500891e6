"""What botocore and the store say, in the words of `triggers.bucket`."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from botocore import exceptions
from botocore.parsers import ResponseParserError

from tidewaiter.triggers.bucket import BucketError, BucketUnavailableError, ObjectChangedError, ObjectGoneError

_HEAD_CODES = {"301": "PermanentRedirect", "403": "AccessDenied", "404": "NoSuchKey", "412": "PreconditionFailed"}
"""A reply to HEAD has no body, so botocore gives the status in place of the code."""

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
    }
)
_NETWORK = (
    exceptions.HTTPClientError,
    exceptions.ConnectionError,
    exceptions.ResponseStreamingError,
    exceptions.IncompleteReadError,
    aiohttp.ClientError,
    TimeoutError,
)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.RefreshWithMFAUnsupportedError,
    exceptions.MetadataRetrievalError,
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


def s3_name(bucket: str, key: str | None = None) -> str:
    """Write bucket and key for a message, with control and bidirectional characters escaped."""
    return repr(f"s3://{bucket}" if key is None else f"s3://{bucket}/{key}")


@contextmanager
def translated(call: Call) -> Iterator[None]:
    """
    Turn what botocore raises inside the block into the `BucketError` family.

    Raises:
        BucketUnavailableError: the store is unreachable, overloaded or answered 5xx.
        ObjectGoneError: 404 for the key or version.
        ObjectChangedError: 412.
        BucketError: anything else, with *cause* and a hint.
    """
    try:
        yield
    except exceptions.ClientError as error:
        raise answered(error.response, call) from error
    except _NO_CREDENTIALS as error:
        raise BucketError(
            f"cannot {call.does}: no credentials: {error}",
            "set accessKeyId and secretKeyId, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role",
            cause="NoCredentials",
        ) from error
    except exceptions.SSLError as error:
        raise BucketError(
            f"cannot {call.does}: TLS failed: {_plain(str(error))}",
            "check the endpoint's certificate, or set caPem",
            cause="TLS",
        ) from error
    except _NETWORK as error:
        raise BucketUnavailableError(
            f"cannot {call.does}: {_plain(str(error) or 'timed out')}",
            "check the endpoint and the network",
            cause=type(error).__name__,
        ) from error
    except (ResponseParserError, LookupError) as error:
        raise BucketError(
            f"cannot {call.does}: the reply is not one of S3",
            "check that the endpoint is that of the S3 API, not of a web page",
            cause="NotS3",
        ) from error
    except (exceptions.BotoCoreError, ValueError) as error:
        raise BucketError(f"cannot {call.does}: {_plain(str(error))}", cause=type(error).__name__) from error


def answered(answer: Mapping[str, Any], call: Call) -> BucketError:
    """Choose the error for an error reply, by its code and else by its HTTP status."""
    said = answer.get("Error", {})
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = str(said.get("Code") or status)
    cause = _HEAD_CODES.get(code, code)
    hint = _HINTS.get(cause)
    if hint:
        hint = hint.format(permission=call.permission, region=_region(answer) or "the bucket's own")
    return _kind(cause, status)(
        f"cannot {call.does}: {cause}: {_plain(str(said.get('Message', '')))}", hint, cause=cause
    )


def _kind(cause: str, status: int) -> type[BucketError]:
    if cause in _GONE:
        return ObjectGoneError
    if cause == "PreconditionFailed":
        return ObjectChangedError
    if cause in _LATER or status == 429 or (status >= 500 and status != 501):
        return BucketUnavailableError
    return BucketError


def _region(answer: Mapping[str, Any]) -> str | None:
    """Read where the bucket really is from a redirect."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = answer.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return _plain(str(region)) if region else None


def _plain(text: str) -> str:
    """Make what a store said fit for one line of a log: it is not trusted."""
    return "".join(character if character.isprintable() else " " for character in text[:300]).strip()
