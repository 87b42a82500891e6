"""A real S3 store for tests: SeaweedFS, all its parts in one process on loopback."""

import random
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ACCESS_KEY_ID = "tidewaiter"
SECRET_KEY_ID = "low-tide-and-high-tide"
_PARTS = ("master", "volume", "filer", "s3", "admin")
_GRPC = 10_000
_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Store:
    """Where a running store answers, and the keys it accepts."""

    endpoint_url: str
    access_key_id: str = ACCESS_KEY_ID
    secret_key_id: str = SECRET_KEY_ID


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """Run SeaweedFS on *folder* while the block lasts; wrong keys are rejected, nothing leaves loopback."""
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(5):
        ports = dict(zip(_PARTS, free_ports(len(_PARTS)), strict=True))
        with running(_command(folder, ports), folder / "seaweedfs.log") as process:
            if answers(f"http://127.0.0.1:{ports['s3']}/healthz", process):
                yield Store(f"http://127.0.0.1:{ports['s3']}")
                return
    raise RuntimeError("SeaweedFS does not start:\n" + (folder / "seaweedfs.log").read_text()[-2000:])


def _command(folder: Path, ports: dict[str, int]) -> list[str]:
    return [
        program("weed"),
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *(f"-{part}.port={port}" for part, port in ports.items()),
        "-webdav=false",
        "-admin.ui=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-s3.autoCreateBucket=false",
        "-volume.max=2000",
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.localSocket={folder}/s3.sock",
    ]


def program(name: str) -> str:
    """Give the path of *name* among the programs installed beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise RuntimeError(f"{path} is missing; run 'make setup'")
    return str(path)


def free_ports(count: int) -> list[int]:
    """Find ports that are free together with the port 10,000 above, below the range the kernel gives to clients."""
    found: list[int] = []
    for port in random.Random().sample(range(12_000, 22_000), 500):
        if len(found) == count:
            break
        if _is_free(port) and _is_free(port + _GRPC):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a server while the block lasts; its data is thrown away, so it is killed at the end.

    It also dies when this process is killed, hence `setpriv`.
    """
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY_ID,
        "GOMEMLIMIT": "256MiB",
        "HOME": str(log.parent),
        "PATH": "/usr/bin:/bin",
    }
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield process


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait until *url* gives any HTTP answer; False if *process* ends first or takes too long."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=1).close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return True
        except OSError:
            pass
        else:
            return True
        time.sleep(0.02)
    return False
