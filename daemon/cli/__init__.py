"""
The command line: one verb, one function, one paragraph of help (design.md §5).

Data goes to stdout, messages to stderr. Exit codes: 0 done, 1 something failed, 2 bad input or configuration, 130
second interrupt.
"""

import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tidewaiter.config.errors import ConfigError, SyncError, TidewaiterError
from tidewaiter.daemon.cli.parser import make_parser
from tidewaiter.daemon.cli.terminal import note


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line and give the exit code. A verb's code is loaded when it is called, so that each starts fast.
    """
    options = make_parser().parse_args(arguments)
    # pydantic looks through every installed package for plugins; it is told before it is loaded that there are none.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        code: int = _handler(options.handler)(options)
    except ConfigError as error:
        for problem in error.problems:
            note(str(problem))
        return 2
    except (TidewaiterError, SyncError) as error:
        note(f"tidewaiter: {error.message}" + (f"\n  hint: {error.hint}" if error.hint else ""))
        return 1
    except BrokenPipeError:
        # The reader of our output left (``| head``): not an error, and no reason to complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return code


def _handler(name: str) -> Callable[[Any], int]:
    """Load the function behind a verb. What is loaded stays: looking through it for garbage each time is waste."""
    module, _, function = name.partition(":")
    gc.disable()
    handler: Callable[[Any], int] = getattr(importlib.import_module(module), function)
    gc.freeze()
    gc.enable()
    return handler
