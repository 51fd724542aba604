"""Own checks over the API: what the rules say of each, beside how it stands."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel

from desk import asking
from desk.api import Call, Route
from desk.shapes import Time
from desk.showing import time_of
from triage.model import Millis
from triage.rulebook.checks import FAILED, Check
from triage.rulebook.durations import show_duration
from triage.store import checks as kept
from triage.store import standing
from triage.store.checks import Standing


class CheckOutcome(BaseModel):
    """A check. `state`: `passes`, `failing` (not often enough yet to be an alert), `fails`, or `new` (not looked yet).

    `fingerprint` is that of the alert about its failure. `amiss` says in a word why the last look failed, `text` in a
    sentence. `since` is when the looks began to end as the last one did.
    """

    name: str
    fingerprint: str
    place: str
    every: str
    state: str
    amiss: str
    text: str
    looks: int
    failures: int
    looked_at: Time | None
    since: Time | None
    took_ms: int | None
    certificate_ends: Time | None


class CheckPage(BaseModel):
    """Checks by name; `next` is the `after` of the next page, null at the end."""

    items: list[CheckOutcome]
    next: str | None


async def list_checks(call: Call) -> BaseModel:
    """Return how the checks of checks.yaml stand."""
    rulebook = call.office.rulebooks.of(await standing.rules(call.client))
    known = await kept.standings(call.client)
    rest = sorted(name for name in rulebook.checks if call.query.after is None or name > call.query.after)
    shown = rest[: call.query.limit]
    items = [_outcome(rulebook.checks[name], known.get(name)) for name in shown]
    return CheckPage(items=items, next=shown[-1] if len(shown) < len(rest) else None)


def _outcome(check: Check, stands: Standing | None) -> CheckOutcome:
    return CheckOutcome(
        name=check.name,
        fingerprint=check.fingerprint(FAILED),
        place=check.place,
        every=show_duration(check.every),
        state=_state(stands),
        amiss=stands.kind if stands is not None else "",
        text=stands.text if stands is not None else "",
        looks=stands.looks if stands is not None else 0,
        failures=stands.failures if stands is not None else 0,
        looked_at=_time(stands.at if stands is not None else None),
        since=_time(stands.since if stands is not None else None),
        took_ms=stands.took if stands is not None else None,
        certificate_ends=_time(stands.expires_at if stands is not None else None),
    )


def _state(stands: Standing | None) -> str:
    if stands is None:
        return "new"
    if stands.told_at is not None:
        return "fails"
    return "failing" if stands.failing else "passes"


def _time(at: Millis | None) -> str | None:
    return None if at is None else time_of(at)


ROUTES: Final = (Route("GET", "/checks", "Own checks", list_checks, CheckPage, asking.PageQuery),)
