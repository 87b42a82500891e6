"""``python -m tidewaiter.daemon``: the command line."""

import sys

from tidewaiter.daemon.cli import main

sys.exit(main())
