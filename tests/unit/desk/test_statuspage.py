"""The public status page: what it says, day by day, and that nothing internal is ever in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desk.rendering import Renderer
from desk.status import render
from desk.statuspage import DAYS, page_of
from tests.unit.triage.stage import FILES, START, Stage, alert, report
from triage.memory import PUBLICATION
from triage.model import DAY, HOUR, MINUTE, Command, Declared, Severity, Status, Verb, rules_digest
from triage.public import Effects, Publication, PublicUpdate
from triage.rulebook import compile_files
from triage.rulebook.status import PublicMaintenance, StatusRules
from triage.status import Standing

RULES = StatusRules(title="Our status", components={"Shop": "Buying", "Search": ""})
NOW = START + 100 * DAY


def published(*updates: tuple[int, Standing, Effects], components: tuple[str, ...] = ("Shop",)) -> Publication:
    made = tuple(PublicUpdate(at, status, effects, f"words of {at}") for at, status, effects in updates)
    over = made[-1].at if made[-1].status is Standing.RESOLVED else None
    return Publication("Trouble", components, made, made[0].at, over)


def test_nothing_published_is_everything_operational() -> None:
    page = page_of(RULES, {}, NOW)
    assert (page.state, page.updated_at, page.incidents, page.past) == ("operational", None, [], [])
    assert [(one.name, one.about, one.state) for one in page.components] == [
        ("Shop", "Buying", "operational"),
        ("Search", "", "operational"),
    ]
    assert page.components[0].days == ["operational"] * DAYS


def test_a_component_is_as_bad_as_the_worst_that_is_open_about_it() -> None:
    found = {
        "a": published((NOW - HOUR, Standing.INVESTIGATING, Effects.DEGRADED)),
        "b": published((NOW - MINUTE, Standing.IDENTIFIED, Effects.MAJOR), components=("Shop", "Search")),
        "c": published(
            (NOW - 2 * HOUR, Standing.INVESTIGATING, Effects.MAJOR), (NOW - HOUR, Standing.RESOLVED, Effects.MAJOR)
        ),
    }
    page = page_of(RULES, found, NOW)
    assert [(one.name, one.state) for one in page.components] == [("Shop", "major"), ("Search", "major")]
    assert (page.state, len(page.incidents), len(page.past)) == ("major", 2, 1)
    assert page.incidents[0].published_at > page.incidents[1].published_at


def test_each_day_shows_the_worst_of_it() -> None:
    day = NOW // DAY
    begins = (day - 3) * DAY + 20 * HOUR
    one = published(
        (begins, Standing.INVESTIGATING, Effects.DEGRADED),
        (begins + HOUR, Standing.IDENTIFIED, Effects.MAJOR),
        (begins + 2 * HOUR, Standing.MONITORING, Effects.DEGRADED),
        (begins + 8 * HOUR, Standing.RESOLVED, Effects.DEGRADED),
    )
    (shop, _) = page_of(RULES, {"a": one}, NOW).components
    assert shop.days[-5:] == ["operational", "major", "degraded", "operational", "operational"]
    assert shop.state == "operational"


def test_what_is_open_again_counts_again_and_what_was_long_ago_does_not() -> None:
    again = published(
        (NOW - 2 * DAY, Standing.INVESTIGATING, Effects.PARTIAL),
        (NOW - 2 * DAY + HOUR, Standing.RESOLVED, Effects.PARTIAL),
        (NOW - HOUR, Standing.INVESTIGATING, Effects.PARTIAL),
    )
    old = published(
        (NOW - 95 * DAY, Standing.INVESTIGATING, Effects.MAJOR), (NOW - 92 * DAY, Standing.RESOLVED, Effects.MAJOR)
    )
    page = page_of(RULES, {"a": again, "b": old}, NOW)
    assert page.components[0].days[-3:].count("partial") == 2
    assert "major" not in page.components[0].days
    assert page.past == []


def test_maintenance_is_announced_and_shown_while_it_goes_on() -> None:
    work = (
        PublicMaintenance("Shop", NOW - HOUR, NOW + HOUR, "We move."),
        PublicMaintenance("Search", NOW + DAY, NOW + 2 * DAY, "New racks."),
        PublicMaintenance("Search", NOW + 60 * DAY, NOW + 61 * DAY, "Far away."),
        PublicMaintenance("Search", NOW - 2 * DAY, NOW - DAY, "Over."),
    )
    page = page_of(StatusRules(components={"Shop": "", "Search": ""}, maintenance=work), {}, NOW)
    assert [(one.text, one.state) for one in page.maintenance] == [
        ("We move.", "in progress"),
        ("New racks.", "scheduled"),
    ]
    assert [one.state for one in page.components] == ["maintenance", "operational"]


def test_hostile_words_are_words() -> None:
    bad = '<script>alert(1)</script>"&{{ 7 * 7 }}]]> javascript:alert(1)'
    one = Publication(bad, ("Shop",), (PublicUpdate(NOW, Standing.INVESTIGATING, Effects.MAJOR, bad, bad),), NOW)
    made = render(Renderer(), page_of(StatusRules(bad, bad, components={"Shop": bad}), {"a": one}, NOW), "")
    assert "<script" not in made["status"].body.decode()
    assert "<script" not in made["status.atom"].body.decode()
    assert "{{ 7 * 7 }}" in made["status"].body.decode()
    assert json.loads(made["status.json"].body)["incidents"][0]["title"] == bad


# --------------------------------------------------------------------------------------------------------------------
# Nothing internal.

SECRET = "INTERNAL"
FOLDER = {
    **FILES,
    "services.yaml": "services: {shop: {status_component: Shop}, pay: {status_component: Payments}, db: {}}",
    "status.yaml": "publish: [{name: INTERNAL-rule, severity: P1, services: [shop]}]",
    "quiet.yaml": """
