"""What systemd offers a service: readiness, state directory, credentials (sd_notify(3), systemd.exec(5))."""

import socket
from collections.abc import Mapping
from pathlib import Path


def notify(environment: Mapping[str, str], state: str) -> bool:
    """Tell the service manager *state* (``READY=1``, ``STOPPING=1`` …). False when there is none to tell."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    target = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(state.encode(), target)
        except OSError:
            return False
    return True


def credentials_folder(environment: Mapping[str, str]) -> Path | None:
    """Give the folder with the credentials that systemd passed to this service (``LoadCredential=``), None without."""
    folder = environment.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder else None


def state_folder(environment: Mapping[str, str]) -> str | None:
    """Give the folder that systemd made for the service's state (``StateDirectory=``), None without."""
    return environment.get("STATE_DIRECTORY", "").split(":")[0] or None
