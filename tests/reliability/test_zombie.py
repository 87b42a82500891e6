"""Daemons that wake up late, and requests that outlive them."""

from reliability.experiment import Setting
from reliability.zombie import zombie


async def test_zombie(setting: Setting) -> None:
    """What a stopped or dead daemon has still in flight destroys nothing."""
    assert [figure for figure in await zombie(setting) if not figure.met] == []
