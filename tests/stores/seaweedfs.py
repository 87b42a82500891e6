"""A real S3 store for tests: the demo's SeaweedFS, with many small buckets in mind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidewaiter.daemon.demo import seaweedfs as starter
from tidewaiter.daemon.demo.seaweedfs import ACCESS_KEY_ID, SECRET_KEY_ID, Store, answers, free_ports, running

__all__ = ["ACCESS_KEY_ID", "SECRET_KEY_ID", "Store", "answers", "free_ports", "program", "running", "seaweedfs"]


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """Run SeaweedFS on *folder* while the block lasts; buckets exist only when they are made."""
    with starter.seaweedfs(folder, "-s3.autoCreateBucket=false", "-volume.max=2000") as store:
        yield store


def program(name: str) -> str:
    """Give the path of the program *name*; a missing one is an error, never a reason to skip."""
    path = starter.program(name)
    if path is None:
        raise RuntimeError(f"there is no program '{name}'; run 'make setup'")
    return path
