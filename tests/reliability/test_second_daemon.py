"""Two daemons, one state directory."""

from reliability.experiment import Setting
from reliability.second_daemon import second_daemon


async def test_second_daemon(setting: Setting) -> None:
    """The second refuses to start and disturbs nothing."""
    assert [figure for figure in await second_daemon(setting) if not figure.met] == []
