"""The pages of the reference: one for each spec, the rules of lint, and an index. Text in, text out."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from tidewaiter.config.descriptions import description
from tidewaiter.config.flow import Flow, TaskSpec, TriggerSpec
from tidewaiter.config.parts import choices_of, models_of, types_of, written_names
from tidewaiter.config.schema import definition_keys, json_schema
from tidewaiter.config.spec import TypedSpec, takes_expressions
from tidewaiter.config.typenames import is_current, short_name
from tidewaiter.daemon.flows import AnyFlow
from tidewaiter.daemon.lint import RULES
from tidewaiter.daemon.reference.types import default_words, type_words

MADE = "<!-- made by 'make reference' from the specs: do not edit -->\n"
"""The first line of every page."""

_TABLE = "| property | takes | default | expressions | |\n| --- | --- | --- | --- | --- |\n"
_KINDS: Mapping[str, type[BaseModel]] = MappingProxyType({"Tasks": TaskSpec, "Triggers": TriggerSpec})


def pages() -> dict[str, str]:
    """Give every page by its file name."""
    made = _Reference()
    specs = {made.file(model): made.page(model) for model in made.models}
    return {"index.md": made.index(), "lint.md": _rules(), **specs}


class _Reference:
    def __init__(self) -> None:
        self.models = models_of(AnyFlow)
        whole = json_schema(AnyFlow, "Flow")
        keys = definition_keys(self.models)
        self._schemas: dict[type[BaseModel], Mapping[str, Any]] = {
            model: whole["definitions"].get(key, whole) for model, key in keys.items()
        }
        self._links = {key: f"[{self.title(model)}]({self.file(model)})" for model, key in keys.items()}
        for number, choice in enumerate(choices_of(self.models), start=1):
            kind = "task" if issubclass(choice.specs[0], TaskSpec) else "trigger"
            self._links[f"OneOf{number}"] = f"[{kind}](index.md#{kind}s)"

    def title(self, model: type[BaseModel]) -> str:
        """The name of *model* in the reference."""
        if issubclass(model, Flow):
            return "Flow"
        return short_name(model.NAMES[0]) if issubclass(model, TypedSpec) else model.__name__

    def file(self, model: type[BaseModel]) -> str:
        """The file of the page of *model*."""
        return f"{self.title(model)}.md"

    def page(self, model: type[BaseModel]) -> str:
        """Everything there is to know of *model*."""
        common = next((kind for kind in _KINDS.values() if issubclass(model, kind)), None)
        shared = [name for name in model.model_fields if common and name in common.model_fields]
        own = [name for name in model.model_fields if name not in shared]
        sections = [
            f"{MADE}\n# {self.title(model)}\n\n{_prose(model)}\n",
            _type_names(model),
            self._table("Properties", model, own),
            self._table(f"Properties of every {'task' if common is TaskSpec else 'trigger'}", model, shared),
            _ignored(model),
        ]
        return "\n".join(filter(None, sections))

    def _table(self, heading: str, model: type[BaseModel], names: Sequence[str]) -> str:
        rows = [self._row(model, name) for name in names]
        return f"## {heading}\n\n{_TABLE}" + "".join(f"{row}\n" for row in rows) if rows else ""

    def _row(self, model: type[BaseModel], name: str) -> str:
        field = model.model_fields[name]
        current, *former = written_names(name, field)
        schema = self._schemas[model]["properties"][current]
        before = f" Before: {', '.join(f'`{old}`' for old in former)}." if former else ""
        cells = (
            f"`{current}`",
            type_words(schema, self._links) if name != "type" or not types_of(model) else "a type name",
            default_words(schema, required=field.is_required()),
            "yes" if takes_expressions(field) else "",
            _code(model, schema.get("description", "")) + before,
        )
        escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    def index(self) -> str:
        """All pages with what each is, in a sentence."""
        left = [model for model in self.models if not issubclass(model, Flow)]
        sections = [f"{MADE}\n# Reference\n\n- [Flow](Flow.md): {_sentence(AnyFlow)}\n- [Rules of lint](lint.md)\n"]
        for heading, kind in _KINDS.items():
            chosen = [model for model in left if issubclass(model, kind)]
            sections.append(self._list(heading, chosen))
            left = [model for model in left if model not in chosen]
        return "\n".join([*sections, self._list("Parts of them", left)])

    def _list(self, heading: str, models: Sequence[type[BaseModel]]) -> str:
        lines = (
            f"- [{self.title(model)}]({self.file(model)}){_also(model)}: {_sentence(model)}\n"
            for model in sorted(models, key=self.title)
        )
        return f"## {heading}\n\n{''.join(lines)}"


def _also(model: type[BaseModel]) -> str:
    """The other types that one page is about, such as one for each language."""
    others = [short_name(name) for name in getattr(model, "NAMES", ())[1:] if is_current(name)]
    return f", {', '.join(f'`{name}`' for name in others)}" if others and issubclass(model, TypedSpec) else ""


def _prose(model: type[BaseModel]) -> str:
    return _code(model, description(model))


def _code(model: type[BaseModel], text: str) -> str:
    """Write the properties that *text* names as they are written in YAML."""
    names = {name: written_names(name, field)[0] for name, field in model.model_fields.items()}
    written = set(names.values())

    def name(match: re.Match[str]) -> str:
        found = names.get(match[1]) or (match[1] if match[1] in written else None)
        return f"`{found}`" if found else match[0]

    return re.sub(r"(?<![\w*])\*(\w+)\*(?![\w*])", name, text)


def _sentence(model: type[BaseModel]) -> str:
    first = " ".join(_prose(model).partition("\n\n")[0].split())
    return re.split(r"(?<=\.) (?=[A-Z*`])", first)[0]


def _type_names(model: type[BaseModel]) -> str:
    names = types_of(model)
    if not names or not (issubclass(model, TypedSpec) or hasattr(model, "NAMES")):
        return ""
    full = [name for name in names if name.startswith("io.")]
    lines = [
        *(f"- `{name}`, in short `{short_name(name)}`\n" for name in full if is_current(name)),
        *(f"- `{name}`, an old name\n" for name in full if not is_current(name)),
    ]
    return f"## Type\n\n{''.join(lines)}"


def _ignored(model: type[BaseModel]) -> str:
    reasons: Mapping[str, str] = getattr(model, "IGNORED", {})
    lines = (f"- `{name}`: {reason}\n" for name, reason in reasons.items())
    return f"## Accepted without effect\n\n{''.join(lines)}" if reasons else ""


def _rules() -> str:
    """The page of what lint looks for."""
    return f"{MADE}\n# Rules of lint\n\n{_RULES}\n" + "\n".join(_rule_sections())


def _rule_sections() -> Iterator[str]:
    for rule in RULES:
        text = " ".join((rule.find.__doc__ or "").split())
        yield f"## {rule.code}: {rule.title}\n\n*{rule.severity}.* {text}\n"


_RULES = """\
`tidewaiter lint` looks for these in flow files. An *error* keeps the flow from running here (exit code 2), a *warning*
is likely a mistake (1), an *info* tells what is outdated or what Kestra does otherwise (0). Codes do not change.
"""
