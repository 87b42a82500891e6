"""``tidewaiter run``."""

import argparse
import asyncio
import os

from tidewaiter.config.errors import ConfigError, Problem
from tidewaiter.config.expression import Expressions
from tidewaiter.daemon.app import App, make_host
from tidewaiter.daemon.cli.options import settings_from
from tidewaiter.daemon.flows import flow_files
from tidewaiter.daemon.logs import set_up


def run(options: argparse.Namespace) -> int:
    """Serve until told to stop."""
    settings = settings_from(options)
    if not settings.flows:
        raise ConfigError(
            [Problem("--flows", 0, 0, "no folder of flows is given", "tidewaiter run --flows DIR, or TIDEWAITER_FLOWS")]
        )
    if options.once and not flow_files(settings.flows):
        where = ", ".join(map(str, settings.flows))
        raise ConfigError([Problem(where, 0, 0, "there are no flow files here", "they end in .yaml or .yml")])
    # Keys in logs, manifests and stored objects are for this user's eyes.
    os.umask(0o077)
    host = make_host(settings, os.environ)
    set_up(settings.log_format, settings.log_level, host.secrets.mask)
    return asyncio.run(App(settings, host, Expressions()).run(once=options.once))
