"""Operators' templates: a small part of Jinja that ends soon and stays small, whoever wrote it.

No calls, no assignment, no inclusion, no arithmetic, and no attribute of anything: a dot reads an item of what was
given. A loop walks a list that was given, and all loops of one rendering together take STEPS_MAX turns. So no template
can hang or fill the process that renders it, and none can reach what it was not given. What comes out is cut.

Workers render messages with it, the desk status updates; the program checks templates before they come into force.
Nothing that decides knows it: the second exception in triage, after the store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from triage.rulebook.problems import Problem, RulesError, closest

SOURCE_MAX: Final = 8_192
"""Longest template, in characters."""
DEPTH_MAX: Final = 40
"""How deep a template may nest."""
STEPS_MAX: Final = 500
"""How many turns all loops of one rendering take together."""
VALUE_MAX: Final = 4_000
"""How much of one value is used, in characters."""
ITEMS_MAX: Final = 100
"""How many items of one list are used."""

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value]"
"""What a template is given: texts, numbers, lists and mappings of them."""

_LOOP: Final = ("first", "index", "last", "length")
_BLOCKS: Final = (nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For)
_PARTS: Final = (nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Filter, nodes.CondExpr)
_LOGIC: Final = (nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat)
ALLOWED: Final = (*_BLOCKS, *_PARTS, *_LOGIC)
"""The parts of Jinja that a template may be made of."""


class Failed(Exception):
    """A template that could not be rendered with what it was given. The message names its file, line and the fault."""


def time_of(value: Any) -> str:
    """Return a time (milliseconds since the epoch, as number or text) for people; "" when there is none."""
    text = str(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        return ""
    return datetime.fromtimestamp(int(text) / 1_000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")


def _truncate(value: Any, limit: Any) -> str:
    text, most = str(value), max(1, int(limit))
    return text if len(text) <= most else text[: most - 1] + "…"


def _replace(value: Any, old: Any, new: Any) -> str:
    return str(value).replace(str(old), str(new), VALUE_MAX)[:VALUE_MAX] if str(old) else str(value)


def _join(value: Any, separator: Any = ", ") -> str:
    return str(separator).join(str(one) for one in value)[:VALUE_MAX]


FILTERS: Final[dict[str, Any]] = {
    "default": lambda value, other: value or other,
    "first": lambda value: next(iter(value), ""),
    "join": _join,
    "length": len,
    "lower": lambda value: str(value).lower(),
    "replace": _replace,
    "time": time_of,
    "trim": lambda value: str(value).strip(),
    "truncate": _truncate,
    "upper": lambda value: str(value).upper(),
}
"""All filters that there are."""


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with our filters and nothing else; a dot and brackets read items of mappings only."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, optimized=False)
        self.filters = dict(FILTERS)
        self.globals = {}
        self.tests = {}

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return an item of a mapping, or what a loop says of itself."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return an item of a mapping."""
        return self.getattr(obj, str(argument))


_JINJA: Final = _Environment()


class _Steps(Sequence[Any]):
    """A list whose walking is paid for from the budget that all lists of one rendering share."""

    def __init__(self, items: list[Any], budget: list[int]) -> None:
        self._items = items
        self._budget = budget

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        return self._items[index]

    def __iter__(self) -> Iterator[Any]:
        for item in self._items:
            self._budget[0] -= 1
            if self._budget[0] < 0:
                raise Failed(f"its loops take more than {STEPS_MAX} turns")
            yield item


