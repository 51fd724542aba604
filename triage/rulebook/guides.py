"""Runbooks and procedures: Markdown files with steps to check off, read without rendering them.

A step is an item of a task list at the margin, `- [ ] Do this`, with the indented lines that follow it. Its id is made
of its words, so that what was checked off stays so while other steps are edited. Holes like `{{ instance }}` are filled
with an alert's labels: whatever a label holds, it stays text. In code, which people copy into a shell, only what is one
plain word there is filled in; anything else stays a hole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from triage.model import Details, Incident, Phase, key_of, short

RUNBOOKS: Final = "runbooks/"
PROCEDURES: Final = "procedures/"
SECTIONS: Final = ("Symptoms", "Investigation", "Mitigation", "Resolution")
"""What a runbook has."""
PHASES: Final = {
    Phase.DETECTED: "detect",
    Phase.TRIAGED: "triage",
    Phase.MITIGATING: "mitigate",
    Phase.MONITORING: "resolve",
    Phase.RESOLVED: "resolve",
    Phase.POSTMORTEM: "postmortem",
}
"""The procedure of each phase: `procedures/2-triage.md` is that of `triage`, whatever its number."""
SIZE_MAX: Final = 100_000
"""Longest runbook or procedure, in characters."""
STEPS_MAX: Final = 100
INDENT: Final = "  "
MARK: Final = "      "
VALUE_MAX: Final = 200
"""How much of a label goes into a hole, in characters."""
HOLE: Final = re.compile(r"\{\{\s*(?:\$labels\.)?([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_STEP: Final = re.compile(r"[-*] \[[ xX]\] +(\S.*)")
_HEADING: Final = re.compile(r"(#{1,6}) +(.+?) *#*\Z")
_NUMBER: Final = re.compile(r"[0-9]+[-_. ]*")
_WORD: Final = re.compile(r"[A-Za-z0-9_/][A-Za-z0-9_@%+=:,./-]*")
_CODE: Final = re.compile(r"(`+[^`]+`+)")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")


class Part(msgspec.Struct, frozen=True):
    """A piece of a section in Markdown: a step to check off, or, where `step` is "", what stands between steps."""

    text: str
    step: str = ""


class Section(msgspec.Struct, frozen=True):
    """What stands under one heading; `name` is "" for what stands before the first."""

    name: str
    parts: tuple[Part, ...]


class Document(msgspec.Struct, frozen=True):
    """A runbook or a procedure, by its path in the rules folder."""

    path: str
    title: str
    sections: tuple[Section, ...]

    def steps(self) -> Iterator[tuple[Section, Part]]:
        """Yield every step with its section, from top to bottom."""
        for section in self.sections:
            yield from ((section, part) for part in section.parts if part.step)


@lru_cache(maxsize=64)  # each check-off and each view reads the same few files
def parse(path: str, text: str) -> Document:
    """Return what a Markdown file says."""
    title = ""
    sections: list[tuple[str, list[Part]]] = [("", [])]
    seen: dict[str, int] = {}
    for kind, lines in _blocks(text[:SIZE_MAX]):
        whole = "\n".join(lines).strip("\n")
        heading = _HEADING.match(whole) if kind == "heading" else None
        if heading is not None and len(heading[1]) == 1 and not title:
            title = heading[2]
        elif heading is not None and len(heading[1]) == 2:
            sections.append((heading[2], []))
        elif kind == "step":
            name = sections[-1][0]
            seen[whole] = seen.get(whole, 0) + 1
            step = key_of("step", path, name, whole, str(seen[whole]))[:10]
            sections[-1][1].append(Part(whole, step))
        elif whole:
            sections[-1][1].append(Part(whole))
    kept = tuple(Section(name, tuple(parts)) for name, parts in sections if name or parts)
    return Document(path, title or path.rpartition("/")[2].removesuffix(".md"), kept)


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield headings, steps (without their mark) and what stands between, each as its lines. Code is left whole."""
    lines: list[str] = []
    kind, fence = "text", ""
    for line in text.splitlines():
        bare = line.strip()
        if fence:
            lines.append(line.removeprefix(INDENT) if kind == "step" else line)
            fence = "" if bare.startswith(fence) and not bare.strip(fence[0]) else fence
            continue
        step = _STEP.match(line)
        ends_step = kind == "step" and line[:1] not in (" ", "\t", "")
        if step or ends_step or _HEADING.match(line):
            yield kind, lines
            kind, lines = "text", []
        if step:
            kind, lines = "step", [step[1]]
        elif _HEADING.match(line):
            yield "heading", [line]
        else:
            lines.append(_continued(line) if kind == "step" else line)
        if bare.startswith(("```", "~~~")):
            fence = bare[:3]
    yield kind, lines


