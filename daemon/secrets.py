"""Secrets: where ``secret('NAME')`` gets its values, and how they are kept out of every text the daemon writes."""

import base64
import binascii
import json
import urllib.parse
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidewaiter.config.errors import ConfigError, Problem, SecretMissingError
from tidewaiter.config.inputs import Input

PREFIX = "SECRET_"
MASK = "******"
_MINIMUM = 4
_MINIMUM_LINE = 8


@dataclass(frozen=True, slots=True)
class Secrets:
    """
    Secrets by upper-case name: ``SECRET_<NAME>`` (base64, kestra.md §1.12), then the folders, one file per secret.

    *folders* are the operator's secrets folder and systemd's ``$CREDENTIALS_DIRECTORY``; they are read anew at each
    use, so a rotated secret counts at once.
    """

    values: Mapping[str, str]
    folders: tuple[Path, ...] = ()
    given_out: set[str] = field(default_factory=set)
    _spelled: list[str] = field(default_factory=list)

    @classmethod
    def take(cls, environment: MutableMapping[str, str], folders: Iterable[Path]) -> "Secrets":
        """
        Read the secrets in *environment* and remove them from it, so that nothing else can hand them out (design.md
        §4).

        Raises:
            ConfigError: a value is not base64.
        """
        names = [name for name in environment if name.startswith(PREFIX)]
        values = {name.removeprefix(PREFIX).upper(): _decoded(name, environment.pop(name)) for name in names}
        return cls(values, tuple(folders))

    def get(self, name: str, *_namespace: str) -> str:
        """
        Give the secret *name*.

        Raises:
            SecretMissingError: no source has it.
        """
        value = self.values.get(name.upper())
        if value is None:
            value = self._from_folders(name)
        if value is None:
            raise SecretMissingError(
                f"there is no secret '{name}'",
                f"set {PREFIX}{name.upper()} to its value in base64, or put it in a file of the secrets folder",
            )
        self.conceal(value)
        return value

    def conceal(self, value: str) -> None:
        """Keep *value* out of every text from now on, as it is with secrets that were given out."""
        if value not in self.given_out:
            self.given_out.add(value)
            # Longest first: of two secrets one may begin with the other.
            self._spelled[:] = sorted({*self._spelled, *_spellings(value)}, key=len, reverse=True)

    def conceal_inputs(self, specs: Iterable[Input], values: Mapping[str, Any]) -> None:
        """`conceal` the *values* of the inputs that are SECRET."""
        for spec in specs:
            if spec.type == "SECRET" and values.get(spec.id):
                self.conceal(values[spec.id])

    def _from_folders(self, name: str) -> str | None:
        if not name.replace("_", "").replace("-", "").replace(".", "").isalnum() or ".." in name:
            return None
        for folder in self.folders:
            for spelling in (name, name.upper(), name.lower()):
                try:
                    return (folder / spelling).read_text(encoding="utf-8").removesuffix("\n")
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except (OSError, UnicodeDecodeError) as error:
                    raise SecretMissingError(f"the secret file {folder / spelling} cannot be read: {error}") from error
        return None

    def mask(self, text: str) -> str:
        """Replace in *text* every secret that was given out, also in base64, URL and JSON spelling."""
        for spelling in self._spelled:
            text = text.replace(spelling, MASK)
        return text


def _spellings(value: str) -> tuple[str, ...]:
    """
    How *value* may appear in a text; a very short one cannot be told from other text.

    A program prints a secret of several lines (a private key) line by line.
    """
    if len(value) < _MINIMUM:
        return ()
    encoded = base64.b64encode(value.encode()).decode()
    lines = (line for line in value.splitlines() if len(line) >= _MINIMUM_LINE)
    return (value, encoded, urllib.parse.quote(value, safe=""), json.dumps(value)[1:-1], *lines)


def _decoded(variable: str, value: str) -> str:
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        hint = "set it to the output of: printf %s VALUE | base64 -w0"
        raise ConfigError([Problem(variable, 0, 0, "the value is not base64", hint)]) from error
