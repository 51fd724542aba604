"""A merge forgets nothing by oversight: of all that an incident has, it is decided here what becomes of it.

Whoever adds a field to `Incident`, or a family that is kept by incident, is told by a failing test to decide what a
merge does with it: `FIELDS` and `KEPT_BY_INCIDENT` have a line for each.
"""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import pytest

from tests.unit.triage.stage import START, Stage
from triage import (
    figures,
    flapping,
    inheriting,
    learning,
    merging,
    metrics,
    pausing,
    promise,
    recalling,
    ringing,
    verifying,
)
from triage.checked import CheckedOff, Checklist
from triage.memory import (
    ACTION,
    ALERT,
    BUDGET,
    CALENDAR,
    CHANGED,
    CHECKLIST,
    CROWD,
    DETAILS,
    DRILL,
    DRILLS,
    EFFECT,
    FAMILIES,
    GATE,
    GROUP,
    HANDED,
    HEARTBEAT,
    INCIDENT,
    LEDGER,
    LESSONS,
    META,
    METRICS,
    OVERRIDES,
    PAST,
    PLACE,
    POSTMORTEM,
    PUBLICATION,
    PUBLICATIONS,
    RECORDED,
    REPEATS,
    ROSTER,
    RULES,
    SHADOW,
    SILENCE,
    SILENCES,
    STORM,
    SUBSCRIPTIONS,
    TALLY,
    TRAY,
    UPDATES,
    VERIFYING,
    VERSION,
    WAITING,
)
from triage.model import Command, EffectKind, Incident, Role, Verb
from triage.public import Effects, Publication, PublicUpdate
from triage.silence import Crowd
from triage.status import Audience, Standing, StatusUpdate, StatusUpdates
from triage.tally import Tally


class Fate(enum.Enum):
    """What a merge does with what the incident that ends has."""

    JOINED = "the one that goes on has what both had"
    FILLS = "the one that goes on gets it where it has nothing of its own"
    ESCALATION = "it goes with the escalation that goes on, that of the more severe"
    STAYS = "it stays with the one that ends, and each keeps its own"
    DERIVED = "it is made again from what the merge did"
    DROPPED = "it ends with the one that ends"


class Line(NamedTuple):
    """What becomes of a field or family, and the function that sees to it; None: nothing has to be done."""

    fate: Fate
    by: Callable[..., Any] | None = None


_ADDED: Final = Line(Fate.JOINED, merging._add_up)
_FILLED: Final = Line(Fate.FILLS, merging._add_up)
_PAGING: Final = Line(Fate.ESCALATION, merging._its_goes_on)
_OWN: Final = Line(Fate.STAYS)
_ANEW: Final = Line(Fate.DERIVED, merging.merge)

FIELDS: Final[dict[str, Line]] = {
    **dict.fromkeys(("key", "group", "title", "rule", "opened_at", "opened_by", "earlier", "lines", "example"), _OWN),
    # messages, readings and texts of its own; `added` limits how many each may ask for
    **dict.fromkeys(("threads", "wants_room", "reopened", "added", "tallied", "stands_for"), _OWN),
    **dict.fromkeys(("monitoring_at", "resolved_at", "resolved_by"), _OWN),
    **dict.fromkeys(("alerts", "firing", "stale", "quiet", "pages", "pageable", "told", "responders", "links"), _ADDED),
    **dict.fromkeys(("answered", "mistaps", "calls", "taken_at", "mitigating_at", "merged"), _ADDED),
    **dict.fromkeys(("service", "runbook", "impact", "eta", "resolution", "root_cause", "changed"), _FILLED),
    **dict.fromkeys(("human_at", "changed_at", "phase", "merged_into"), _ANEW),
    **dict.fromkeys(merging._ESCALATION, _PAGING),
    "severity": _PAGING,
    "episode": _PAGING,
    "pending": Line(Fate.JOINED, merging._still_wanted),
    "roles": Line(Fate.JOINED, merging.merge),
    "by_night": Line(Fate.JOINED, figures.add_nights),
    "parts": Line(Fate.JOINED, pausing.merge),
    "flapping": Line(Fate.JOINED, flapping.hand_over),
    "flaps": Line(Fate.FILLS, flapping.hand_over),
    "ringing": Line(Fate.JOINED, ringing.hand_over),
    "recalled": Line(Fate.JOINED, recalling.hand_over),
    "still_open": Line(Fate.FILLS, recalling.hand_over),
    "next_update": Line(Fate.JOINED, promise.hand_over),
    "promised_at": Line(Fate.JOINED, promise.hand_over),
    "runs": Line(Fate.JOINED, inheriting.hand_over),
    "room": Line(Fate.FILLS, inheriting.hand_over),
    "outlets": Line(Fate.FILLS, inheriting.hand_over),
}

