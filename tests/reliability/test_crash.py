"""``kill -9`` wherever a few system calls are: nothing is lost, doubled, repeated or left over."""

from reliability.crash import crash
from reliability.experiment import Setting


async def test_killed_at_some_points(setting: Setting) -> None:
    """After each of a dozen kills every object has its one execution, and a recorded result stands."""
    assert [figure for figure in await crash(setting) if not figure.met] == [], setting
