"""When rendered text counts as true."""

_FALSE = frozenset({"", "0", "-0", "false"})


def truthy(text: str) -> bool:
    """Tell whether the rendered text of a condition such as ``runIf`` is neither blank, ``0``, ``-0`` nor ``false``."""
    return text.strip() not in _FALSE
