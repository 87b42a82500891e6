"""The script languages: one table (kestra.md §1.10)."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SHELL = ("/bin/sh", "-c")
_POWERSHELL = ("pwsh", "-NoProfile", "-NonInteractive", "-Command")


@dataclass(frozen=True, slots=True)
class Language:
    """
    One language. *name* is its part of the type name, *image* the container image that Kestra would take.

    *program* runs a script file with *extension*; None means that the script is what the interpreter itself is given.
    """

    name: str
    image: str
    extension: str
    program: str | None
    interpreter: tuple[str, ...] = SHELL

    def invocation(self, path: Path, options: tuple[str, ...] = ()) -> str:
        """The command, in words of the interpreter, that runs the script file *path*."""
        return " ".join((self.program or "", *options, shlex.quote(str(path))))


LANGUAGES: Mapping[str, Language] = MappingProxyType(
    {
        language.name: language
        for language in (
            Language("shell", "ubuntu", ".sh", None),
            Language("python", "python:3.13-slim", ".py", "python"),
            Language("node", "node", ".js", "node"),
            Language("r", "r-base", ".R", "Rscript"),
            Language("ruby", "ruby", ".rb", "ruby"),
            Language("powershell", "ghcr.io/kestra-io/powershell:latest", ".ps1", "&", _POWERSHELL),
            Language("php", "php", ".php", "php"),
            Language("perl", "perl", ".pl", "perl"),
            Language("go", "golang", ".go", "go run"),
            Language("bun", "oven/bun", ".ts", "bun run"),
            Language("deno", "denoland/deno", ".ts", "deno run"),
            Language("julia", "julia", ".jl", "julia"),
            Language("lua", "nickblah/lua", ".lua", "lua"),
            Language("dotnet", "mcr.microsoft.com/dotnet/sdk:10.0", ".csx", "dotnet-script"),
            Language("groovy", "groovy", ".groovy", "groovy"),
            Language("jbang", "jbangdev/jbang-action", ".java", "jbang"),
        )
    }
)
"""Every language by name."""


def fail_fast(interpreter: tuple[str, ...]) -> str:
    """The line that makes *interpreter* stop at the first failing command; empty for one that is no shell."""
    name = Path(interpreter[0]).name
    if name in {"pwsh", "powershell"}:
        return '$ErrorActionPreference = "Stop"'
    return "set -e" if name.endswith("sh") else ""
