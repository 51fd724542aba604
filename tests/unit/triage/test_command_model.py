"""Whatever people do to incidents in whatever order: phases move by the table, counts agree, nobody is paged twice."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, START, Stage
from tests.unit.triage.test_decide_model import snapshot
from triage import turns
from triage.decide import decide
from triage.memory import DictMemory
from triage.merging import TIMERS
from triage.model import (
    ENDED,
    HOUR,
    Alert,
    AlertState,
    Command,
    Declared,
    Incident,
    Phase,
    Severity,
    Tick,
    Verb,
)
from triage.paging import LAST_STEP, pages_people
from triage.phases import MOVES
from triage.rulebook import compile_files

PEOPLE = ("ana", "ben", "eve", "admin")
SERVICES = ("shop", "search", "mail")
DATA: dict[Verb, st.SearchStrategy[dict[str, str]]] = {
    Verb.PHASE: st.sampled_from(Phase).map(lambda phase: {"to": phase.value}),
    Verb.SEVERITY: st.sampled_from(Severity).map(lambda severity: {"to": severity.name}),
    Verb.ROLE: st.sampled_from(("commander", "scribe", "king")).map(lambda role: {"role": role}),
    Verb.ETA: st.sampled_from(("45m", "", "soon")).map(lambda eta: {"eta": eta}),
    Verb.NOTE: st.sampled_from(("note", "hypothesis")).map(lambda kind: {"kind": kind}),
}


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """One thing that a person asks of some incident; `other` is the number of another one."""
    verb = draw(st.sampled_from((*Verb, Verb.PHASE, Verb.SEVERITY, Verb.MERGE, Verb.MERGE)))
    return {
        "verb": verb,
        "which": draw(st.integers(0, 5)),
        "other": draw(st.integers(0, 5)),
        "by": draw(st.sampled_from(PEOPLE)),
        "person": draw(st.sampled_from(PEOPLE)),
        "duration": draw(st.sampled_from((HOUR // 3, 3 * HOUR))),
        "confirm": draw(st.booleans()),
        "data": draw(DATA.get(verb, st.just({}))),
    }


HAPPENS = st.one_of(
    asked(),
    st.integers(min_value=0, max_value=70),
    st.tuples(
        st.sampled_from(("fires", "ends")), st.sampled_from(SERVICES), st.sampled_from(("critical", "outage", "x"))
    ),
    st.tuples(st.just("declare"), st.sampled_from(SERVICES), st.sampled_from(("P0", "P2"))),
)
Happening = dict[str, Any] | int | tuple[str, str, str]


def happen(stage: Stage, what: Happening) -> None:
    if isinstance(what, int):
        stage.minutes(what)
    elif isinstance(what, dict):
        known = sorted(one.key for one in stage.incidents)
        data = dict(what["data"])
        if what["verb"] in (Verb.LINK, Verb.MERGE):
            data["other"] = known[what["other"] % len(known)]
        more = {name: what[name] for name in ("by", "person", "duration", "confirm")}
        key = known[what["which"] % len(known)]
        before = followed(stage, key)
        entry = stage.append(Command(what["verb"], key, via="test", text="why not", data=data, **more))
        if what["verb"] is Verb.PHASE and stage.answers[entry].ending == "done":
            moved_by_the_table(before, data["to"], followed(stage, key))
    elif what[0] == "declare":
        stage.append(Declared("It is slow", Severity[what[2]], "eve", "test", service=what[1], confirm=True))
    else:
        (stage.fires if what[0] == "fires" else stage.ends)(service=what[1], severity=what[2])


def moved_by_the_table(before: Incident, to: str, after: Incident) -> None:
    wanted = Phase(to)
    settled = wanted is Phase.MONITORING and after.phase is Phase.RESOLVED  # P3 and P4 settle at once
    assert after.phase is wanted or settled
    assert before.phase is wanted or (before.phase, wanted) in MOVES


def followed(stage: Stage, key: str) -> Incident:
    """Return what an incident is part of by now."""
    by_key = {one.key: one for one in stage.incidents}
    while by_key[key].merged_into:
        key = by_key[key].merged_into
    return by_key[key]


def at_its_end(stage: Stage, incident: Incident) -> bool:
    """Tell whether an escalation of this incident, or of one that became part of it, came to the last resort."""
    keys = (incident.key, *incident.merged)
    return any(page.step == LAST_STEP and page.incident in keys for page in stage.pages)


def check(stage: Stage, what: Happening) -> None:
    firing: Counter[str] = Counter()
    for key, value in stage.memory.values.items():
        if key[0] == "alert" and cast("Alert", value).state in (AlertState.FIRING, AlertState.STALE):
            firing[followed(stage, cast("Alert", value).incident).key] += 1
    for incident in stage.incidents:
        assert incident.firing == firing[incident.key], what
        if incident.merged_into:
            assert (incident.phase, incident.pending) == (Phase.CLOSED, ()), what
            left = [name for name in TIMERS if f"{name}:{incident.key}" in stage.memory.timers]
            assert left == [], what
        working = incident.phase not in (*ENDED, Phase.MONITORING)
        if not working or incident.acked_by:
            assert incident.page_at is None, what
        elif pages_people(incident.severity):
            assert incident.page_at is not None or at_its_end(stage, incident), what
    ids = [page.id for page in stage.pages]
    assert len(ids) == len(set(ids)), what
    assert not [title for _, title in stage.told if "Could not decide" in title], what


@settings(max_examples=120, deadline=None)
@given(st.lists(HAPPENS, min_size=6, max_size=16))
def test_whatever_people_do_the_rules_of_the_house_hold_and_history_replays(happenings: list[Happening]) -> None:
    stage = Stage()
    stage.fires(service="shop")
    stage.fires(service="search", severity="outage")
    for what in happenings:
        happen(stage, what)
        check(stage, what)
    memory, rulebook = DictMemory(), compile_files(FILES)
    for entry in stage.entries:
        due = turns.due(memory, max(entry.at, START)) if isinstance(entry.body, Tick) else ()
        memory.apply(decide(memory, entry, rulebook, due))
    assert snapshot(memory) == snapshot(stage.memory)
