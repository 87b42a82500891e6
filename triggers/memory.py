"""Contents that are on no disk, for uploads that are small and our own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_memory(text: str) -> Iterator[Path]:
    """
    Keep *text* in a file for as long as the context lasts; in memory, so that no disk can be too full for it and no
    crash leaves it behind.
    """
    descriptor = os.memfd_create("tidewaiter")
    try:
        os.write(descriptor, text.encode())
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
