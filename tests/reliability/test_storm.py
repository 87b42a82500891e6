"""A storm of faults on the way to the store."""

from reliability.experiment import Setting
from reliability.storm import storm


async def test_storm(setting: Setting) -> None:
    """One request in five fails, and no object is lost or taken twice."""
    assert [figure for figure in await storm(setting) if not figure.met] == []
