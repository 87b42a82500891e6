"""What stores write: XML documents of a few levels, and the objects in them. Nothing that a store says is trusted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NoReturn
from urllib.parse import unquote_plus
from xml.parsers import expat

from tidewaiter.triggers.bucket import Head, MultipartUpload, S3Object, Stored

METADATA = "x-amz-meta-"
"""How the headers of user-defined metadata begin."""

DESCRIBING = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
"""The headers, besides the content type, that an uploader gives to an object and that its readers get back."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_YEAR = 9000
_LARGEST = 2**63 - 1


class NotS3Error(ValueError):
    """A reply is not what S3 would say."""


@dataclass(slots=True)
class Document:
    """
    The name of the root element, the texts of the elements in it, and the texts in each of those that were asked for.
    """

    root: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    entries: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of a listing; *token* asks for the next one and is None on the last."""

    objects: tuple[S3Object, ...]
    token: str | None


UploadMarker = tuple[str | None, str | None]
"""Key and id of the upload after which a list of uploads goes on, as far as the store names them."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """One page of unfinished multipart uploads; *marker* is where the next one goes on and is None on the last."""

    uploads: tuple[MultipartUpload, ...]
    marker: UploadMarker | None


def parse(body: bytes, entry: str | None = None, *, level: int = 2) -> Document:
    """
    Read an XML document, with its elements *entry* as records; an empty *body* gives an empty document. *level* is how
    deep the records are; the root is at 1.

    A document type is refused, so that there are no entities to expand (OWASP "XML External Entity Prevention").

    Raises:
        NotS3Error: it is no XML, or has a document type.
    """
    reader = _Reader(entry, level)
    if not body:
        return reader.document
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text.append
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise NotS3Error(str(error)) from error
    return reader.document


class _Reader:
    def __init__(self, entry: str | None, level: int) -> None:
        self.document = Document()
        self.text: list[str] = []
        self._entry = entry
        self._level = level
        self._depth = 0
        self._record: dict[str, str] | None = None

    def start(self, name: str, _attributes: object) -> None:
        self._depth += 1
        self.text.clear()
        if self._depth == 1:
            self.document.root = name
        elif self._depth == self._level and name == self._entry:
            self._record = {}
            self.document.entries.append(self._record)

    def end(self, name: str) -> None:
        if self._depth == self._level + 1 and self._record is not None:
            self._record[name] = "".join(self.text)
        elif self._depth == self._level and self._record is not None:
            self._record = None
        elif self._depth == 2:
            self.document.fields[name] = "".join(self.text)
        self._depth -= 1
        self.text.clear()


def _refuse(*_declaration: object) -> NoReturn:
    raise NotS3Error("a document type")


def listing(document: Document, bucket: str) -> Listing:
    """
    Read one page of ListObjectsV2 from a document with the records ``Contents``.

    Raises:
        NotS3Error: it is anything else, which must never pass for a complete, empty listing.
        LookupError: something is missing.
        ValueError: a number or date is none.
    """
    if document.root != "ListBucketResult":
        raise NotS3Error(f"<{document.root}> is no listing")
    encoded = document.fields.get("EncodingType") == "url"
    objects = tuple(_listed(bucket, entry, encoded=encoded) for entry in document.entries)
    token = document.fields["NextContinuationToken"] if _is_true(document.fields["IsTruncated"]) else None
    if token == "":
        raise NotS3Error("no token for the next page")
    return Listing(objects, token)


def _is_true(text: str) -> bool:
    if text not in {"true", "false"}:
        raise NotS3Error(f"{text!r} is neither true nor false")
    return text == "true"


def _listed(bucket: str, entry: Mapping[str, str], *, encoded: bool) -> S3Object:
    return S3Object(
        bucket=bucket,
        key=unquote_plus(entry["Key"]) if encoded else entry["Key"],
        etag=entry.get("ETag", "").strip('"'),
        size=_count(entry["Size"]),
        last_modified=_moment(entry["LastModified"]),
        storage_class=entry.get("StorageClass"),
    )


def unfinished(document: Document, bucket: str) -> Uploads:
    """
    Read one page of ListMultipartUploads from a document with the records ``Upload``.

    Its keys are taken as they are: not every store that is asked to encode them does so, though it says it did.

    Raises:
        NotS3Error: it is anything else.
        LookupError: something is missing.
        ValueError: a date is none.
    """
    fields = document.fields
    if document.root != "ListMultipartUploadsResult":
        raise NotS3Error(f"<{document.root}> is no list of uploads")
    uploads = tuple(
        MultipartUpload(bucket, entry["Key"], entry["UploadId"], _moment(entry["Initiated"]))
        for entry in document.entries
    )
    marker = (fields.get("NextKeyMarker") or None, fields.get("NextUploadIdMarker") or None)
    more = _is_true(fields.get("IsTruncated", "false")) and any(marker)
    return Uploads(uploads, marker if more else None)


def _moment(text: str) -> datetime:
    return _plausible(datetime.fromisoformat(text))


def _plausible(moment: datetime) -> datetime:
    """
    Give *moment* in UTC. One before 1970 is how some stores say that they know none; with one close to the end of the
    calendar nobody could reckon.
    """
    if moment.year >= _LAST_YEAR:
        raise ValueError(f"the year {moment.year}")
    return moment.astimezone(UTC) if moment.year >= _EPOCH.year else _EPOCH


def _count(text: str) -> int:
    """Read a number of bytes, which must be one that the journal can keep."""
    count = int(text)
    if not 0 <= count <= _LARGEST:
        raise ValueError(f"{text[:40]} bytes")
    return count


def etag_of(headers: Mapping[str, str]) -> str:
    """Give the ETag without its quotes, or nothing."""
    return headers.get("ETag", "").strip('"')


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """Give the time of a reply by its sender's clock, to the second (RFC 9110 §6.6.1); None if it does not say."""
    try:
        return _plausible(parsedate_to_datetime(headers["Date"]))
    except (LookupError, ValueError):
        return None


