"""Whatever people do in whatever order: what is open and nobody's is on its way to somebody, told once each."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import Stage
from triage.model import ENDED, HOUR, MINUTE, Command, Incident, Phase, Verb
from triage.paging import LAST_STEP

PEOPLE = ("ana", "ben", "eve", "admin")
VERBS = [verb for verb in Verb if verb is not Verb.RESOLVE]


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """One thing that a person asks for, sensible or not."""
    return {
        "verb": draw(st.sampled_from(VERBS)),
        "by": draw(st.sampled_from(PEOPLE)),
        "person": draw(st.sampled_from((*PEOPLE, ""))),
        "duration": draw(st.sampled_from((0, MINUTE, 20 * MINUTE, 3 * HOUR))),
        "page": draw(st.sampled_from(("", "", "first"))),
        "text": draw(st.sampled_from(("", "why not"))),
    }


HAPPENS = st.one_of(
    asked(),
    st.integers(min_value=0, max_value=70),
    st.sampled_from(("fires", "worse", "ends")),
)


def happen(stage: Stage, what: dict[str, Any] | int | str) -> None:
    """Let one thing happen: minutes pass, an alert fires or ends, or somebody asks for something."""
    if isinstance(what, int):
        stage.minutes(what)
    elif what == "fires":
        stage.fires()
    elif what == "worse":
        stage.fires("Worse", severity="outage")
    elif what == "ends":
        stage.ends()
        stage.ends("Worse", severity="outage")
    elif isinstance(what, dict):
        page = stage.pages[0].id if what["page"] else ""
        stage.append(Command(incident=stage.incidents[-1].key, via="test", **{**what, "page": page}))


def at_its_end(stage: Stage, incident: Incident) -> bool:
    """Tell whether this episode has come to the last resort."""
    last = [one for one in stage.pages if one.incident == incident.key and one.step == LAST_STEP]
    return any(one.episode == incident.episode for one in last)


@settings(max_examples=300, deadline=None)
@given(st.lists(HAPPENS, min_size=6, max_size=14))
def test_what_is_open_and_nobodys_is_on_its_way_to_somebody(happenings: list[dict[str, Any] | int | str]) -> None:
    stage = Stage()
    stage.fires()
    for what in happenings:
        happen(stage, what)
        for incident in stage.incidents:
            working = incident.phase not in (*ENDED, Phase.MONITORING)
            if working and not incident.acked_by:
                assert incident.page_at is not None or at_its_end(stage, incident), what
            if not working or incident.acked_by:
                assert incident.page_at is None, what
            snoozed = f"snooze:{incident.key}" in stage.memory.timers
            assert snoozed is (incident.snoozed_until is not None), what
            assert not snoozed or incident.acked_by, what
        ids = [page.id for page in stage.pages]
        assert len(ids) == len(set(ids)), what


@settings(max_examples=60, deadline=None)
@given(st.lists(HAPPENS, min_size=2, max_size=10))
def test_left_alone_every_escalation_comes_to_the_last_resort(happenings: list[dict[str, Any] | int | str]) -> None:
    stage = Stage()
    stage.fires()
    for what in happenings:
        happen(stage, what)
    stage.advance(12 * HOUR)
    for incident in stage.incidents:
        assert incident.phase in (*ENDED, Phase.MONITORING) or at_its_end(stage, incident)
