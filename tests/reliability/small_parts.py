"""
Tidewaiter that copies and uploads in parts what would else go in one request: run as ``python small_parts.py …``.

A part is the smallest the S3 API allows, 5 MiB unless it is the last, so a small object is copied in a single part.
"""

import sys

from tidewaiter.daemon.cli import main
from tidewaiter.triggers.aws.bucket import PartSizes, S3Bucket

PART = 5 * 1024 * 1024
SIZES = PartSizes(copy_whole=1024, copy_part=PART, upload_part=PART)

if __name__ == "__main__":
    S3Bucket.__init__.__defaults__ = (SIZES,)
    sys.exit(main())
