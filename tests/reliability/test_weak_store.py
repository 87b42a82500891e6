"""A store without conditions."""

from reliability.experiment import Setting
from reliability.weak_store import weak_store


async def test_weak_store(setting: Setting) -> None:
    """It is refused; what is lost by accepting it is measured."""
    assert [figure for figure in await weak_store(setting) if not figure.met] == []