KEPT_BY_INCIDENT: Final[dict[str, Line]] = {
    INCIDENT: _OWN,
    CHECKLIST: Line(Fate.JOINED, inheriting.hand_over),
    UPDATES: Line(Fate.JOINED, inheriting.hand_over),
    PUBLICATION: Line(Fate.FILLS, inheriting.hand_over),
    CROWD: Line(Fate.JOINED, pausing.merge),
    TALLY: Line(Fate.JOINED, merging._add_tallies),
    POSTMORTEM: Line(Fate.JOINED, learning.hand_over),
    VERSION: Line(Fate.JOINED, learning.hand_over),
    METRICS: Line(Fate.FILLS, metrics.hand_over),
    VERIFYING: Line(Fate.DROPPED, verifying.hand_over),
    PAST: Line(Fate.DROPPED, figures.goes_on),
    STORM: _OWN,  # a storm page cannot be merged
}
"""Families whose id is the key of an incident, or begins with it."""

KEPT_BY_OTHERS: Final = frozenset(
    {ALERT, DETAILS, GROUP, EFFECT, HANDED, ACTION, PLACE, SILENCE, WAITING, GATE, DRILL}  # may name an incident
    | {OVERRIDES, CALENDAR, HEARTBEAT, BUDGET, TRAY, CHANGED, SHADOW, REPEATS}
    | {ROSTER, SILENCES, RECORDED, DRILLS, SUBSCRIPTIONS, PUBLICATIONS, LESSONS, META, LEDGER, RULES}
)
"""Families that are kept by something else. Where they name an incident that was merged, `Draft.incident` follows."""


def test_of_every_field_and_family_it_is_decided_what_a_merge_does_with_it() -> None:
    fields = set(Incident.__struct_fields__)
    assert fields - FIELDS.keys() == set(), "decide what a merge does with it, do it, and write it into FIELDS"
    assert FIELDS.keys() - fields == set()
    families = set(FAMILIES)
    assert families - KEPT_BY_INCIDENT.keys() - KEPT_BY_OTHERS == set(), (
        "is it kept by incident? Then a merge has to act"
    )
    assert (KEPT_BY_INCIDENT.keys() | KEPT_BY_OTHERS) - families == set()
    assert KEPT_BY_INCIDENT.keys() & KEPT_BY_OTHERS == set()


def test_who_hands_something_over_is_asked_to_and_speaks_of_it() -> None:
    """A function that the tables name is called by a merge, and one that hands over a field names the field."""
    in_merging = inspect.getsource(merging)
    for name, line in {**FIELDS, **KEPT_BY_INCIDENT}.items():
        if line.by is None:
            continue
        assert line.by in merging.ON_MERGE or f"{line.by.__name__}(" in in_merging, f"{name}: nobody calls {line.by}"
        if name in FIELDS:
            assert f".{name}" in inspect.getsource(inspect.getmodule(line.by) or merging) or line is _PAGING, name


def two() -> tuple[Stage, Incident, Incident]:
    """A stage with two incidents of equal severity; the one that will end, and the one that will go on."""
    stage = Stage()
    stage.fires(service="shop")
    stage.seconds(1)
    stage.fires(service="search")
    into, gone = stage.incidents
    return stage, gone, into


def merge(stage: Stage, gone: Incident, into: Incident) -> tuple[Incident, Incident]:
    """Merge, and return what both are then."""
    entry = stage.append(Command(Verb.MERGE, gone.key, "ana", "test", data={"other": into.key}))
    assert stage.answers[entry].ending == "done"
    memory: Any = stage.memory
    return memory.get((INCIDENT, gone.key)), memory.get((INCIDENT, into.key))


JOINED: Final[dict[str, tuple[Any, Any, Any]]] = {
    "alerts": (3, 4, 7),
    "firing": (3, 4, 7),
    "stale": (1, 2, 3),
    "quiet": (1, 2, 3),
    "pages": (3, 4, 7),
    "pageable": (True, False, True),
    "told": (("ben",), ("ana",), ("ana", "ben")),
    "responders": (("ben",), ("ana",), ("ana", "ben")),
    "links": (("l1",), ("l2",), ("l2", "l1")),
    "answered": (("p1",), ("p2",), ("p2", "p1")),
    "mistaps": ({"p1": 1}, {"p2": 2}, {"p1": 1, "p2": 2}),
    "calls": ({"ana": (2, 1), "ben": (1, 0)}, {"ana": (1, 1)}, {"ana": (3, 2), "ben": (1, 0)}),
    "by_night": ({"ana": {"d": 1}}, {"ana": {"d": 2}}, {"ana": {"d": 3}}),
    "taken_at": (START, START + 5, START),
    "mitigating_at": (START + 1, None, START + 1),
    "roles": (
        {Role.SCRIBE: "ben", Role.COMMANDER: "ben"},
        {Role.COMMANDER: "ana"},
        {Role.SCRIBE: "ben", Role.COMMANDER: "ana"},
    ),
    "flapping": (1, 2, 3),
    "recalled": ((("i1", "t1"),), (("i2", "t2"),), (("i2", "t2"), ("i1", "t1"))),
    "next_update": (START + 3_600_000, START + 7_200_000, START + 3_600_000),
    "promised_at": (START, START + 1, START),
}
"""Field → what the one that ends has, what the one that goes on has, and what the latter has then."""
PROVED_ELSEWHERE: Final = frozenset({"merged", "pending", "parts", "ringing", "runs"})
"""Fields that name what else is kept: see test_merging, test_ringing and test_inheriting, and below."""


