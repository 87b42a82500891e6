"""The S3 client: sole owner of aiobotocore and botocore, whose errors are translated here."""

from tidewaiter.triggers.aws.bucket import S3Bucket
from tidewaiter.triggers.aws.clients import Clients

__all__ = ["Clients", "S3Bucket"]