def head_of(headers: Mapping[str, str]) -> Head:
    """
    Read the headers of a reply to HEAD; *headers* are looked up in any case.

    Raises:
        LookupError: something is missing.
        ValueError: a number or date is none.
    """
    return Head(
        etag=etag_of(headers),
        size=_count(headers["Content-Length"]),
        last_modified=_plausible(parsedate_to_datetime(headers["Last-Modified"])),
        version_id=headers.get("x-amz-version-id"),
        metadata=metadata_of(headers),
    )


def stored_as(headers: Mapping[str, str], size: int, sha256: str) -> Stored:
    """Put together what the *headers* of a reply to GET say, and what was taken of the body."""
    return Stored(
        size=size,
        sha256=sha256,
        etag=etag_of(headers),
        version_id=headers.get("x-amz-version-id"),
        content_type=headers.get("Content-Type"),
        metadata=metadata_of(headers),
        headers={name: value for name in DESCRIBING if (value := headers.get(name))},
        read_at=_date(headers.get("Date", "")),
    )


def _date(text: str) -> str | None:
    """Read an HTTP date (RFC 9110 §5.6.7); a store that sends none, or nonsense, is no reason to fail."""
    try:
        moment = parsedate_to_datetime(text)
        return _plausible(moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except ValueError:
        return None


def has_tags(headers: Mapping[str, str]) -> bool:
    """Tell whether the reply to a GET or HEAD says that the object has tags that we may read."""
    return headers.get("x-amz-tagging-count", "0").strip() != "0"


def metadata_of(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the user-defined metadata; S3 does not tell the case of their names."""
    start = len(METADATA)
    return {name[start:].lower(): value for name, value in headers.items() if name.lower().startswith(METADATA)}
