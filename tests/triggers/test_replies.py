"""What is understood of a store's XML, and what is refused."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.triggers.aws.replies import (
    Listing,
    NotS3Error,
    Uploads,
    date_of,
    head_of,
    listing,
    parse,
    stored_as,
    unfinished,
)
from tidewaiter.triggers.bucket import MultipartUpload

ENTRY = (
    "<Contents><Key>raw/a%2Bb+c%252F</Key><LastModified>2026-01-01T02:00:00.000+02:00</LastModified>"
    "<ETag>&quot;abc&quot;</ETag><Size>4</Size><Owner><ID>x</ID></Owner><StorageClass>GLACIER</StorageClass></Contents>"
)


def listed(inside: str) -> Listing:
    body = f'<?xml version="1.0"?>\n<ListBucketResult xmlns="http://x/">{inside}</ListBucketResult>'
    return listing(parse(body.encode(), "Contents"), "b-1")


def test_reads_an_object() -> None:
    """Key, ETag, size, time and class of an object are taken over, the key decoded once."""
    (found,) = listed(f"<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{ENTRY}").objects
    assert (found.key, found.etag, found.size, found.storage_class) == ("raw/a+b c%2F", "abc", 4, "GLACIER")
    assert found.last_modified == datetime(2026, 1, 1, tzinfo=UTC)


UPLOAD = (
    "<Upload><Key>a%2Bb &amp; c</Key><UploadId>u-1</UploadId><Initiated>2026-01-01T02:00:00+02:00</Initiated></Upload>"
)


def uploads(inside: str, root: str = "ListMultipartUploadsResult") -> Uploads:
    return unfinished(parse(f"<{root}>{inside}</{root}>".encode(), "Upload"), "b-1")


def test_reads_unfinished_uploads() -> None:
    """Key, id and time of each upload are taken over, and where the next page goes on as far as the store says."""
    page = uploads(f"<IsTruncated>true</IsTruncated><NextUploadIdMarker>u-1</NextUploadIdMarker>{UPLOAD}")
    assert page.uploads == (MultipartUpload("b-1", "a%2Bb & c", "u-1", datetime(2026, 1, 1, tzinfo=UTC)),)
    assert page.marker == (None, "u-1")


@pytest.mark.parametrize("inside", ["", UPLOAD, f"<IsTruncated>true</IsTruncated>{UPLOAD}"])
def test_a_last_page_of_uploads(inside: str) -> None:
    """A store that does not say that there is more, or shows nothing more, is at the end."""
    assert uploads(inside).marker is None


@pytest.mark.parametrize("root", ["ListBucketResult", "html"])
def test_another_document_is_no_list_of_uploads(root: str) -> None:
    """A store that takes the request for another one has told nothing of uploads."""
    with pytest.raises(NotS3Error):
        uploads("", root)


@pytest.mark.parametrize("date", ["", "soon", "Thu, 99 Foo 2026"])
def test_a_store_without_a_clock(date: str) -> None:
    """A date that is missing or makes no sense is left out, not an error."""
    assert stored_as({"Date": date}, 1, "").read_at is None


def test_the_clock_of_a_store() -> None:
    """The date is read as UTC, in whichever zone it is written."""
    assert stored_as({"Date": "Thu, 01 Jan 2026 02:00:00 +0200"}, 1, "").read_at == "2026-01-01T00:00:00+00:00"


def test_keys_of_a_store_that_does_not_encode_them() -> None:
    """A store that ignored the wish for encoded keys is taken at its word."""
    (found,) = listed(f"<IsTruncated>false</IsTruncated>{ENTRY}").objects
    assert found.key == "raw/a%2Bb+c%252F"


def test_a_page_that_is_not_the_last_has_a_token() -> None:
    """The token for the next page is taken over."""
    page = listed("<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>")
    assert page.token == "a&b"


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<IsTruncated>true</IsTruncated>",
        "<IsTruncated>true</IsTruncated><NextContinuationToken/>",
        "<IsTruncated>yes</IsTruncated>",
        "<IsTruncated>false</IsTruncated><Contents><Key>a</Key></Contents>",
        f"<IsTruncated>false</IsTruncated>{ENTRY.replace('>4<', '>four<')}",
        f"<IsTruncated>false</IsTruncated>{ENTRY.replace('2026', 'then')}",
    ],
)
def test_a_listing_with_something_missing(inside: str) -> None:
    """An incomplete listing must not pass for a complete one."""
    with pytest.raises((LookupError, ValueError)):
        listed(inside)


@pytest.mark.parametrize("body", [b"", b"<IsTruncated>false</IsTruncated>", b"<html><IsTruncated/></html>"])
def test_another_document_is_no_listing(body: bytes) -> None:
    """An empty body or a web page is no empty bucket."""
    with pytest.raises(NotS3Error):
        listing(parse(body, "Contents"), "b-1")


@pytest.mark.parametrize(
    "body",
    [
        b"not xml",
        b"<a>",
        b"<a></b>",
        b"<a/><b/>",
        b"<a>\x01</a>",
        b"<a>&what;</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><a>&c;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
    ],
)
def test_no_xml_of_ours(body: bytes) -> None:
    """Broken XML is refused, and any document type: there are no entities to expand or fetch."""
    with pytest.raises(NotS3Error):
        parse(body)


def test_only_the_asked_for_level_counts() -> None:
    """An element deeper or shallower than expected cannot stand for the real one."""
    body = b"<R><Key>1</Key><Contents><Owner><Key>2</Key></Owner><Key>3</Key></Contents><Other><Key>4</Key></Other></R>"
    document = parse(body, "Contents")
    assert document.fields["Key"] == "1"
    assert [entry["Key"] for entry in document.entries] == ["3"]


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    """Whatever a store sends, there is one error for it."""
    try:
        parse(body, "Contents")
    except NotS3Error:
        return


def test_reads_the_headers_of_an_object() -> None:
    """Names of metadata come in lower case, since S3 does not tell their case."""
    head = head_of(
        {
            "ETag": '"abc"',
            "Content-Length": "4",
            "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
            "X-Amz-Meta-From": "tide",
            "x-amz-version-id": "v1",
        }
    )
    assert (head.etag, head.size, head.version_id, head.metadata) == ("abc", 4, "v1", {"from": "tide"})
    assert head.last_modified == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "at"),
    [
        ({"Date": "Fri, 01 May 2026 12:00:00 GMT"}, datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ({"Date": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_time_of_a_reply(headers: dict[str, str], at: datetime | None) -> None:
    """A store that tells no time, or nonsense, leaves it to our own clock."""
    assert date_of(headers) == at


@pytest.mark.parametrize("size", ["-1", str(2**63), "9" * 30])
def test_no_size_of_an_object(size: str) -> None:
    """A number of bytes that no object has, and no journal keeps, does not get further than here."""
    with pytest.raises(ValueError, match="bytes"):
        listed(f"<IsTruncated>false</IsTruncated>{ENTRY.replace('<Size>4<', f'<Size>{size}<')}")


def test_times_at_the_ends_of_the_calendar() -> None:
    """What nobody can reckon with is refused, and a store that knows no time is understood."""
    entry = ENTRY.replace("2026-01-01T02:00:00.000+02:00", "{}")
    with pytest.raises(ValueError, match="year"):
        listed(f"<IsTruncated>false</IsTruncated>{entry.format('9999-12-31T23:59:59-12:00')}")
    (found,) = listed(f"<IsTruncated>false</IsTruncated>{entry.format('0001-01-01T00:00:00+12:00')}").objects
    assert found.last_modified == datetime(1970, 1, 1, tzinfo=UTC)
    assert date_of({"Date": "Fri, 31 Dec 9999 23:59:59 -1200"}) is None
    assert stored_as({"Date": "Mon, 01 Jan 1900 00:00:00 +1200"}, 1, "").read_at == "1970-01-01T00:00:00+00:00"
