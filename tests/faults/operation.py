"""Which S3 operation a request is, by its method, path, query and headers (S3 API)."""

from enum import StrEnum

from aiohttp import web


class Operation(StrEnum):
    """The operations that Tidewaiter asks a store for, by the names of the S3 API."""

    LIST = "ListObjectsV2"
    GET = "GetObject"
    HEAD = "HeadObject"
    PUT = "PutObject"
    COPY = "CopyObject"
    DELETE = "DeleteObject"
    CREATE_UPLOAD = "CreateMultipartUpload"
    PART = "UploadPart"
    PART_COPY = "UploadPartCopy"
    COMPLETE = "CompleteMultipartUpload"
    ABORT = "AbortMultipartUpload"
    UPLOADS = "ListMultipartUploads"
    GET_TAGS = "GetObjectTagging"
    PUT_TAGS = "PutObjectTagging"
    DELETE_TAGS = "DeleteObjectTagging"
    VERSIONING = "GetBucketVersioning"
    VERSIONS = "ListObjectVersions"
    OTHER = "other"


_OF_BUCKET = {"list-type": Operation.LIST, "versioning": Operation.VERSIONING, "uploads": Operation.UPLOADS}
_OF_BUCKET |= {"versions": Operation.VERSIONS}
_TAGGING = {"GET": Operation.GET_TAGS, "PUT": Operation.PUT_TAGS, "DELETE": Operation.DELETE_TAGS}
_OF_UPLOAD = {"POST": Operation.COMPLETE, "DELETE": Operation.ABORT}
_OF_OBJECT = {"GET": Operation.GET, "HEAD": Operation.HEAD, "PUT": Operation.PUT, "DELETE": Operation.DELETE}


def operation_of(request: web.Request) -> Operation:
    """Name the operation that *request* asks for; what Tidewaiter never sends is `Operation.OTHER`."""
    query = request.query
    if not key_of(request):
        named = next((_OF_BUCKET[name] for name in query if name in _OF_BUCKET), Operation.OTHER)
        return named if request.method == "GET" else Operation.OTHER
    if "tagging" in query:
        return _TAGGING.get(request.method, Operation.OTHER)
    copied = "x-amz-copy-source" in request.headers
    if "partNumber" in query:
        return Operation.PART_COPY if copied else Operation.PART
    if "uploads" in query:
        return Operation.CREATE_UPLOAD
    if "uploadId" in query:
        return _OF_UPLOAD.get(request.method, Operation.OTHER)
    return Operation.COPY if copied else _OF_OBJECT.get(request.method, Operation.OTHER)


def key_of(request: web.Request) -> str:
    """Give the key as it stands in the request line, percent-encoded; nothing for a request about a bucket."""
    path = request.raw_path.split("?", 1)[0]
    return path.lstrip("/").partition("/")[2]
