"""
How git may reach a repository: protocols, credentials, configuration (reliability.md §4.4).

Nothing of the host's git configuration is read but the file the operator names, nothing a repository brings is run, and
no credential appears in an argument, in the URL git is given or in the environment.
"""

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from tidewaiter.config.errors import TaskError
from tidewaiter.config.fields import Text
from tidewaiter.config.flow import TaskSpec
from tidewaiter.config.spec import Dynamic
from tidewaiter.tasks.context import TaskContext
from tidewaiter.tasks.environment import environment

_SCP_LIKE = re.compile(r"[^/:]+:")
_HARDENED = {
    "core.hooksPath": "/dev/null",
    "core.symlinks": "false",
    "core.fsmonitor": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
}
_FREE_SECTIONS = frozenset({"http", "pack", "fetch", "transfer", "user", "advice", "index", "checkout"})
_FREE_NAMES = frozenset({"core.autocrlf", "core.eol", "core.safecrlf", "core.compression", "core.longpaths"})


class Remote(TaskSpec):
    """The properties of every task that talks to a git server (kestra.md §1.11). Timeouts are in milliseconds."""

    url: Dynamic[Text]
    """Where the repository is: ``https://host/path`` or ``git@host:path``."""
    username: Dynamic[Text | None] = None
    """The user's name, for HTTPS."""
    password: Dynamic[Text | None] = None
    """The user's password or token, for HTTPS."""
    private_key: Dynamic[Text | None] = None
    """The private key in PEM, for SSH."""
    passphrase: Dynamic[Text | None] = None
    """What unlocks the private key."""
    trusted_ca_pem_path: Dynamic[Text | None] = None
    """A file with the certificates of the authorities to trust."""
    no_proxy: Dynamic[Text | None] = None
    """Hosts that are reached without the proxy."""
    connect_timeout: Dynamic[int] = 10_000
    """How many milliseconds connecting may take."""
    read_timeout: Dynamic[int] = 60_000
    """After how many milliseconds without data the transfer is given up."""
    git_config: Dynamic[dict[str, Text] | None] = None
    """Git's own settings by name, as far as they are harmless."""


def bare_url(spec: Remote, context: TaskContext) -> str:
    """
    Give the URL without a user and password in it, once it is clear that git may use it.

    What the operator's ``insteadOf`` makes of it is held to the same protocols by git itself (GIT_ALLOW_PROTOCOL), so
    an ``insteadOf`` that leads to a local path needs ``file`` among them.

    Raises:
        TaskError: it looks like an option, names a remote helper, or its protocol is not among those allowed.
    """
    url = spec.url.strip()
    if not url or url.startswith("-") or "::" in url.partition("/")[0] or not url.isprintable():
        raise TaskError(f"{masked(url)!r} is no URL of a git repository", "write https://host/path or git@host:path")
    protocol = _protocol(url)
    if protocol not in context.git.allowed_protocols:
        raise TaskError(
            f"git may not use the protocol '{protocol}' of {masked(url)}",
            f"allowed are {', '.join(context.git.allowed_protocols)}; the operator can add it to git.allowed_protocols",
        )
    parts = _web(url)
    return urlunsplit(parts._replace(netloc=_host(parts))) if parts else url


def masked(text: str) -> str:
    """*text* without the user and password of the URLs in it."""
    return re.sub(r"://[^/@\s']+@", "://***@", text)


def _protocol(url: str) -> str:
    if "://" in url:
        return url.partition("://")[0].lower()
    return "ssh" if _SCP_LIKE.match(url) else "file"


def _web(url: str) -> SplitResult | None:
    return urlsplit(url) if url.lower().startswith(("https://", "http://")) else None


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def git_environment(spec: Remote, context: TaskContext, private: Path) -> dict[str, str]:
    """
    Give the environment for git, after writing credentials to files of mode 0600 in the empty directory *private*.

    Raises:
        TaskError: ``gitConfig`` names something that could run a program or open another protocol.
    """
    return {
        **environment(context, {}),
        **dict(_basics(spec, context)),
        **dict(_configuration(spec)),
        **_ask_for_password(spec, private),
        "GIT_SSH_COMMAND": _ssh(spec, context, private),
        "SSH_ASKPASS": _answer(private / "passphrase", spec.passphrase or ""),
        "SSH_ASKPASS_REQUIRE": "force",
    }