class Template:
    """A template that was checked. `path` is its file, as people know it."""

    def __init__(self, path: str, body: nodes.Template) -> None:
        self.path = path
        code = _JINJA.compile(body, path, path)
        self._template = _JINJA.template_class.from_code(_JINJA, code, {})

    def render(self, values: Mapping[str, Value], limit: int) -> str:
        """Return at most `limit` characters, the cut marked with an ellipsis. Raises Failed."""
        budget = [STEPS_MAX]
        made, length = [], 0
        try:
            for piece in self._template.generate({name: _given(value, budget) for name, value in values.items()}):
                made.append(piece)
                length += len(piece)
                if length > limit:
                    break
        except (Failed, TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as fault:
            raise Failed(f"{self.path}{_line_of(fault, self.path)}: {fault}") from None
        text = "".join(made)
        return text if len(text) <= limit else text[: limit - 1] + "…"


def _given(value: Value, budget: list[int]) -> Any:
    if isinstance(value, str):
        return value[:VALUE_MAX]
    if isinstance(value, int):
        return value
    if isinstance(value, Mapping):
        return {name: _given(one, budget) for name, one in list(value.items())[:ITEMS_MAX]}
    return _Steps([_given(one, budget) for one in value[:ITEMS_MAX]], budget)


def _line_of(fault: BaseException, path: str) -> str:
    """Return `:<line>` of the template in which a fault came up, or ""."""
    trace, line = fault.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return f":{line}" if line else ""


def read(path: str, source: str, names: Collection[str], lists: Collection[str] = ()) -> Template:
    """Return the template in `source`, which may use the values called `names`, and walk those called `lists`.

    Raises RulesError with all that it must not use, each with line and column.
    """
    checker = _Checker(path, source, names, lists)
    if len(source) > SOURCE_MAX:
        raise RulesError([checker.problem(1, "", f"the template is longer than {SOURCE_MAX} characters")])
    try:
        body = _JINJA.parse(source, path, path)
    except TemplateSyntaxError as fault:
        raise RulesError([checker.problem(fault.lineno, "{", fault.message or "this is no template")]) from None
    except (RecursionError, ValueError, OverflowError) as fault:
        raise RulesError([checker.problem(1, "", f"the template cannot be read: {type(fault).__name__}")]) from None
    problems = checker.check(body)
    if problems:
        raise RulesError(problems)
    try:
        return Template(path, body)
    except (SyntaxError, TemplateError, RecursionError, MemoryError) as fault:
        raise RulesError([checker.problem(1, "", f"the template cannot be used: {fault}")]) from None


class _Checker:
    """Finds everything that a template must not use."""

    def __init__(self, path: str, source: str, names: Collection[str], lists: Collection[str]) -> None:
        self.path = path
        self.lines = source.splitlines() or [""]
        self.names = {*names, *lists}
        self.lists = lists

    def problem(self, line: int, token: str, message: str, hint: str = "") -> Problem:
        """Return a problem at `token` of a line, or at the line's beginning; Jinja knows lines only."""
        excerpt = self.lines[min(max(line, 1), len(self.lines)) - 1]
        return Problem(self.path, max(line, 1), max(excerpt.find(token), 0) + 1, message, hint, "error", excerpt)

    def check(self, body: nodes.Template) -> list[Problem]:
        found: list[Problem] = []
        waiting: list[tuple[nodes.Node, frozenset[str], int]] = [(body, frozenset(self.names), 0)]
        while waiting:
            node, known, depth = waiting.pop()
            if depth > DEPTH_MAX:
                return [self.problem(node.lineno, "", f"this nests deeper than {DEPTH_MAX}")]
            found += self._faults(node, known)
            if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
                inner = known | {node.target.name, "loop"}
                waiting += [(child, inner, depth + 1) for child in (*node.body, node.test) if child is not None]
                waiting += [(child, known, depth + 1) for child in (node.iter, *node.else_)]
            elif isinstance(node, ALLOWED):
                waiting += [(child, known, depth + 1) for child in node.iter_child_nodes()]
        return found

    def _faults(self, node: nodes.Node, known: frozenset[str]) -> Iterator[Problem]:
        word = type(node).__name__.lower()
        if not isinstance(node, ALLOWED):
            hint = "a template has values, filters, if and for; nothing is called, set or included"
            yield self.problem(node.lineno, "{", f"“{_WORDS.get(word, word)}” is not allowed in a template", hint)
        elif isinstance(node, nodes.Name) and node.ctx == "load" and node.name not in known:
            hint = closest(node.name, known) or f"there are {', '.join(sorted(known))}"
            yield self.problem(node.lineno, node.name, f"there is no value “{node.name}”", hint)
        elif isinstance(node, nodes.Filter):
            yield from self._filter(node)
        elif isinstance(node, nodes.For):
            yield from self._loop(node)

    def _filter(self, node: nodes.Filter) -> Iterator[Problem]:
        if node.name not in FILTERS:
            hint = closest(node.name, FILTERS) or f"there are {', '.join(FILTERS)}"
            yield self.problem(node.lineno, node.name, f"there is no filter “{node.name}”", hint)
        if node.node is None or node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
            yield self.problem(node.lineno, node.name, "a filter takes plain arguments, and stands behind a value")

    def _loop(self, node: nodes.For) -> Iterator[Problem]:
        walked = node.iter.name if isinstance(node.iter, nodes.Name) else ""
        if walked not in self.lists:
            there_are = f"there are {', '.join(sorted(self.lists))}" if self.lists else "here there are none"
            yield self.problem(node.lineno, walked or "{", "a loop walks one of the lists that are given", there_are)
        if node.recursive or not isinstance(node.target, nodes.Name):
            yield self.problem(node.lineno, "{", "a loop has one name, and no recursion")


_WORDS: Final = {
    "assign": "set",
    "assignblock": "set",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "call": "a call",
    "callblock": "call",
    "filterblock": "filter",
    "fromimport": "import",
    "scopedeval": "with",
}
