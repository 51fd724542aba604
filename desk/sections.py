"""The view of one incident, section by section.

A section is a template in `templates/incident/` (one `<section id=… data-live>`) and a function that returns what it
shows besides the incident (`one`), its address (`here`), whether it has `ended`, `person` and `now`. To add one, write
both and put a line into SECTIONS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from desk import guides, markdown, metrics
from desk.api import Office
from desk.people import Person
from desk.postmortems import item_shape
from desk.rendering import linked
from desk.ruling import placed
from triage import actions
from triage.changes import words_of
from triage.model import MINUTE, Incident, Millis, Role
from triage.model.roles import Scope
from triage.phases import MOVES
from triage.public import Effects, address_of
from triage.rulebook import Rulebook
from triage.rulebook.guides import fill
from triage.status import Audience, Standing
from triage.store import actions as runs
from triage.store import before, errands, learned, publications, queries, statements
from triage.store import why as reasons

LINES_SHOWN: Final = 100
ALERTS_SHOWN: Final = 50
UPDATES_SHOWN: Final = 20
"""How many status updates are shown, the newest ones."""
OTHERS_SHOWN: Final = 50
"""How many open incidents are offered to be linked or merged."""


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody looks at an incident: who, at which request, by which rules, and when (the desk's clock)."""

    office: Office
    request: web.Request
    person: Person
    one: Incident
    rulebook: Rulebook
    now: Millis

    @property
    def client(self) -> queries.Client:
        return self.office.desk.client


Values = Callable[[Look], Awaitable[Mapping[str, Any]]]


def zone_of(rulebook: Rulebook, person: Person) -> str:
    """Return the time zone of whoever looks, where oncall.yaml knows it; else ""."""
    who = rulebook.people.get(person.name)
    return who.time_zone if who is not None else ""


async def _head(look: Look) -> Mapping[str, Any]:
    return {
        "verification": await errands.verification(look.client, look.one),
        "meant": look.rulebook.meanings,
        "tz": zone_of(look.rulebook, look.person),
    }


async def _acts(look: Look) -> Mapping[str, Any]:
    return {"people": sorted(look.rulebook.people)}


async def _command(look: Look) -> Mapping[str, Any]:
    opened, _ = await queries.open_incidents(look.client)
    return {
        "moves": {
            to: why for (before, to), why in MOVES.items() if before is look.one.phase and not look.one.merged_into
        },
        "roles": list(Role),
        "others": [one for one in opened[:OTHERS_SHOWN] if one.key != look.one.key],
    }


async def _guide(look: Look) -> Mapping[str, Any]:
    guide = await guides.of(look.client, look.rulebook, look.one)
    return {"guide": guide, "guide_html": markdown.html, "filled": fill}


async def _before(look: Look) -> Mapping[str, Any]:
    changed = [
        {
            "happened": change.happened,
            "words": words_of(change.service, change.happened),
            "when": _when((look.one.opened_at - change.happened.at) // MINUTE),
        }
        for change in await before.changes_of(look.client, look.one, look.rulebook, look.now)
    ]
    return {
        "changed": changed,
        "stands": await before.stands(look.client, look.one.service, look.now),
        "seen": await before.seen(look.client, look.one),
        "recalled": [item_shape(key, one, look.now) for key, one in await learned.recalled(look.client, look.one)],
    }


def _when(minutes: int) -> str:
    return f"{minutes} min before" if minutes >= 0 else f"{-minutes} min after it began"


async def _actions(look: Look) -> Mapping[str, Any]:
    fitting = [
        one
        for _, one in sorted(look.rulebook.actions.items())
        if actions.fits(one, look.one) and actions.may(one, look.person.name, look.rulebook.teams)
    ]
    return {
        "actions": fitting,
        "runs": await runs.runs_of(look.client, look.one),
        "mitigations": actions.MITIGATIONS,
    }


async def _timeline(look: Look) -> Mapping[str, Any]:
    before = look.request.query.get("timeline")
    return {"timeline": await queries.story(look.client, look.one, LINES_SHOWN, before)}


async def _alerts(look: Look) -> Mapping[str, Any]:
    after = look.request.query.get("alerts")
    return {"alerts": await queries.alerts_of(look.client, look.one.key, ALERTS_SHOWN, after)}


async def _public(look: Look) -> Mapping[str, Any]:
    publication = await publications.one(look.client, look.one.key)
    return {
        "publication": publication,
        "publication_id": address_of(look.one.key, publication),
        "components": list(look.rulebook.status.components),
        "effects": list(Effects),
    }


async def _updates(look: Look) -> Mapping[str, Any]:
    known = await statements.of(look.client, look.one.key)
    shown = {"updates": known.items[::-1][:UPDATES_SHOWN], "audiences": list(Audience), "standings": list(Standing)}
    return {**shown, **await _public(look)}


async def _why(look: Look) -> Mapping[str, Any]:
    found = await reasons.why(look.client, look.one.key, look.office.rulebooks)
    return {"why": found, "placed": placed if look.person.may(Scope.RESPOND) else linked}


SECTIONS: Final[tuple[tuple[str, Values], ...]] = (
    ("head", _head),
    ("acts", _acts),
    ("command", _command),
    ("guide", _guide),
    ("metrics", metrics.section),
    ("before", _before),
    ("updates", _updates),
    ("actions", _actions),
    ("timeline", _timeline),
    ("alerts", _alerts),
    ("why", _why),
)
"""Name of a section → what its template is given; from top to bottom: what to know, to do, to see, and why."""
TEMPLATES: Final = tuple(f"incident/{name}.html" for name, _ in SECTIONS)


async def gather(look: Look) -> dict[str, Any]:
    """Return the values of all sections. Raises what the queries raise."""
    found: dict[str, Any] = {}
    for name, values in SECTIONS:
        given = await values(look)
        twice = found.keys() & given.keys()
        assert not twice, f"section {name} gives {sorted(twice)} again"  # noqa: S101  a fault of ours, seen in any test
        found.update(given)
    return found
