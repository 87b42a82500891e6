"""Pebble's templates: text, ``{{ }}`` and tags become steps for the compiler."""

from collections.abc import Iterable, Sequence

from tidewaiter.config.expression import compiler
from tidewaiter.config.expression.compiler import Code, Step
from tidewaiter.config.expression.grammar import Grammar, Names
from tidewaiter.config.expression.lexer import Token, tokenize
from tidewaiter.config.expression.place import MisplacedError
from tidewaiter.config.expression.values import similar

MAX_TAG_DEPTH = 15
"""How deep tags may be nested; Python allows 20 nested loops."""


def parse(source: str, names: Names) -> list[Step]:
    """
    Parse the template *source*.

    Raises:
        MisplacedError: it does not follow the grammar, is nested too deeply, or calls something that does not exist.
    """
    return _Parser(source, names).template()


class _Parser(Grammar):
    def __init__(self, source: str, names: Names) -> None:
        tokens = tokenize(source)
        super().__init__(source, tokens, names, frozenset(_defined_macros(tokens)))
        self._definitions: list[Step] = []
        self._defined: set[str] = set()
        self._tag_depth = 0
        self._escaping: str | None = None

    def template(self) -> list[Step]:
        """Parse everything; macros come first, so that they can be called before they are defined."""
        body = self._body(())
        return [*self._definitions, *body]

    def _body(self, until: tuple[str, ...]) -> list[Step]:
        """Parse up to a tag named in *until*, whose name is the current token then; without any, up to the end."""
        steps: list[Step] = []
        while self._token.kind != "end":
            token = self._next()
            if token.kind in {"data", "raw"}:
                operation = "text" if token.kind == "data" else "raw"
                steps.append(self._write(operation, compiler.constant(token.value, token.start)))
            elif token.kind == "print":
                steps.append(self._write("show", self._escaped(self._expression())))
                self._close("print_end")
            elif self._is(*until):
                return steps
            else:
                steps.extend(self._tag())
        if until:
            raise self._unexpected(f"'{{% {until[-1]} %}}'")
        return steps

    def _write(self, operation: str, code: Code) -> Step:
        return compiler.write(compiler.stateful(operation, [code], code.offset))

    def _escaped(self, code: Code) -> Code:
        if self._escaping is None or code.safe:
            return code
        operands = [compiler.constant("escape", code.offset), code, compiler.constant(self._escaping, code.offset)]
        return compiler.stateful("apply", operands, code.offset)

    def _close(self, kind: str) -> None:
        if self._token.kind != kind:
            raise self._unexpected("'}}' or an operator" if kind == "print_end" else "'%}'")
        self._index += 1

    def _tag(self) -> list[Step]:
        tags = {
            "if": self._if,
            "for": self._for,
            "set": self._set,
            "macro": self._macro,
            "filter": self._filter_tag,
            "block": self._block,
            "cache": self._cache,
            "autoescape": self._autoescape,
        }
        token = self._name("the name of a tag")
        if token.value not in tags:
            hint = next(
                (f"did you mean '{name}'?" for name in similar(token.value, tags)),
                f"there is {', '.join(sorted(tags))}, raw",
            )
            raise MisplacedError(f"unknown tag '{token.value}'", token.start, hint)
        self._tag_depth += 1
        if self._tag_depth > MAX_TAG_DEPTH:
            raise MisplacedError(f"tags are nested deeper than {MAX_TAG_DEPTH} levels", token.start)
        steps = tags[token.value](token)
        self._tag_depth -= 1
        return steps

    def _section(self, *until: str) -> list[Step]:
        self._close("tag_end")
        return self._body(until)

    def _end(self, name: str) -> None:
        self._expect(name)
        self._close("tag_end")

    def _condition(self) -> Code:
        code = self._expression()
        return compiler.operation("truth", [code], code.offset)

    def _if(self, _tag: Token) -> list[Step]:
        branches = [(self._condition(), self._section("elseif", "else", "endif"))]
        while self._take("elseif"):
            branches.append((self._condition(), self._section("elseif", "else", "endif")))
        otherwise = self._section("endif") if self._take("else") else []
        self._end("endif")
        return [compiler.choose(branches, otherwise)]

    def _for(self, tag: Token) -> list[Step]:
        variable = self._name("the name of the loop's variable")
        self._expect("in")
        items = compiler.stateful(
            "loop", [compiler.constant(variable.value, variable.start), self._expression()], tag.start
        )
        body = self._section("else", "endfor")
        otherwise = self._section("endfor") if self._take("else") else []
        self._end("endfor")
        return [compiler.repeat(items, body, otherwise)]

    def _set(self, tag: Token) -> list[Step]:
        name = self._name("the name of a variable")
        self._expect("=")
        value = self._expression()
        self._close("tag_end")
        return [compiler.do(compiler.stateful("assign", [compiler.constant(name.value, name.start), value], tag.start))]

    def _macro(self, tag: Token) -> list[Step]:
        name = self._name("the name of the macro")
        self._expect("(")
        if name.value in self._defined:
            raise MisplacedError(f"macro '{name.value}' is defined twice", name.start)
        self._defined.add(name.value)
        parameters = self._several(")", self._parameter)
        body = self._section("endmacro")
        self._end("endmacro")
        defaults = [
            compiler.do(compiler.stateful("default_argument", [code, value], code.offset)) for code, value in parameters
        ]
        known = [compiler.constant(name.value, tag.start), compiler.reference(name.value, tag.start)]
        self._definitions += [
            compiler.routine(name.value, [*defaults, *body], tag.start),
            compiler.do(compiler.stateful("define", [*known, *(code for code, _ in parameters)], tag.start)),
        ]
        return []

    def _parameter(self) -> tuple[Code, Code]:
        name = self._name("the name of a parameter")
        value = self._expression() if self._take("=") else compiler.constant(None, name.start)
        return compiler.constant(name.value, name.start), value

    def _filter_tag(self, _tag: Token) -> list[Step]:
        calls = [self._filter_call()]
        while self._take("|"):
            calls.append(self._filter_call())
        steps = self._section("endfilter")
        self._end("endfilter")
        for name, operands, named in calls:
            steps = [compiler.captured(steps, "filtered_block", [name, *operands], named)]
        return steps

    def _block(self, _tag: Token) -> list[Step]:
        self._name("the name of the block")
        steps = self._section("endblock")
        self._expect("endblock")
        if self._token.kind == "name":
            self._index += 1
        self._close("tag_end")
        return steps

    def _cache(self, _tag: Token) -> list[Step]:
        """Render the body each time: what an expression gives is never kept."""
        self._expression()
        steps = self._section("endcache")
        self._end("endcache")
        return steps

    def _autoescape(self, _tag: Token) -> list[Step]:
        outer, self._escaping = self._escaping, "html"
        if self._token.kind == "string":
            self._escaping = self._next().value
        elif self._take("false"):
            self._escaping = None
        else:
            self._take("true")
        steps = self._section("endautoescape")
        self._end("endautoescape")
        self._escaping = outer
        return steps


def _defined_macros(tokens: Sequence[Token]) -> Iterable[str]:
    for tag, keyword, name in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if tag.kind == "tag" and keyword.value == "macro" and name.kind == "name":
            yield name.value
