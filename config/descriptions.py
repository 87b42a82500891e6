"""The text under each property of a spec, read from its source when it is asked for: most commands never do."""

import ast
import inspect
import re
from functools import cache
from itertools import pairwise
from types import ModuleType

from pydantic import BaseModel

_REFERENCES = re.compile(r",?\s*\((?:(?:kestra|reliability|design)\.md|Kestra's\s+documentation)[^)]*\)")


def description(model: type[BaseModel]) -> str:
    """What *model* is, for its readers; without what only its makers look up."""
    return _REFERENCES.sub("", inspect.getdoc(model) or "")


def property_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The description of each property of *model* that has one, by its Python name; a subclass may give its own."""
    found: dict[str, str] = {}
    for owner in reversed(model.__mro__):
        if issubclass(owner, BaseModel) and (module := inspect.getmodule(owner)):
            found |= _documented(module).get(owner.__qualname__.partition("[")[0], {})
    return {name: text for name, text in found.items() if name in model.model_fields}


@cache
def _documented(module: ModuleType) -> dict[str, dict[str, str]]:
    """The strings that stand under the properties of each class in *module*."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    return {node.name: dict(_under_properties(node.body)) for node in classes}


def _under_properties(body: list[ast.stmt]) -> list[tuple[str, str]]:
    pairs = pairwise(body)
    return [
        (above.target.id, _REFERENCES.sub("", inspect.cleandoc(below.value.value)))
        for above, below in pairs
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    ]
