"""The shape of the code: short functions, small files, docstrings that say something."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.upkeep.tracked import PACKAGES, ROOT, modules

FUNCTION_MAX = 70
FILE_MAX = 600
SAYS_NOTHING = re.compile(r"^(todo|tbd|fixme|see above|\.\.\.)?\.?$", re.IGNORECASE)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(*packages: str) -> list[tuple[str, ast.Module]]:
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in modules(*packages)]


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_no_function_is_longer_than_a_screen() -> None:
    everything = parsed("tocsin", "ingest", "desk", "triage", "workers", "tests", "bench")
    long = [
        f"{name}:{node.lineno} {node.name} has {length(node)} lines"
        for name, tree in everything
        for node in functions(tree)
        if length(node) > FUNCTION_MAX
    ]
    assert long == []


def test_functions_are_short_in_the_middle() -> None:
    assert median(length(node) for _, tree in parsed() for node in functions(tree)) <= 12


def test_no_file_is_too_long() -> None:
    counts = {path: len(path.read_text("utf-8").splitlines()) for path in modules("tests", "bench", *PACKAGES)}
    assert [f"{path.relative_to(ROOT)} has {count} lines" for path, count in counts.items() if count > FILE_MAX] == []


def public(tree: ast.Module) -> Iterator[Function | ast.ClassDef]:
    """Yield the public functions and classes of a module."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node


def test_public_names_and_modules_say_what_they_mean() -> None:
    silent = []
    for name, tree in parsed():
        if not ast.get_docstring(tree) and Path(name).name != "__init__.py":
            silent.append(name)
        for node in public(tree):
            text = ast.get_docstring(node) or ""
            if isinstance(node, ast.ClassDef) and not text and _says_each_field(node):
                continue
            if SAYS_NOTHING.match(text) or _words(text) == _words(node.name):
                silent.append(f"{name}:{node.lineno} {node.name}")
    assert silent == []


def _says_each_field(node: ast.ClassDef) -> bool:
    """Tell whether a class has fields only, each with a description of its own."""
    return all(isinstance(item, ast.AnnAssign) and "description=" in ast.unparse(item) for item in node.body)


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", text.lower()) if word]


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in modules()
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if mark.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", ["environ", "getenv"])
def test_the_environment_is_read_in_one_place(name: str) -> None:
    allowed = {"tocsin/settings.py", "workers/__init__.py"}
    readers = {
        path
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value) == "os"
    }
    assert readers - allowed == set()


def test_decisions_have_no_clock_and_no_chance() -> None:
    banned = {"time", "random", "secrets", "uuid", "os", "socket", "threading", "asyncio", "logging"}
    found = []
    for name, tree in parsed("triage"):
        if name.startswith("triage/store/"):
            continue
        for node in ast.walk(tree):
            modules_ = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules_ = [node.module]
            found += [f"{name}:{node.lineno} {one}" for one in modules_ if one.partition(".")[0] in banned]  # type: ignore[attr-defined]
    assert found == []
