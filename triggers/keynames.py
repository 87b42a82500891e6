"""The rules that look at nothing but a key, compiled: ``regexp``, ``pattern``, ``include`` and ``exclude``."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidewaiter.config.globs import compile_glob
from tidewaiter.triggers.keys import basename, below, java_pattern
from tidewaiter.triggers.pattern import KeyPattern, compile_pattern
from tidewaiter.triggers.ruled import RuledTrigger


@dataclass(frozen=True, slots=True)
class KeyGlob:
    """A glob; without a slash it is for an object's name, with one for its path below the prefix's folder."""

    source: str
    expression: re.Pattern[str]

    @classmethod
    def of(cls, source: str) -> "KeyGlob":
        """Compile *source*; raises ValueError."""
        return cls(source, compile_glob(source))

    def matches(self, path: str) -> bool:
        """Tell whether the glob means *path*, a key without the prefix's folder."""
        return bool(self.expression.fullmatch(path if "/" in self.source else basename(path)))


@dataclass(frozen=True, slots=True)
class KeyNames:
    """The rules about keys below *prefix*."""

    prefix: str
    regexp: re.Pattern[str] | None
    pattern: KeyPattern | None
    include: tuple[KeyGlob, ...]
    exclude: tuple[KeyGlob, ...]

    @classmethod
    def of(cls, spec: RuledTrigger, prefix: str) -> "KeyNames":
        """Compile the rules of *spec*, which has no templates."""
        return cls(
            prefix,
            java_pattern(spec.regexp) if spec.regexp else None,
            compile_pattern(spec.pattern) if spec.pattern else None,
            tuple(map(KeyGlob.of, spec.include)),
            tuple(map(KeyGlob.of, spec.exclude)),
        )

    def unmeant(self, key: str) -> Iterator[tuple[str, str]]:
        """Give the rules that leave *key* out, each with the reason."""
        if self.regexp is not None and not self.regexp.fullmatch(key):
            yield "regexp", f"its key does not match regexp '{self.regexp.pattern}'"
        if self.pattern is not None and self.pattern.captures(key) is None:
            yield "pattern", f"its key does not match pattern '{self.pattern.source}'"
        if not (self.include or self.exclude):
            return
        path = below(self.prefix, key)
        if self.include and not any(glob.matches(path) for glob in self.include):
            yield "include", f"no glob of include matches it: {', '.join(glob.source for glob in self.include)}"
        if (out := next((glob for glob in self.exclude if glob.matches(path)), None)) is not None:
            yield "exclude", f"exclude '{out.source}' leaves it out"

    def means(self, key: str) -> bool:
        """Tell whether no rule leaves *key* out."""
        unruled = self.regexp is None and self.pattern is None and not self.include and not self.exclude
        return unruled or next(self.unmeant(key), None) is None

    def captures(self, key: str) -> Mapping[str, str]:
        """Give the named parts of *key*; empty where *pattern* or *regexp* do not match."""
        match = self.regexp.fullmatch(key) if self.regexp is not None else None
        groups = match.groupdict() if match is not None else {}
        found = self.pattern.captures(key) if self.pattern is not None else None
        return {name: text for name, text in groups.items() if text is not None} | (found or {})
