"""A daemon per test: in a folder of its own, on a bucket of its own, gone when the test ends."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from acceptance.driver import Daemon, make_daemon
from acceptance.objects import Objects
from stores.seaweedfs import Store


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Prepares daemons; ends them all."""
    with ExitStack() as stack:
        made: list[Daemon] = []

        def prepare(store: Store, **settings: str) -> Daemon:
            daemon = make_daemon(tmp_path / f"d{len(made)}", store, **settings)
            made.append(daemon)
            stack.callback(daemon.close)
            return daemon

        yield prepare


@pytest.fixture
def daemon(daemons: Callable[..., Daemon], seaweedfs: Store) -> Daemon:
    """A daemon for SeaweedFS, quick to try again after trouble."""
    return daemons(seaweedfs, TIDEWAITER_RETRY__INITIAL="PT0.2S", TIDEWAITER_RETRY__MAXIMUM="PT1S")


@pytest.fixture
def objects(s3: Any, seaweedfs: Store, bucket_name: str) -> Objects:
    """The bucket of the test, on SeaweedFS."""
    return Objects(s3, seaweedfs, bucket_name)
