"""The daemon as a user runs it: a process of its own, told everything by arguments, a settings file and variables."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tidewaiter.config.errors import TidewaiterError
from tidewaiter.daemon.demo.seaweedfs import Store, running
from tidewaiter.daemon.demo.workspace import Workspace

_STOP_SECONDS = 10
_HINT = "its last words are above"
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon."""

    process: "subprocess.Popen[bytes]"

    def check(self) -> None:
        """
        Make sure that it still runs.

        Raises:
            TidewaiterError: it does not.
        """
        code = self.process.poll()
        if code is not None:
            raise TidewaiterError(f"the daemon has ended with code {code}", _HINT)

    def stop(self) -> int:
        """
        End it as a service manager would, by SIGTERM, and give its exit code.

        Raises:
            TidewaiterError: it did not end well.
        """
        self.process.terminate()
        try:
            code = self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TidewaiterError(f"the daemon has not ended {_STOP_SECONDS} seconds after SIGTERM", _HINT) from error
        if code:
            raise TidewaiterError(f"the daemon ended with exit code {code}", _HINT)
        return code


@contextmanager
def serving(workspace: Workspace, store: Store) -> Iterator[Daemon]:
    """Run a daemon on *workspace* and *store* while the block lasts, unless it is stopped in it."""
    with running(_command(workspace), workspace.log, _environment(workspace, store)) as process:
        try:
            yield Daemon(process)
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)


def _command(workspace: Workspace) -> list[str]:
    options = {"flows": workspace.flows, "state-dir": workspace.settings.state_dir, "config": workspace.config}
    arguments = (text for name, value in options.items() for text in (f"--{name}", str(value)))
    return [sys.executable, "-m", "tidewaiter.daemon", "run", *arguments, "--log-format", "json"]


def _environment(workspace: Workspace, store: Store) -> dict[str, str]:
    """Secrets are base64, as Kestra has them; nothing of the user's own AWS configuration is seen."""
    secrets = {
        "AWS_ACCESS_KEY_ID": store.access_key_id,
        "AWS_SECRET_ACCESS_KEY": store.secret_key_id,
        "AWS_DEFAULT_REGION": store.region,
    }
    return {
        **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        "HOME": str(workspace.root),
        "AWS_ENDPOINT_URL": store.endpoint_url,
        **{f"SECRET_{name}": base64.b64encode(value.encode()).decode() for name, value in secrets.items()},
    }
