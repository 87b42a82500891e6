"""A rig that finds nothing in a daemon that is broken would be worth nothing."""

from reliability.broken import SHORT, broken
from reliability.experiment import Setting


async def test_wrong_orders_are_found_out(setting: Setting) -> None:
    """Each of some orders that are wrong on purpose does harm that the rig sees."""
    figures = await broken(setting)
    assert [(figure.control, figure.met) for figure in figures] == [(True, True)] * len(SHORT), (setting, figures)
