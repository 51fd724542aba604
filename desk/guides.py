"""What to do about an incident: its runbook, the procedure of its phase, dashboards; and checking off their steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, Field

from desk import rendering, verbs
from desk.api import Call, Route
from desk.asking import CommandBody
from desk.shapes import Time
from desk.showing import time_of
from triage.checked import Checklist
from triage.model import Incident, Verb, short
from triage.rulebook import Rulebook, guides
from triage.store import queries, standing
from triage.store.guides import checklist, labels


class StepShape(BaseModel):
    """A step to check off. `number` counts through its document; `text` has its holes filled."""

    id: str
    number: int
    text: str
    done_by: str | None
    done_at: Time | None


class PieceShape(BaseModel):
    """A piece of a section: a step, or text between steps."""

    text: str
    step: StepShape | None


class SectionShape(BaseModel):
    """What stands under one heading."""

    name: str
    pieces: list[PieceShape]


class DocumentShape(BaseModel):
    """A runbook or a procedure, with the labels of the incident's alert filled in, as plain text."""

    path: str
    title: str
    sections: list[SectionShape]


class Dashboard(BaseModel):
    """A dashboard of the incident's service."""

    title: str
    url: str


class GuideShape(BaseModel):
    """What to do about an incident. `link` is the runbook where it is kept elsewhere, "" where there is none."""

    incident: str
    phase: str
    runbook: DocumentShape | None
    link: str
    procedure: DocumentShape | None
    dashboards: list[Dashboard]


class StepBody(CommandBody):
    """Which step is done, or open again."""

    step: Annotated[str, Field(pattern="^[a-z2-7]{10}$", description="The id of a step, from the guide.")]
    undo: Annotated[bool, Field(description="It is open again.")] = False


@dataclass(frozen=True, slots=True)
class Guide:
    """What an incident's guide is made of: documents, labels for their holes, and what is checked off."""

    runbook: guides.Document | None
    procedure: guides.Document | None
    values: Mapping[str, str]
    checked: Checklist
    dashboards: Mapping[str, str]
    link: str


async def of(client: queries.Client, rulebook: Rulebook, one: Incident) -> Guide:
    """Return the guide of an incident. Raises one of `queries.DOWN`."""
    files = rulebook.runbooks
    procedure = guides.procedure_of(one.phase, files)
    service = rulebook.services.get(one.service)
    values = await labels(client, one)
    given = service.dashboards if service is not None else {}
    return Guide(
        runbook=guides.parse(one.runbook, files[one.runbook]) if one.runbook in files else None,
        procedure=guides.parse(procedure, files[procedure]) if procedure else None,
        values=values,
        checked=await checklist(client, one.key),
        dashboards={title: url for title, url in given.items() if rendering.safe_url(url)},
        link=rendering.safe_url(one.runbook),
    )


async def get_guide(call: Call) -> BaseModel:
    """Return what to do about an incident: its runbook, the procedure of its phase, dashboards of its service."""
    one = await queries.incident(call.client, call.request.match_info["id"])
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    guide = await of(call.client, rulebook, one)
    return GuideShape(
        incident=short(one.key),
        phase=one.phase.value,
        runbook=_document(guide.runbook, guide),
        link=guide.link,
        procedure=_document(guide.procedure, guide),
        dashboards=[Dashboard(title=title, url=url) for title, url in guide.dashboards.items()],
    )


def _document(document: guides.Document | None, guide: Guide) -> DocumentShape | None:
    if document is None:
        return None
    numbers = {part.step: number for number, (_, part) in enumerate(document.steps(), 1)}
    return DocumentShape(
        path=document.path,
        title=guides.fill(document.title, guide.values),
        sections=[
            SectionShape(name=section.name, pieces=[_piece(part, guide, numbers) for part in section.parts])
            for section in document.sections
        ],
    )


def _piece(part: guides.Part, guide: Guide, numbers: Mapping[str, int]) -> PieceShape:
    text = "\n".join(guides.plain(part, guide.values))
    if not part.step:
        return PieceShape(text=text, step=None)
    done = guide.checked.steps.get(part.step)
    step = StepShape(
        id=part.step,
        number=numbers[part.step],
        text=text,
        done_by=done.by if done is not None else None,
        done_at=time_of(done.at) if done is not None else None,
    )
    return PieceShape(text=text, step=step)


CHAT_MAX: Final = 3_500
"""How much of a guide is said in a chat, in characters."""


def in_chat(guide: Guide) -> str:
    """Return a guide as lines for a chat, holes filled; the mark-up of the service is made harmless where it is sent.

    Steps are numbered as `tocsin runbook` numbers them: r2 of the runbook, p1 of the procedure.
    """
    lines = [f"{title}: {url}" for title, url in guide.dashboards.items()]
    if guide.runbook is None:
        lines.append(f"Runbook: {guide.link}" if guide.link else "There is no runbook for this incident.")
    for letter, document in (("r", guide.runbook), ("p", guide.procedure)):
        if document is not None:
            lines += ["", guides.fill(document.title, guide.values), *_chat_lines(document, guide, letter)]
    text = "\n".join(lines).strip()
    return text if len(text) <= CHAT_MAX else f"{text[: CHAT_MAX - 40]}…\n(cut; the incident's view has it whole)"


def _chat_lines(document: guides.Document, guide: Guide, letter: str) -> list[str]:
    lines: list[str] = []
    number = 0
    for section in document.sections:
        lines += [f"{section.name}:"] if section.name else []
        for part in section.parts:
            text = guides.plain(part, guide.values)
            if part.step:
                number += 1
                done = guide.checked.steps.get(part.step)
                text[0] = f"[{'x' if done else ' '}] {letter}{number}  {text[0]}" + (f" ({done.by})" if done else "")
            lines += text
    return lines


def step_of(guide: Guide, number: str) -> str:
    """Return the id of the step that people call r2 or p1, or "" where there is none."""
    document = {"r": guide.runbook, "p": guide.procedure}.get(number[:1])
    steps = [part.step for _, part in document.steps()] if document is not None else []
    at = int(number[1:]) if number[1:].isascii() and number[1:].isdigit() and len(number) < 5 else 0
    return steps[at - 1] if 0 < at <= len(steps) else ""


ROUTES: Final = (
    Route("GET", "/incidents/{id}/guide", "What to do: runbook, procedure, dashboards", get_guide, GuideShape),
    verbs.command(
        Verb.CHECK,
        "check_step",
        "Check off a step of the runbook or a procedure",
        "Check off a step of the runbook or a procedure, or take that back with `undo`.",
        "It is on the timeline.",
        StepBody,
    ),
)
