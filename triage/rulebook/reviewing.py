"""What `tocsin check` says of runbooks and procedures: missing sections, broken links, rules that page without one."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from triage.model import Severity
from triage.rulebook import guides
from triage.rulebook.problems import Problem, closest
from triage.rulebook.rule import Rule
from triage.rulebook.types import Service

LINKS_MAX: Final = 500
"""How many links of one file are looked at."""
RULES_MAX: Final = 200
"""With how many rules that name a runbook a rule is compared, so that checking stays quick."""
_LINK: Final = re.compile(r"\]\(<?([^()\s<>]+)>?\)")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SAFE: Final = ("http://", "https://", "mailto:")


def documents(files: Mapping[str, str]) -> Iterator[Problem]:
    """Review every runbook and procedure of a folder."""
    for path, text in sorted(files.items()):
        runbook = path.startswith(guides.RUNBOOKS)
        if not path.endswith(".md") or not (runbook or path.startswith(guides.PROCEDURES)):
            continue
        if len(text) > guides.SIZE_MAX:
            message = f"this file is longer than {guides.SIZE_MAX} characters; the rest is not shown"
            yield Problem(path, 1, 1, message, "make two of it", "warning")
        document = guides.parse(path, text)
        if sum(1 for _ in document.steps()) > guides.STEPS_MAX:
            yield Problem(path, 1, 1, f"it has more than {guides.STEPS_MAX} steps", "make two of it", "warning")
        missing = guides.missing_sections(document) if runbook else []
        if missing:
            hint = f"a runbook has ## {', ## '.join(guides.SECTIONS)}"
            yield Problem(path, 1, 1, f"it has no section {', '.join(missing)}", hint, "warning")
        yield from _links(path, text, files)


def _links(path: str, text: str, files: Mapping[str, str]) -> Iterator[Problem]:
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        for found in _LINK.finditer(line):
            count += 1
            fault, hint = _link_fault(path, found[1], files)
            if fault and count <= LINKS_MAX:
                yield Problem(path, number, found.start(1) + 1, fault, hint, "warning", line)


def _link_fault(path: str, link: str, files: Mapping[str, str]) -> tuple[str, str]:
    """Return what is wrong with a link, and what to do; "" for nothing. Addresses elsewhere are not fetched."""
    if link.startswith(_SAFE):
        return ("", "") if link.split(":", 1)[1].strip("/") else (f'"{link}" leads nowhere', "write the whole address")
    if _SCHEME.match(link):
        return f'"{link[:80]}" will not be a link', "links begin with https://, http:// or mailto:"
    target = link.partition("#")[0]
    if not target:
        return "", ""
    where = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if where in files:
        return "", ""
    return f'there is no file "{where}"', closest(where, list(files)) or "mend the link, or write the file"


def unguided(
    rules: list[Rule], services: Mapping[str, Service], files: Mapping[str, str], covers: Callable[[Rule, Rule], bool]
) -> Iterator[int]:
    """Yield the positions of rules that page, and for which neither a rule nor their services have a runbook.

    A rule for the same alerts may name it, whether it is read before or after; `covers` tells whether one takes all
    that another one does. Where it depends on labels that a rule says nothing of, it cannot be told, and passes.
    """
    named = [rule for rule in rules if rule.runbook is not None][:RULES_MAX]
    for position, rule in enumerate(rules):
        own = [rule.severity] if "severity" in rule.fields else []
        pages = min([*own, *(clause.to for clause in rule.raises)], default=Severity.P4) <= Severity.P1
        guided = _by_service(rule, services) or any(
            _by_label(other, rule, files) if other.runbook and other.runbook.labels else covers(other, rule)
            for other in named
        )
        if pages and not guided:
            yield position


def _by_label(other: Rule, rule: Rule, files: Mapping[str, str]) -> bool:
    """Tell whether a rule like `runbook: runbooks/{alertname}.md` has a file for every value that another one names."""
    template = other.runbook
    if template is None or any(matcher.name not in template.labels for matcher in other.matchers):
        return False
    for matcher in rule.matchers:
        if template.labels == (matcher.name,) and not matcher.negative and matcher.values:
            found = (template.fill({matcher.name: value}) for value in matcher.values)
            return all(path in files or path.startswith(_SAFE) for path in found)
    return True


def _by_service(rule: Rule, services: Mapping[str, Service]) -> bool:
    """Tell whether a rule is for services only that have a runbook each."""
    for matcher in rule.matchers:
        if matcher.name == "service" and not matcher.negative and matcher.values:
            return all(name in services and services[name].runbook for name in matcher.values)
    return False
