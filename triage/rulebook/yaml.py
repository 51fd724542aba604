"""YAML as operators expect it: 1.2's scalars, places for error messages, and none of its traps.

`no` is text, `12:30` is text, a date is text, and so is a number that would not print as it was written (`007`, `+1`,
`0x1f`). Keys are always text. Anchors, aliases, tags, duplicate keys and second documents are refused.
The tree is built from libyaml's events, which do not recurse, so deep nesting meets our limit and not the C stack.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import yaml

from triage.rulebook.problems import Problem, Weight, closest

MAX_LENGTH: Final = 8 * 1024 * 1024
"""The longest file, in characters."""
MAX_DEPTH: Final = 24

Path: TypeAlias = tuple[str | int, ...]

_INT: Final = re.compile(r"(0|-?[1-9][0-9]{0,17})\Z")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}\.[0-9]{0,18}|[0-9]{1,18}(?=[eE]))([eE][-+]?[0-9]{1,3})?\Z")
_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


class Node:
    """One value with its place, counted from 1. `children` is what a mapping or list holds, `keys` where keys are."""

    __slots__ = ("children", "column", "keys", "line", "style", "value")

    def __init__(self, value: Any, line: int, column: int, style: str = "") -> None:
        self.value = value
        self.line = line
        self.column = column
        self.style = style
        self.children: dict[str, Node] | list[Node] = {}
        self.keys: dict[str, tuple[int, int]] = {}

    def child(self, key: str | int) -> Node | None:
        """Return what stands under a key or index, or None."""
        if isinstance(self.children, dict):
            return self.children.get(key) if isinstance(key, str) else None
        return self.children[key] if isinstance(key, int) and 0 <= key < len(self.children) else None


class Document:
    """One file: its text, its value as plain dicts, lists and scalars, and the place of each value and key."""

    def __init__(self, path: str, text: str, root: Node) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.root = root
        self.value = root.value

    def node(self, path: Path) -> Node:
        """Return the node at `path`, or the nearest one above it."""
        node = self.root
        for key in path:
            # pydantic puts names of validators between the keys; what is no key of ours is passed over
            node = node.child(key) or node
        return node

    def place(self, path: Path, offset: int | None = None, key: bool = False) -> tuple[int, int]:
        """Return line and column (from 1) of the value at `path`, `offset` characters into its text, or of its key."""
        if key and path:
            known = self.node(path[:-1]).keys.get(str(path[-1]))
            if known is not None:
                return known
        node = self.node(path)
        return node.line, node.column + self._written(node, offset)

    def problem(
        self,
        path: Path,
        message: str,
        hint: str = "",
        severity: Weight = "error",
        offset: int | None = None,
        key: bool = False,
    ) -> Problem:
        """Return a problem at the value (or key) of `path`."""
        line, column = self.place(path, offset, key)
        return Problem(self.path, line, column, message, hint, severity, self.excerpt(line))

    def excerpt(self, line: int) -> str:
        """Return the source line with that number, counted from 1."""
        return self.lines[line - 1] if 0 < line <= len(self.lines) else ""

    def _written(self, node: Node, offset: int | None) -> int:
        """Return how far from the node's start the character at `offset` of its text is written on the same line."""
        source = self.excerpt(node.line)[node.column - 1 :]
        if offset is None or node.style in ("|", ">"):
            return 0
        if not node.style:
            return min(offset, len(source))
        written = 1
        for _ in range(offset):
            step = _width(source, written, node.style)
            if written + step >= len(source):
                return written
            written += step
        return written


def _width(source: str, at: int, style: str) -> int:
    """Return how many characters of a quoted scalar spell one character of its value."""
    here = source[at : at + 2]
    if style == "'":
        return 2 if here == "''" else 1
    if not here.startswith("\\"):
        return 1
    return {"x": 4, "u": 6, "U": 10}.get(here[1:], 2)


def parse(path: str, text: str, problems: list[Problem]) -> Document | None:
    """Read one YAML file. What is wrong is added to `problems`; None when nothing of it can be used."""
    if len(text) > MAX_LENGTH:
        problems.append(
            Problem(path, 1, 1, f"the file is longer than {MAX_LENGTH} characters", "split it into team folders")
        )
        return None
    builder = _Builder(path, text, problems)
    try:
        return Document(path, text, builder.build())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        builder.fault(line, column, f"not YAML: {error.problem or error.context}", _usual_cause(builder, line))
    except yaml.reader.ReaderError as error:
        builder.fault(1, 1, f"not YAML text: {error.reason}", "save the file as UTF-8 without control characters")
    except UnicodeEncodeError:
        builder.fault(1, 1, "not UTF-8 text", "save the file as UTF-8")
    except _TooDeepError as error:
        builder.fault(error.line, error.column, f"nested deeper than {MAX_DEPTH} levels")
    return None


