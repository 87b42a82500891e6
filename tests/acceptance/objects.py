"""A bucket as somebody sees it who puts files there and looks at what became of them."""

import asyncio
import subprocess
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from aiobotocore.session import AioSession
from stores.seaweedfs import Store, program


def plain_client(store: Store) -> AbstractAsyncContextManager[Any]:
    """A plain S3 client of *store*."""
    return AioSession().create_client(
        "s3",
        endpoint_url=store.endpoint_url,
        aws_access_key_id=store.access_key_id,
        aws_secret_access_key=store.secret_key_id,
        region_name="us-east-1",
    )


class Objects:
    """One bucket."""

    def __init__(self, client: Any, store: Store, bucket: str) -> None:
        self.client = client
        self.store = store
        self.bucket = bucket

    async def put(self, key: str, content: bytes = b"content") -> None:
        await self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    async def put_folder(self, folder: Path, prefix: str) -> None:
        """Put every file below *folder*, many at a time."""
        keys = {"AWS_ACCESS_KEY_ID": self.store.access_key_id, "AWS_SECRET_ACCESS_KEY": self.store.secret_key_id}
        command = ("--endpoint-url", self.store.endpoint_url, "cp", f"{folder}/", f"s3://{self.bucket}/{prefix}")
        await asyncio.to_thread(
            subprocess.run,
            [program("s5cmd"), *command],
            env={**keys, "AWS_REGION": "us-east-1", "HOME": str(folder)},
            check=True,
            capture_output=True,
        )

    async def get(self, key: str) -> bytes:
        answer = await self.client.get_object(Bucket=self.bucket, Key=key)
        async with answer["Body"] as body:
            return await body.read()

    async def keys(self, prefix: str = "") -> list[str]:
        """Every key below *prefix*, without folder markers."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] async for page in pages for item in page.get("Contents", ()) if item["Key"][-1] != "/"]
