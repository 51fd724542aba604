"""The storm breaker: a budget of pages, one storm page past it, and nobody forgotten."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, Stage, alert
from triage.memory import INCIDENT, STORM
from triage.model import ENDED, Command, Effect, Incident, Phase, Severity, Verb, short
from triage.paging import LAST_STEP
from triage.storm import Storm

QUIET = "storm: {pages: 4, within: 10m, at_once: 2}"


def staged(quiet: str = QUIET) -> Stage:
    return Stage(files={**FILES, "quiet.yaml": quiet})


def burst(stage: Stage, count: int, first: int = 0) -> None:
    """So many incidents in one moment, each of its own service."""
    stage.events("am", [alert(service=f"s{n}") for n in range(first, first + count)])


def storm_of(stage: Stage) -> Incident:
    (only,) = [one for one in stage.incidents if one.stands_for]
    return only


def others(stage: Stage) -> list[Incident]:
    return [one for one in stage.incidents if not one.stands_for]


def texts(stage: Stage, incident: Incident, what: str) -> list[str]:
    return [line.text for line in stage.lines(incident.key) if line.what == what]


def storm_pages(stage: Stage) -> list[Effect]:
    keys = {one.key for one in stage.incidents if one.stands_for}
    return [page for page in stage.pages if page.incident in keys]


def test_what_comes_at_once_is_two_pages_and_one_storm_page() -> None:
    stage = staged()
    burst(stage, 30)
    assert stage.paged == ["ana", "ana"]
    stage.seconds(5)
    assert stage.paged == ["ana", "ana", "ana"]
    storm = storm_of(stage)
    assert storm.stands_for == 28
    withheld = others(stage)[2]
    assert texts(stage, withheld, "withheld") == [
        f"page to ana withheld: 2 others come at once; storm page {short(storm.key)}"
    ]


def test_the_storm_page_says_what_is_common_and_names_incidents() -> None:
    stage = staged()
    burst(stage, 30)
    stage.seconds(5)
    (page,) = storm_pages(stage)
    assert page.title == "Storm: 28 pages more than the budget of ana"
    text = page.facts["text"]
    assert text.startswith("It stands for 28 pages.")
    assert "service=s10 (1)" in text
    assert len([line for line in text.splitlines() if " P1 Down" in line]) == 12
    assert "and 16 more" in text


def test_a_budget_that_is_spent_over_time_says_so() -> None:
    stage = staged()
    for number in range(5):
        stage.fires(service=f"s{number}")
        stage.minutes(1)
    assert stage.paged.count("ana") == 5  # four of the incidents, and the storm page
    storm = storm_of(stage)
    text = f"page to ana withheld: budget of 4 pages in 10m spent; storm page {short(storm.key)}"
    assert texts(stage, others(stage)[4], "withheld") == [text]


def test_a_p0_pages_whatever_was_spent() -> None:
    stage = staged()
    burst(stage, 10)
    stage.fires("Out", severity="outage", service="all")
    assert [page.severity for page in stage.pages] == [Severity.P1, Severity.P1, Severity.P0]
    for number in range(20):
        stage.fires("Out", severity="outage", service=f"x{number}")
    assert [page.severity for page in stage.pages].count(Severity.P0) == 21


def test_a_raise_to_p0_pages_what_was_withheld() -> None:
    stage = staged()
    burst(stage, 6)
    stage.seconds(5)
    before = len(stage.pages)
    stage.fires("Out", severity="outage", service="s5")
    assert [(page.severity, page.person) for page in stage.pages[before:]] == [(Severity.P0, "ana")]


def test_the_budget_refills() -> None:
    stage = staged()
    for number in range(4):
        stage.fires(service=f"s{number}")
        stage.command(Verb.ACKNOWLEDGE, stage.incidents[-1].key, "ana")
        stage.minutes(1)
    stage.minutes(7)  # the first of the four is older than ten minutes
    stage.fires(service="later")
    assert not [one for one in stage.incidents if one.stands_for]
    assert stage.paged[-1] == "ana"


def test_the_storm_page_escalates_in_place_of_what_it_stands_for() -> None:
    stage = staged()
    burst(stage, 10)
    stage.minutes(6)
    assert "ben" in [page.person for page in storm_pages(stage)]
    assert [page for page in stage.pages if page.person == "ben" and page.incident == others(stage)[5].key] == []


def test_taking_the_storm_page_takes_nothing_else_and_what_is_left_pages_again_bundled() -> None:
    stage = staged()
    burst(stage, 10)
    stage.seconds(6)
    storm = storm_of(stage)
    stage.command(Verb.ACKNOWLEDGE, storm.key, "ana")
    withheld = [one.key for one in stage.incidents if one.storm == storm.key]
    assert len(withheld) == 8
    for key in withheld[:2]:
        stage.command(Verb.ACKNOWLEDGE, key, "ana")
    for one in others(stage)[:2]:
        stage.command(Verb.ACKNOWLEDGE, one.key, "ana")
    before = len(stage.pages)
    stage.minutes(9)
    assert stage.pages[before:] == []
    stage.minutes(1.2)
    again = stage.pages[before:]
    assert [page.person for page in again] == ["ana"] * 3  # two of the six by themselves, one page for the four
    assert sum(page.incident == storm.key for page in again) == 1
    assert f"took the storm page {short(storm.key)}" in again[0].facts["why"]


def test_a_storm_whose_incidents_are_taken_or_over_resolves_itself() -> None:
    stage = staged()
    burst(stage, 6)
    stage.seconds(6)
    storm = storm_of(stage)
    for one in others(stage):
        if one.service not in ("s4", "s5"):
            stage.command(Verb.ACKNOWLEDGE, one.key, "ben")
    for number in (4, 5):
        stage.ends(service=f"s{number}")
    stage.minutes(21)
    assert storm_of(stage).phase is Phase.RESOLVED
    assert texts(stage, storm, "resolved") == ["all that it stood for is taken or over"]
    assert [page.person for page in storm_pages(stage)] == ["ana"]


def test_what_joins_a_storm_that_somebody_took_is_a_note_and_no_page() -> None:
    stage = staged()
    burst(stage, 6)
    stage.seconds(6)
    stage.command(Verb.ACKNOWLEDGE, storm_of(stage).key, "ana")
    pages = len(stage.pages)
    burst(stage, 5, first=20)
    stage.minutes(2)
    assert len(stage.pages) == pages + 2  # the budget of four had two left
    assert [title for person, title in stage.told if person == "ana"] == [
        "3 more alerts: Storm: 7 pages more than the budget of ana"
    ]


def test_a_storm_lists_a_bounded_number_and_stands_for_all() -> None:
    stage = staged()
    for start in range(0, 1_200, 200):
        burst(stage, 200, first=start)
    stage.seconds(6)
    storm = storm_of(stage)
    known = cast("Storm", stage.memory.get((STORM, storm.key)))
    assert (storm.stands_for, len(known.members)) == (1_198, 1_000)
    assert sum(one.storm == storm.key for one in stage.incidents) == 1_198


def test_a_forgotten_storm_leaves_nothing_behind() -> None:
    stage = staged()
    burst(stage, 4)
    stage.seconds(6)
    storm = storm_of(stage)
    for one in stage.incidents:
        stage.command(Verb.RESOLVE, one.key, "ana", confirm=True)
    stage.minutes(91 * 24 * 60)
    assert (stage.memory.get((STORM, storm.key)), stage.memory.get((INCIDENT, storm.key))) == (None, None)


HAPPENS = st.one_of(
    st.tuples(st.just("burst"), st.integers(1, 9)),
    st.tuples(st.just("wait"), st.integers(0, 25)),
    st.tuples(st.just("ack"), st.integers(0, 40)),
    st.tuples(st.just("unack"), st.integers(0, 40)),
    st.tuples(st.just("resolve"), st.integers(0, 40)),
    st.tuples(st.just("snooze"), st.integers(0, 40)),
    st.tuples(st.just("worse"), st.integers(0, 9)),
)


def happen(stage: Stage, what: str, number: int) -> None:
    if what == "burst":
        burst(stage, number, first=len(stage.incidents))
    elif what == "wait":
        stage.minutes(number)
    elif what == "worse":
        stage.fires("Out", severity="outage", service=f"s{number}")
    elif stage.incidents:
        verbs = {
            "ack": Verb.ACKNOWLEDGE,
            "unack": Verb.UNACKNOWLEDGE,
            "resolve": Verb.RESOLVE,
            "snooze": Verb.SNOOZE,
        }
        incident = stage.incidents[number % len(stage.incidents)]
        command: dict[str, Any] = {"duration": 20 * 60_000} if what == "snooze" else {}
        stage.append(Command(verbs[what], incident.key, "ana", "test", confirm=True, **command))


def came_to_the_last_resort(stage: Stage, incident: Incident) -> bool:
    return any(one.incident == incident.key and one.step == LAST_STEP for one in stage.pages)


def reaches_somebody(stage: Stage, incident: Incident) -> bool:
    """Tell whether an incident that nobody has is on its way to somebody, or came to the last resort."""
    if incident.page_at is not None:
        return stage.memory.timers.get(f"page:{incident.key}") == incident.page_at
    if came_to_the_last_resort(stage, incident):
        return True
    storm = cast("Incident | None", stage.memory.get((INCIDENT, incident.storm)))
    return storm is not None and came_to_the_last_resort(stage, storm)


@settings(max_examples=150, deadline=None)
@given(st.lists(HAPPENS, min_size=4, max_size=14))
def test_whatever_happens_nobodys_incident_is_silent(happenings: list[tuple[str, int]]) -> None:
    stage = staged()
    burst(stage, 5)
    for what, number in happenings:
        happen(stage, what, number)
        for incident in stage.incidents:
            if incident.phase in ENDED or incident.phase is Phase.MONITORING or incident.acked_by:
                continue
            assert reaches_somebody(stage, incident), (what, number, incident.title)
        ids = [page.id for page in stage.pages]
        assert len(ids) == len(set(ids))
