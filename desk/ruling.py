"""The view of the rules in force: since when, the faults of a refused change, and the text of each file by line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from aiohttp import web
from markupsafe import Markup, escape

from desk.masking import masked
from desk.people import Person
from desk.problems import not_found
from desk.rendering import lead_to, linked
from triage.model import Rules
from triage.model.roles import Scope
from triage.rulebook.problems import closest
from triage.store import standing

if TYPE_CHECKING:
    from desk.views import Views

LINES: Final = 2_000
"""How many lines of a file one view shows."""
LINE_MAX: Final = 2_000
"""How much of a line is shown, in characters."""
_FAULT: Final = re.compile(r"(?P<path>.+?):(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)
_PLACE: Final = re.compile(r"(?P<path>.+):(?P<line>[1-9][0-9]{0,7})")
_DECIDED: Final = re.compile(r"(?P<before>.*\()(?P<path>(?:[\w-]+/)*[\w.-]+):(?P<line>[1-9][0-9]*)\)", re.DOTALL)


def add_views(app: web.Application, house: Views) -> None:
    """Put the views on `app`. Everybody sees what the API tells of the rules; their text is for those who respond."""

    async def show(_request: web.Request, person: Person) -> web.Response:
        found = await standing.rules(house.office.desk.client)
        rules = found or Rules(digest="", files={})
        return house.renderer.answer(
            "rules.html",
            person=person,
            now=house.office.desk.clock(),
            rules=rules,
            files={path: text.count("\n") + (not text.endswith("\n")) for path, text in sorted(rules.files.items())},
            faults=[_fault(text) for text in rules.refused],
            reads=person.may(Scope.RESPOND),
        )

    async def read(request: web.Request, person: Person) -> web.Response:
        found = await standing.rules(house.office.desk.client)
        path, files = request.match_info["path"], found.files if found is not None else {}
        place = _PLACE.fullmatch(path)
        if place is not None and path not in files and place["path"] in files:
            return _moved(place["path"], int(place["line"]))
        if path not in files:
            hint = closest(path[:200], files) or "the list of rules has all of them"
            raise not_found(f"the rules in force have no file {path[:200]!r}; {hint}")
        return house.renderer.answer(
            "rule_file.html", person=person, now=house.office.desk.clock(), path=path, **_shown(request, files[path])
        )

    app.router.add_get("/rules", house.signed_in(show))
    app.router.add_get("/rules/{path:.+}", house.signed_in(read, Scope.RESPOND))


def _moved(path: str, line: int) -> web.Response:
    """Lead from `severity.yaml:111` to that line, on its page."""
    begin = (line - 1) // LINES * LINES + 1
    return lead_to(f"/rules/{quote(path)}{f'?from={begin}' if begin > 1 else ''}#L{line}")


def _shown(request: web.Request, text: str) -> dict[str, Any]:
    """Return the lines of a page by number, and where the pages before and after it begin (0: none)."""
    lines = text.removesuffix("\n").split("\n")
    asked = request.query.get("from", "1")
    begin = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 9 else 1
    begin = min(max(1, begin), len(lines))
    end = begin - 1 + LINES
    return {
        "lines": {begin + index: _cut(line) for index, line in enumerate(lines[begin - 1 : end])},
        "before": max(1, begin - LINES) if begin > 1 else 0,
        "after": end + 1 if end < len(lines) else 0,
        "total": len(lines),
    }


def _cut(line: str) -> str:
    """Return what is shown of a line. It is masked before it is cut: half a secret would not be known for one."""
    shown = masked(line.rstrip("\r")[: 4 * LINE_MAX])
    return shown if len(shown) <= LINE_MAX else f"{shown[:LINE_MAX]}…"


def _fault(text: str) -> dict[str, str]:
    """Return what is wrong with a refused change, in its place. A fault of the whole folder has none."""
    found = _FAULT.fullmatch(text)
    if found is None:
        return {"path": "", "line": "", "column": "", "message": masked(text)}
    return {**found.groupdict(), "message": masked(found["message"])}


def placed(text: str) -> Markup:
    """Return a fact of `why` escaped, with the line of the rule that it names, `(severity.yaml:111)`, made a link."""
    found = _DECIDED.fullmatch(text)
    if found is None:
        return linked(text)
    link = Markup('<a href="/rules/{0}:{1}">{0}:{1}</a>').format(found["path"], found["line"])
    return escape(found["before"]) + link + Markup(")")