def _continued(line: str) -> str:
    """Return a line of a step less its indentation: that of the mark `- [ ] `, or of the list."""
    return line[len(MARK) :] if line.startswith(MARK) else line.removeprefix(INDENT)


def words_of(part: Part) -> str:
    """Return the first paragraph of a step as one line, without the code that follows it."""
    lines: list[str] = []
    for line in part.text.splitlines():
        if not line.strip() or line.strip().startswith(("```", "~~~", "|")):
            break
        lines.append(line)
    return " ".join(" ".join(lines).split())


def procedure_of(phase: Phase, files: Mapping[str, str]) -> str:
    """Return the path of the procedure of a phase, or "" where the operators have none."""
    wanted = PHASES.get(phase, "")
    for path in sorted(files):
        name = path.removeprefix(PROCEDURES).removesuffix(".md")
        if wanted and path.startswith(PROCEDURES) and path.endswith(".md") and _NUMBER.sub("", name, count=1) == wanted:
            return path
    return ""


def documents_of(runbook: str, files: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths of what an incident with this runbook can check off: the runbook, and every procedure."""
    if runbook in files:
        yield runbook
    yield from sorted(path for path in files if path.startswith(PROCEDURES))


def missing_sections(document: Document) -> list[str]:
    """Return the sections that a runbook should have and has not, or has empty."""
    have = {section.name.strip().lower() for section in document.sections if section.parts}
    return [name for name in SECTIONS if name.lower() not in have]


# --------------------------------------------------------------------------------------------------------------------
# Holes.


def values_of(incident: Incident, details: Details | None) -> dict[str, str]:
    """Return what fills the holes of a guide: the labels of the alert that gave the incident its title (`details`), and
    what the incident itself is called.
    """
    own = {"incident": short(incident.key), "title": incident.title, "severity": incident.severity.name}
    own |= {"service": incident.service} if incident.service else {}
    return {**(details.labels if details is not None else {}), **own}


def clean(value: str) -> str:
    """Return a label as one line of text that a terminal shows as it is."""
    text = _UNSEEN.sub(" ", value[: 2 * VALUE_MAX]).strip()
    return text if len(text) <= VALUE_MAX else text[: VALUE_MAX - 1] + "…"


def fill(text: str, values: Mapping[str, str], write: Callable[[str], str] = clean) -> str:
    """Return a text with its holes filled; `write` says how a value is written there, "" for not at all. A hole that
    nothing fills shows its name, `<instance>`.
    """
    return HOLE.sub(lambda hole: write(values.get(hole[1], "")) or f"<{hole[1]}>", text)


def in_code(value: str) -> str:
    """Return a label as it may stand in a command, inside quotes or not; "" for what a shell could take for more."""
    return value if _WORD.fullmatch(value) and len(value) <= VALUE_MAX else ""


def plain(part: Part, values: Mapping[str, str]) -> list[str]:
    """Return a part as lines of text with its holes filled, for a terminal or a chat."""
    lines, fence = [], ""
    for line in part.text.splitlines():
        bare = line.strip()
        if fence or bare.startswith(("```", "~~~")):
            fence = "" if fence and bare.startswith(fence) else fence or bare[:3]
            lines.append(fill(line, values, in_code))
            continue
        pieces = _CODE.split(line)
        lines.append("".join(fill(one, values, in_code if n % 2 else clean) for n, one in enumerate(pieces)))
    return [_UNSEEN.sub(" ", line.replace("\t", "    ")).rstrip() for line in lines]
