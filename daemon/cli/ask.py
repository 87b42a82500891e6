"""Put a request to the daemon of a state directory; when none runs there, answer it from the journal itself."""

import asyncio
import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem, TidewaiterError
from tidewaiter.config.settings import Settings
from tidewaiter.daemon.database import DatabaseLockedError

_PATIENCE_SECONDS = 10.0
_PAUSE_SECONDS = 0.05


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(settings: Settings, method: str, path: str, **query: str | None) -> Any:
    """
    Give the answer to a request of the API; parameters that are None are left out.

    Raises:
        ConfigError: there is no journal in the state directory.
        TidewaiterError: the request was refused; with the reason and the hint it came with.
    """
    given = {name: value for name, value in query.items() if value is not None}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return _once(settings, method, path, given)
        except DatabaseLockedError:
            # A daemon is starting or stopping: soon either it answers or its journal is free.
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def _once(settings: Settings, method: str, path: str, query: Mapping[str, str]) -> Any:
    try:
        return _remote(settings.state_dir / "control.sock", method, path, query)
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return _local(settings, method, path, query)
    except (OSError, http.client.HTTPException) as error:
        raise TidewaiterError(
            f"cannot talk to the daemon of {settings.state_dir}: {error}", "is it starting, stopping or another user's?"
        ) from error


def _remote(control: Path, method: str, path: str, query: Mapping[str, str]) -> Any:
    with closing(_UnixConnection(control)) as connection:
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        connection.request(method, f"/api/v1/{urllib.parse.quote(path)}{suffix}")
        response = connection.getresponse()
        answer = json.loads(response.read())
    if response.status >= 400:
        raise TidewaiterError(answer["error"], answer["hint"])
    return answer


def _local(settings: Settings, method: str, path: str, query: Mapping[str, str]) -> Any:
    if not (settings.state_dir / "tidewaiter.db").exists():
        raise ConfigError(
            [
                Problem(
                    str(settings.state_dir),
                    0,
                    0,
                    "no tidewaiter has worked in this state directory",
                    "name it with --state-dir or TIDEWAITER_STATE_DIR",
                )
            ]
        )
    from tidewaiter.daemon.resting import answer  # noqa: PLC0415 - the journal is loaded only when no daemon answers

    return asyncio.run(answer(settings.state_dir, method, f"/api/v1/{path}", query))
