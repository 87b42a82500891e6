"""From command-line options, environment and file to settings."""

import argparse
import os
from pathlib import Path
from typing import Any

from tidewaiter.config.document import Document, parse
from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.settings import Settings, load_settings
from tidewaiter.daemon import systemd

_FLAGS = ("state_dir", "flows", "listen", "log_format", "log_level", "grace_period")


def settings_from(options: argparse.Namespace) -> Settings:
    """
    Combine what the user gave. systemd's ``StateDirectory=`` is the default state directory where there is one.

    Raises:
        ConfigError: the settings file or a variable is wrong.
    """
    flags: dict[str, Any] = {name: getattr(options, name, None) for name in _FLAGS}
    folder = systemd.state_folder(os.environ)
    if folder and flags["state_dir"] is None and "TIDEWAITER_STATE_DIR" not in os.environ:
        flags["state_dir"] = folder
    settings = load_settings(_document(getattr(options, "config", None)), os.environ, flags)
    return settings.model_copy(update={"listen": None}) if getattr(options, "no_web", False) else settings


def _document(path: Path | None) -> Document | None:
    if path is None:
        return None
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([Problem(str(path), 0, 0, f"the settings file cannot be read: {error}")]) from error