@pytest.mark.parametrize("name", sorted(name for name, line in FIELDS.items() if line.fate is Fate.JOINED))
def test_what_both_have_the_one_that_goes_on_has(name: str) -> None:
    if name in PROVED_ELSEWHERE:
        return
    stage, gone, into = two()
    gone.promised_at, into.promised_at = JOINED["promised_at"][:2]
    gone.next_update, into.next_update = JOINED["next_update"][:2]
    theirs, ours, both = JOINED[name]
    setattr(gone, name, theirs)
    setattr(into, name, ours)
    _, goes_on = merge(stage, gone, into)
    assert getattr(goes_on, name) == both


FILLED: Final = {
    "service": "shop",
    "runbook": "https://runbook.example.org",
    "impact": "nobody can pay",
    "eta": START,
    "resolution": "restarted",
    "root_cause": "a leak",
    "changed": "shop 4, 3 min before",
    "flaps": "Down flaps",
    "still_open": "1 of 2 items",
}


@pytest.mark.parametrize(("name", "value"), FILLED.items())
def test_what_the_one_that_goes_on_lacks_it_gets_and_what_it_has_it_keeps(name: str, value: Any) -> None:
    empty = None if name == "eta" else ""
    for ours, then in ((empty, value), ("its own", "its own")):
        stage, gone, into = two()
        setattr(gone, name, value)
        setattr(into, name, 5 if name == "eta" and ours else ours)
        _, goes_on = merge(stage, gone, into)
        assert getattr(goes_on, name) == (5 if name == "eta" and ours else then)


def test_every_field_that_fills_is_proved() -> None:
    fills = {name for name, line in FIELDS.items() if line.fate is Fate.FILLS}
    assert fills - FILLED.keys() == {"room", "outlets"}  # test_inheriting
    joined = {name for name, line in FIELDS.items() if line.fate is Fate.JOINED}
    assert joined == JOINED.keys() | PROVED_ELSEWHERE


def test_what_is_kept_beside_both_is_kept_beside_the_one_that_goes_on() -> None:
    """Checklists, updates, what is public, crowds and tallies."""
    stage, gone, into = two()
    gone.tallied = into.tallied = True
    gone.parts, into.parts = gone.parts | 0b10, into.parts | 0b10
    beside: dict[str, Callable[[str], Any]] = {
        CHECKLIST: lambda whose: Checklist({whose: CheckedOff("ana", START)}),
        UPDATES: lambda whose: StatusUpdates((said(whose),), 1),
        TALLY: lambda whose: Tally(firing={"r/0": 1, whose: 2}, times={whose: (START,)}),
    }
    values = stage.memory.values
    for family, make in beside.items():
        values[(family, gone.key)], values[(family, into.key)] = make("theirs"), make("ours")
    values[(CROWD, f"{gone.key}/1")], values[(CROWD, f"{into.key}/1")] = Crowd(("1a",)), Crowd(("1b",))
    update = PublicUpdate(START, Standing.IDENTIFIED, Effects.MAJOR, "we are on it")
    values[(PUBLICATION, gone.key)] = Publication("Trouble", (), (update,), START)
    merge(stage, gone, into)
    left: Any = {family: values.get((family, into.key)) for family in (*beside, PUBLICATION)}
    assert set(left[CHECKLIST].steps) == {"theirs", "ours"}
    assert {one.id for one in left[UPDATES].items} == {"theirs", "ours"}
    assert left[TALLY].firing == {"r/0": 2, "theirs": 2, "ours": 2}
    assert left[PUBLICATION].updates == (update,)
    crowd: Any = values[(CROWD, f"{into.key}/1")]
    assert {"1a", "1b"} <= set(crowd.members)
    gone_with_it = [family for family, key in values if key.partition("/")[0] == gone.key and family != INCIDENT]
    assert gone_with_it == []


def said(id_: str) -> StatusUpdate:
    return StatusUpdate(id_, START, "ana", Audience.COMPANY, Standing.IDENTIFIED, "Trouble", "we are on it")


def test_what_of_an_escalation_goes_on_is_the_more_severe_ones() -> None:
    """Each field of it, whatever it is: no page of the less severe one is owed any more."""
    stage, gone, into = two()
    stage.command(Verb.ACKNOWLEDGE, into.key, "ben")
    stage.fires("Worse", service="search", severity="outage")
    gone, into = (next(one for one in stage.incidents if one.key == key) for key in (gone.key, into.key))
    gone.last_acker, gone.lead, gone.lead_why, gone.spared = "eve", "eve", "they know it", "eve"
    had = {name: getattr(gone, name) for name in merging._ESCALATION}
    sent = len([one for _, one in stage.delivered if one.kind is EffectKind.PAGE])
    _, goes_on = merge(stage, gone, into)
    assert {name: getattr(goes_on, name) for name in merging._ESCALATION} == had
    assert len([one for _, one in stage.delivered if one.kind is EffectKind.PAGE]) == sent