maintenance:
  INTERNAL-move:
    {service: pay, from: "2026-03-04T09:00:00Z", to: "2026-03-05T09:00:00Z", comment: INTERNAL, public: We move.}
  INTERNAL-other: {service: db, from: "2026-03-02T09:00:00Z", to: "2026-03-03T09:00:00Z", by: INTERNAL}
""",
}
WORDS = ("We look into it.", "A cause is found.", "All is well.")
acts = st.one_of(
    st.tuples(
        st.just("fires"), st.sampled_from(["shop", "pay", "db"]), st.sampled_from(["critical", "outage", "warning"])
    ),
    st.tuples(st.just("ends"), st.sampled_from(["shop", "pay", "db"])),
    st.tuples(st.just("reports"), st.sampled_from(["shop", "pay"])),
    st.tuples(st.just("declares"), st.sampled_from(["shop", "db"])),
    st.tuples(st.just("passes"), st.integers(1, 90)),
    st.tuples(
        st.just("asks"),
        st.sampled_from([Verb.NOTE, Verb.IMPACT, Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.SEVERITY, Verb.UNACKNOWLEDGE]),
        st.booleans(),
    ),
    st.tuples(
        st.just("updates"),
        st.sampled_from(["responders", "company", "public"]),
        st.sampled_from([one.value for one in Standing]),
        st.sampled_from(WORDS),
        st.booleans(),
    ),
    st.tuples(st.just("closes"), st.sampled_from(["", *WORDS])),
)


def play(stage: Stage, act: tuple[Any, ...], number: int) -> None:
    """Let one thing happen, every internal word of which is SECRET."""
    newest = stage.incidents[-1].key if stage.incidents else "none"
    if act[0] in ("fires", "ends"):
        status = Status.FIRING if act[0] == "fires" else Status.RESOLVED
        one = alert(f"{SECRET}Down", status, service=act[1], severity=act[2] if len(act) > 2 else "critical")
        one.title, one.annotations = f"{SECRET} {number}", {"summary": SECRET}
        stage.events("am", [one])
    elif act[0] == "reports":
        stage.events("report", [report(f"{SECRET} {number}", "critical", service=act[1])])
    elif act[0] == "declares":
        stage.append(Declared(f"{SECRET} {number}", Severity.P1, "ana", "test", act[1], SECRET, SECRET, confirm=True))
    elif act[0] == "passes":
        stage.minutes(act[1])
    elif act[0] == "asks":
        data = {"to": "P0"} if act[1] is Verb.SEVERITY else {}
        stage.append(Command(act[1], newest, "ana", "test", f"{SECRET} {number}", act[2], data=data))
    elif act[0] == "updates":
        inside = act[1] != "public"
        data = {"audience": act[1], "status": act[2]} | ({"title": SECRET, "impact": SECRET} if inside else {})
        stage.append(Command(Verb.UPDATE, newest, "ana", "test", SECRET if inside else act[3], act[4], data=data))
    else:
        stage.append(Command(Verb.RESOLVE, newest, "ana", "test", SECRET, True, data={"public": act[1]}))


@settings(max_examples=30)
@given(st.lists(acts, max_size=25))
def test_the_status_page_never_shows_an_internal_word(played: list[tuple[Any, ...]]) -> None:
    stage = Stage(files=FOLDER)
    stage.load(FOLDER, rules_digest(FOLDER))
    for number, act in enumerate(played):
        play(stage, act, number)
    known = {key[1]: value for key, value in stage.memory.values.items() if key[0] == PUBLICATION}
    page = page_of(compile_files(FOLDER).status, known, stage.now)  # type: ignore[arg-type]
    for name, made in render(Renderer(), page, "https://tocsin.example.org").items():
        assert SECRET not in made.body.decode(), name
    assert {update.text for one in page.incidents + page.past for update in one.updates} <= {
        *WORDS,
        "This is resolved.",
        "We are looking into a problem with Shop.",
    }


def test_the_property_is_no_idle_one() -> None:
    """What it looks at is on the page once it is public."""
    stage = Stage(files=FOLDER)
    stage.load(FOLDER, rules_digest(FOLDER))
    play(stage, ("fires", "shop", "critical"), 0)
    play(stage, ("updates", "public", "identified", WORDS[1], True), 1)
    known = {key[1]: value for key, value in stage.memory.values.items() if key[0] == PUBLICATION}
    page = page_of(compile_files(FOLDER).status, known, stage.now)  # type: ignore[arg-type]
    (one,) = page.incidents
    assert [update.text for update in one.updates] == [WORDS[1], "We are looking into a problem with Shop."]
    assert SECRET in stage.incident.title


@pytest.mark.parametrize(
    ("given_url", "link"), [("", "urn:tocsin:status"), ("https://t.example", "https://t.example/status")]
)
def test_the_feed_is_told_where_it_is(given_url: str, link: str) -> None:
    made = render(Renderer(), page_of(RULES, {}, NOW), given_url)
    assert f"<id>{link}</id>" in made["status.atom"].body.decode()
