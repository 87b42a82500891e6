"""Hostile keys, end to end."""

from reliability.experiment import Setting
from reliability.hostile_keys import hostile_keys


async def test_hostile_keys(setting: Setting) -> None:
    """Whatever a key looks like: nothing else is touched, nothing is stuck, and what is refused is told."""
    assert [figure for figure in await hostile_keys(setting) if not figure.met] == []
