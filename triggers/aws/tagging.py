"""Sets of tags as S3 writes them: the XML of GetObjectTagging and PutObjectTagging."""

import hashlib
import html
from collections.abc import Mapping

from tidewaiter.triggers.aws.replies import Document, NotS3Error
from tidewaiter.triggers.aws.wire import Body


def tag_set(document: Document) -> dict[str, str]:
    """
    Read a set of tags from a document with the records ``Tag``, which are on its third level.

    Raises:
        NotS3Error: it is anything else.
        LookupError: something is missing.
    """
    if document.root != "Tagging":
        raise NotS3Error(f"<{document.root}> is no set of tags")
    return {entry["Key"]: entry["Value"] for entry in document.entries}


def tagging(tags: Mapping[str, str]) -> Body:
    """Write *tags* for PutObjectTagging."""
    entries = "".join(
        f"<Tag><Key>{html.escape(name, quote=False)}</Key><Value>{html.escape(value, quote=False)}</Value></Tag>"
        for name, value in tags.items()
    )
    namespace = "http://s3.amazonaws.com/doc/2006-03-01/"
    data = f'<Tagging xmlns="{namespace}"><TagSet>{entries}</TagSet></Tagging>'.encode()
    return Body(data, hashlib.sha256(data).hexdigest())
