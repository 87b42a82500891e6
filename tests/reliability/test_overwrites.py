"""Overwrites at every step of a move."""

from reliability.experiment import Setting
from reliability.overwrites import overwrites


async def test_overwrites(setting: Setting) -> None:
    """No content is lost that the writer did not replace before it was read."""
    assert [figure for figure in await overwrites(setting) if not figure.met] == []
