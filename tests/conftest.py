"""Fixtures shared by all tests: real S3 stores on loopback, one of each kind per test process, started on demand."""

import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession
from stores.rclone import rclone
from stores.seaweedfs import Store
from stores.seaweedfs import seaweedfs as run_seaweedfs

from tidewaiter.config.connection import Connection
from tidewaiter.triggers.aws import Clients
from tidewaiter.triggers.bucket import Bucket


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store that honours every condition."""
    with run_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="session")
def weak_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store that ignores conditions and keeps no versions."""
    with rclone(tmp_path_factory.mktemp("rclone")) as store:
        yield store


@pytest.fixture(scope="session")
def botocore_session() -> AioSession:
    """One session, so that the description of S3 is parsed once."""
    return AioSession()


@pytest.fixture(autouse=True)
def no_aws_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the configuration and credentials of this machine out of the tests."""
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-aws-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


def connection_to(store: Store) -> Connection:
    return Connection(
        region="us-east-1",
        endpoint_url=store.endpoint_url,
        access_key_id=store.access_key_id,
        secret_key_id=store.secret_key_id,
    )


@pytest.fixture
def connection(seaweedfs: Store) -> Connection:
    """How to reach SeaweedFS."""
    return connection_to(seaweedfs)


@pytest.fixture
async def s3_clients(botocore_session: AioSession) -> AsyncIterator[Any]:
    """Opens plain S3 clients, to prepare and inspect stores from outside Tidewaiter."""
    async with AsyncExitStack() as stack:

        async def client(store: Store) -> Any:
            return await stack.enter_async_context(
                botocore_session.create_client(
                    "s3",
                    endpoint_url=store.endpoint_url,
                    aws_access_key_id=store.access_key_id,
                    aws_secret_access_key=store.secret_key_id,
                    region_name="us-east-1",
                )
            )

        yield client


@pytest.fixture
async def s3(s3_clients: Any, seaweedfs: Store) -> Any:
    """A plain S3 client of SeaweedFS."""
    return await s3_clients(seaweedfs)


@pytest.fixture
async def weak_s3(s3_clients: Any, weak_store: Store) -> Any:
    """A plain S3 client of the weak store."""
    return await s3_clients(weak_store)


@pytest.fixture
async def bucket_name(s3: Any) -> AsyncIterator[str]:
    """A fresh bucket on SeaweedFS, removed with all it holds."""
    name = f"test-{uuid.uuid4()}"
    await s3.create_bucket(Bucket=name)
    yield name
    await s3.delete_bucket(Bucket=name)


@pytest.fixture
async def weak_bucket_name(weak_s3: Any) -> str:
    """A fresh bucket on the weak store."""
    name = f"test-{uuid.uuid4()}"
    await weak_s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """The product's way to open buckets."""
    async with Clients({}) as clients:
        yield clients


@pytest.fixture
async def bucket(clients: Clients, connection: Connection, bucket_name: str) -> AsyncIterator[Bucket]:
    """The fresh bucket on SeaweedFS as the product sees it."""
    async with clients(connection, bucket_name) as opened:
        yield opened


@pytest.fixture
async def weak_bucket(clients: Clients, weak_store: Store, weak_bucket_name: str) -> AsyncIterator[Bucket]:
    """A fresh bucket on the weak store as the product sees it."""
    async with clients(connection_to(weak_store), weak_bucket_name) as opened:
        yield opened


@pytest.fixture(params=["bucket", "weak_bucket"])
def any_bucket(request: pytest.FixtureRequest) -> Bucket:
    """Both stores in turn: for promises that need no condition to be honoured."""
    return request.getfixturevalue(request.param)
