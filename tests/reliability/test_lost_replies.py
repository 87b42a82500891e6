"""Replies that are lost after the effect."""

from reliability.experiment import Setting
from reliability.lost_replies import lost_replies


async def test_lost_replies(setting: Setting) -> None:
    """After each COPY, DELETE, PUT and Complete whose reply is lost, every object ends in its one right state."""
    assert [figure for figure in await lost_replies(setting) if not figure.met] == []