def _usual_cause(builder: _Builder, number: int) -> str:
    line = builder.line(number)
    if not line.strip():
        return "something above is not closed: a bracket, a brace or a quote"
    if "\t" in line:
        return "YAML indents with spaces, never with tabs"
    if "{" in line or '"' in line:
        return "put text that holds { } : # or quotes into 'single quotes'"
    return ""


class _TooDeepError(Exception):
    def __init__(self, line: int, column: int) -> None:
        super().__init__(line, column)
        self.line = line
        self.column = column


class _Builder:
    """Makes the tree of one file out of the parser's events."""

    def __init__(self, path: str, text: str, problems: list[Problem]) -> None:
        self.path = path
        self.text = text
        self.problems = problems
        self._lines: list[str] | None = None

    def line(self, number: int) -> str:
        if self._lines is None:
            self._lines = self.text.splitlines()
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""

    def fault(self, line: int, column: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.path, line, column, message, hint, "error", self.line(line)))

    def build(self) -> Node:
        """Return the root. An empty file is an empty mapping. Raises the parser's errors."""
        loader = yaml.CSafeLoader(self.text)
        try:
            loader.get_event()  # the stream begins
            event = loader.get_event()
            root = Node({}, 1, 1)
            if isinstance(event, yaml.DocumentStartEvent):
                root = self._node(loader, loader.get_event(), 0)
                loader.get_event()  # the document ends
                event = loader.get_event()
            if isinstance(event, yaml.DocumentStartEvent):
                line, column = _place(event)
                self.fault(line, column, "a second document begins here", "keep one document per file")
        finally:
            loader.dispose()
        if root.value is None:
            root.value = {}
        return root

    def _node(self, loader: yaml.CSafeLoader, event: Any, depth: int) -> Node:
        line, column = _place(event)
        if depth > MAX_DEPTH:
            raise _TooDeepError(line, column)
        self._refuse(event, line, column)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(loader, Node({}, line, column), depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(loader, Node([], line, column), depth)
        if isinstance(event, yaml.AliasEvent):
            return Node(None, line, column)
        style = event.style or ""
        return Node(event.value if style else scalar(event.value), line, column, style)

    def _refuse(self, event: Any, line: int, column: int) -> None:
        """Report what of YAML is not taken: aliases, anchors and tags."""
        if isinstance(event, yaml.AliasEvent):
            hint = f"write it out; text that begins with * needs quotes: '*{event.anchor}'"
            self.fault(line, column, f"the alias *{event.anchor} is not supported", hint)
            return
        if event.anchor is not None:
            hint = f"write it out; text that begins with & needs quotes: '&{event.anchor}'"
            self.fault(line, column, f"the anchor &{event.anchor} is not supported", hint)
        if event.tag is not None:
            self.fault(line, column, f"the tag {event.tag} is not supported", "text that begins with ! needs quotes")

    def _mapping(self, loader: yaml.CSafeLoader, node: Node, depth: int) -> Node:
        children: dict[str, Node] = {}
        node.children = children
        while not isinstance(event := loader.get_event(), yaml.MappingEndEvent):
            line, column = _place(event)
            key = self._key(loader, event, depth)
            child = self._node(loader, loader.get_event(), depth + 1)
            if key in children:
                first = node.keys[key][0]
                self.fault(line, column, f'the key "{key}" was already given on line {first}', "keep one of the two")
                continue
            children[key] = child
            node.keys[key] = (line, column)
        node.value = {key: child.value for key, child in children.items()}
        return node

    def _key(self, loader: yaml.CSafeLoader, event: Any, depth: int) -> str:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse(event, *_place(event))
            return str(event.value)
        at = self._node(loader, event, depth + 1)
        self.fault(at.line, at.column, "a key must be text", "text that holds { } [ ] needs quotes")
        return f"{at.line}:{at.column}"

    def _sequence(self, loader: yaml.CSafeLoader, node: Node, depth: int) -> Node:
        children: list[Node] = []
        node.children = children
        while not isinstance(event := loader.get_event(), yaml.SequenceEndEvent):
            children.append(self._node(loader, event, depth + 1))
        node.value = [child.value for child in children]
        return node


def _place(event: Any) -> tuple[int, int]:
    return event.start_mark.line + 1, event.start_mark.column + 1


def scalar(text: str) -> str | int | float | bool | None:
    """Return what a plain (unquoted) scalar means: null, true, false, a number that prints as written, or text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def unknown_key(document: Document, path: Path, known: list[str]) -> Problem:
    """Return the problem of a key that this place does not have."""
    hint = closest(str(path[-1]), known) or f"known here: {', '.join(known)}"
    return document.problem(path, f'unknown key "{path[-1]}"', hint, key=True)
