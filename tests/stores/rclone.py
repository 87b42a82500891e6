"""A weak S3 store for tests: `rclone serve s3`, which ignores the conditions on copies and deletes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stores.seaweedfs import ACCESS_KEY_ID, SECRET_KEY_ID, Store, answers, free_ports, program, running


@contextmanager
def rclone(folder: Path) -> Iterator[Store]:
    """Serve buckets from memory while the block lasts; *folder* takes the log."""
    log = folder / "rclone.log"
    for _ in range(5):
        (port,) = free_ports(1)
        keys = f"--auth-key={ACCESS_KEY_ID},{SECRET_KEY_ID}"
        options = ["--config=/dev/null", "--low-level-retries=1", "--vfs-cache-mode=off", keys]
        command = [program("rclone"), "serve", "s3", f"--addr=127.0.0.1:{port}", *options, ":memory:"]
        with running(command, log, {"HOME": str(folder), "PATH": os.defpath}) as process:
            if answers(port, "/", process):
                yield Store(f"http://127.0.0.1:{port}")
                return
    raise RuntimeError(f"rclone does not start:\n{log.read_text()[-2000:]}")
