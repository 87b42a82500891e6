"""The S3 client: signed requests on aiohttp, and sole owner of aiobotocore, which finds credentials."""

from tidewaiter.triggers.aws.bucket import S3Bucket
from tidewaiter.triggers.aws.clients import Clients

__all__ = ["Clients", "S3Bucket"]
