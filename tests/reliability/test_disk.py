"""A disk that is full, and one that does not confirm."""

from reliability.disk import disk
from reliability.experiment import Setting
from reliability.sync import sync


async def test_disk(setting: Setting) -> None:
    """Whatever page is the one that does not fit: nothing is lost, and work goes on when there is space."""
    assert [figure for figure in await disk(setting) if not figure.met] == []


async def test_sync(setting: Setting) -> None:
    """An fsync that fails ends the process; the next start loses nothing."""
    assert [figure for figure in await sync(setting) if not figure.met] == []