def _basics(spec: Remote, context: TaskContext) -> Iterator[tuple[str, str]]:
    yield "LC_ALL", "C.UTF-8"
    yield "GIT_CONFIG_NOSYSTEM", "1"
    yield "GIT_CONFIG_GLOBAL", str(context.git.config_file or os.devnull)
    yield "GIT_ALLOW_PROTOCOL", ":".join(context.git.allowed_protocols)
    yield "GIT_TERMINAL_PROMPT", "0"
    yield "GIT_CEILING_DIRECTORIES", str(context.workdir.parent)
    if spec.trusted_ca_pem_path:
        yield "GIT_SSL_CAINFO", spec.trusted_ca_pem_path
    if spec.no_proxy:
        yield "NO_PROXY", "*" if spec.no_proxy == "true" else spec.no_proxy


def _configuration(spec: Remote) -> Iterator[tuple[str, str]]:
    """Configuration by variables (git-config(1), GIT_CONFIG_COUNT), which other users cannot see, unlike ``-c``."""
    settings = {
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": str(max(1, spec.read_timeout // 1000)),
        **_free(spec.git_config or {}),
        **_HARDENED,
    }
    yield "GIT_CONFIG_COUNT", str(len(settings))
    for number, (name, value) in enumerate(settings.items()):
        yield f"GIT_CONFIG_KEY_{number}", name
        yield f"GIT_CONFIG_VALUE_{number}", value


def _free(wanted: Mapping[str, str]) -> Mapping[str, str]:
    for name in wanted:
        section = name.partition(".")[0].lower()
        if section not in _FREE_SECTIONS and name.lower() not in _FREE_NAMES:
            raise TaskError(
                f"gitConfig may not set '{name}'",
                f"it may set {', '.join(sorted(_FREE_NAMES))} and what begins with {', '.join(sorted(_FREE_SECTIONS))}",
            )
    return wanted


def _ask_for_password(spec: Remote, private: Path) -> dict[str, str]:
    """Answer git's questions for user and password of the URL's host, and of no other, such as a submodule's."""
    parts = _web(spec.url.strip())
    username = spec.username or (unquote(parts.username) if parts and parts.username else "git")
    password = spec.password or (unquote(parts.password) if parts and parts.password else "")
    if parts is None or not password:
        return {"GIT_ASKPASS": "/bin/false"}
    _write(private / "username", username, mode=0o600)
    _write(private / "password", password, mode=0o600)
    host = shlex.quote(_host(parts))
    script = (
        f"#!/bin/sh\nhost={host}\n"
        'case "$1" in *"://$host\'"* | *"@$host\'"*) ;; *) exit 1 ;; esac\n'
        f'case "$1" in Username*) exec cat {_quoted(private / "username")} ;; esac\n'
        f"exec cat {_quoted(private / 'password')}\n"
    )
    _write(private / "askpass", script, mode=0o700)
    return {"GIT_ASKPASS": str(private / "askpass")}


def _ssh(spec: Remote, context: TaskContext, private: Path) -> str:
    """
    Give the ssh command: only the task's key, never the daemon's own keys, agent or configuration.

    The first key of a host is trusted and remembered for all later runs; a changed one is refused.
    """
    known_hosts = context.cache / "known_hosts"
    options = [
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "PasswordAuthentication=no",
        "KbdInteractiveAuthentication=no",
        "StrictHostKeyChecking=accept-new",
        f"UserKnownHostsFile={known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        f"ConnectTimeout={max(1, spec.connect_timeout // 1000)}",
    ]
    key = Path(os.devnull)
    if spec.private_key:
        key = private / "key"
        _write(key, spec.private_key.replace("\r\n", "\n").rstrip("\n") + "\n", mode=0o600)
    words = ["ssh", "-F", os.devnull, "-i", str(key), *(word for option in options for word in ("-o", option))]
    return shlex.join(words)


def _answer(path: Path, content: str) -> str:
    """Give a program that prints *content*, whatever it is asked."""
    _write(path, content, mode=0o600)
    program = path.with_suffix(".sh")
    _write(program, f"#!/bin/sh\nexec cat {_quoted(path)}\n", mode=0o700)
    return str(program)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _write(path: Path, content: str, *, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
