"""What systemd offers a service."""

import socket
import uuid
from pathlib import Path

import pytest

from tidewaiter.daemon.systemd import credentials_folder, notify, state_folder


def test_the_service_manager_is_told(tmp_path: Path) -> None:
    """A datagram with the state arrives at the socket that systemd named."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        assert notify({"NOTIFY_SOCKET": str(tmp_path / "n")}, "READY=1")
        assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_reached() -> None:
    """Containers get a name without a file."""
    name = f"tidewaiter-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{name}")
        assert notify({"NOTIFY_SOCKET": f"@{name}"}, "STOPPING=1")
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "/no/such/socket"}, {"NOTIFY_SOCKET": "vsock:1"}]
)
def test_without_a_service_manager_nothing_happens(environment: dict[str, str]) -> None:
    """A daemon started by hand, or whose manager went away, works on."""
    assert not notify(environment, "READY=1")


def test_folders_given_by_systemd() -> None:
    """Credentials and state; of several state folders the first."""
    assert credentials_folder({"CREDENTIALS_DIRECTORY": "/run/c"}) == Path("/run/c")
    assert credentials_folder({}) is None
    assert [state_folder(given) for given in ({"STATE_DIRECTORY": "/a:/b"}, {"STATE_DIRECTORY": ""}, {})] == [
        "/a",
        None,
        None,
    ]
