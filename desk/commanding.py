"""What people decide about an incident, as routes and forms: phase, severity, roles, impact, ETA, links, merging."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from desk import shapes, verbs
from desk.asking import CommandBody, EndBody, Text
from desk.commands import TEXT_MAX
from triage.commanding import IMPACT_MAX
from triage.model import Phase, Role, Verb
from triage.rulebook.durations import parse_duration
from triage.rulebook.quiet import parse_instant


class PhaseBody(EndBody):
    """Into which phase; docs/incidents.md has the table of moves. The other words are for resolving and closing."""

    to: Phase


class SeverityBody(CommandBody):
    """How severe it is, and why."""

    to: shapes.SeverityName
    text: Annotated[Text, Field(min_length=1, max_length=TEXT_MAX, description="Why.")]


class RoleBody(CommandBody):
    """Who takes a role; nobody leaves it empty."""

    role: Role
    person: Annotated[Text, Field(max_length=200, description="Nobody, if left out.")] = ""


class ImpactBody(CommandBody):
    """Whom it hurts, and how."""

    text: Annotated[Text, Field(min_length=1, max_length=IMPACT_MAX)]


def _eta(text: str) -> str:
    if text and "T" in text:
        parse_instant(text)
    elif text:
        parse_duration(text)
    return text


class EtaBody(CommandBody):
    """When it should be over."""

    eta: Annotated[
        str,
        Field(max_length=40, description="Like `30m` from now, or RFC 3339; nothing: nobody can say any more."),
        AfterValidator(_eta),
    ] = ""


class OtherBody(CommandBody):
    """Which other incident."""

    other: Annotated[str, Field(pattern="^[a-z2-7]{6,26}$", description="Its key, or six characters or more of it.")]


ROUTES: Final = (
    verbs.command(
        Verb.PHASE,
        "move_incident",
        "Bring an incident into another phase",
        "Bring an incident into another phase, as the table of moves allows.",
        "It is in that phase now.",
        PhaseBody,
    ),
    verbs.command(
        Verb.SEVERITY,
        "change_severity",
        "Raise or lower the severity, with a reason",
        "Raise or lower the severity. Raised into P1 or P0 it pages, but never whoever raised it.",
        "The severity is changed.",
        SeverityBody,
    ),
    verbs.command(
        Verb.ROLE,
        "give_role",
        "Give a role, hand it over, or leave it to nobody",
        "Give commander, communications or scribe to a person, hand it over, or leave it to nobody.",
        "The role is given.",
        RoleBody,
    ),
    verbs.command(
        Verb.IMPACT,
        "say_impact",
        "Say whom it hurts",
        "Say whom it hurts, and how.",
        "It is known whom it hurts.",
        ImpactBody,
    ),
    verbs.command(
        Verb.ETA,
        "say_eta",
        "Say when it should be over",
        "Say when it should be over, or that nobody can say.",
        "The ETA is known.",
        EtaBody,
    ),
    verbs.command(
        Verb.LINK,
        "link_incident",
        "Link two incidents",
        "Note on two incidents that they have to do with each other.",
        "Linked.",
        OtherBody,
    ),
    verbs.command(
        Verb.MERGE,
        "merge_incident",
        "Let an incident become part of another",
        "Let an incident become part of another one, which goes on; nobody is paged twice for it.",
        "It is part of the other incident now.",
        OtherBody,
    ),
)
