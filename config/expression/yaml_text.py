"""The filter and the function ``yaml`` (kestra.md §1.12)."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

import yaml

from tidewaiter.config.document import parse
from tidewaiter.config.errors import ConfigError, ExpressionError
from tidewaiter.config.expression.printing import iso_date, java_float, to_json
from tidewaiter.config.expression.values import text_of

_MAX_VALUE = 128 * 1024  # PyYAML writes some 20,000 values a second


def from_yaml(yaml: Any) -> Any:
    """
    Read the YAML text *yaml*, within the limits of flow files; null gives null.

    Raises:
        ExpressionError: it is no YAML.
    """
    if yaml is None:
        return None
    try:
        document = parse(text_of(yaml, "YAML"), "")
    except UnicodeError as error:
        raise ExpressionError("YAML is no Unicode text") from error
    except ConfigError as error:
        problem = error.problems[0]
        place = f" (line {problem.line}, column {problem.column} of it)" if problem.line else ""
        raise ExpressionError(problem.message.replace("the file", "the text") + place) from error
    if document.problems:
        raise ExpressionError(f"not valid YAML: {document.problems[0].message}")
    return document.data


def to_yaml(subject: Any) -> str:
    """
    Write *subject* as YAML in block style, with as few quotes as possible, and a line break at the end.

    Raises:
        ExpressionError: it is too big or too deep.
    """
    if len(to_json(subject)) > _MAX_VALUE:
        raise ExpressionError("value is too big for YAML", "pass big contents as files")
    written = yaml.dump(
        subject, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=float("inf")
    )
    return str(written).removesuffix("...\n")


class _Dumper(yaml.SafeDumper):
    """Writes each value where it stands, without anchors, and texts as Jackson does: plain, in double quotes, or |."""

    def ignore_aliases(self, _data: Any) -> bool:
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    tag = dumper.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    plain = tag == "tag:yaml.org,2002:str" and dumper.analyze_scalar(text).allow_block_plain
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None if plain else '"')


def _number(dumper: _Dumper, number: float | Decimal) -> yaml.ScalarNode:
    text = java_float(number) if isinstance(number, float) else str(number)
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _map(dumper: _Dumper, value: Mapping[Any, Any]) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", dict(value))


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(Decimal, _number)
_Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)
_Dumper.add_representer(set, yaml.SafeDumper.represent_list)
_Dumper.add_multi_representer(Mapping, _map)  # type: ignore[type-abstract]
_Dumper.add_multi_representer(date, lambda dumper, value: _text(dumper, iso_date(value)))
