"""What changed just before an incident, and which version of a service is known to be good."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.quiet_stage import staged
from tests.unit.triage.stage import START, Stage
from tests.unit.triage.test_decide_model import snapshot
from triage import changes, turns
from triage.changed import Recorded
from triage.decide import decide
from triage.memory import CHANGED, THE_RECORDED, DictMemory
from triage.model import DAY, HOUR, MINUTE, Change, ChangesTold, Millis, Severity, Tick, Verb

SERVICES = """
services:
  shop: {depends_on: [api], repository: acme/storefront}
  api: {depends_on: [db]}
  db: {}
"""


def told(stage: Stage, service: str = "shop", version: str = "", kind: str = "deploy", **more: Any) -> None:
    stage.append(ChangesTold("ci", [Change(service, kind, more.pop("summary", ""), version, **more)]))


def good(stage: Stage, service: str = "shop") -> str:
    found = changes.last_known_good(stage.memory, service, stage.now)
    return found.version if found is not None else ""


def runs(stage: Stage, service: str = "shop") -> str:
    found = changes.running(changes.record_of(stage.memory, service))
    return found.version if found is not None else ""


def test_a_page_tells_the_nearest_change_of_the_service_before_it() -> None:
    stage = staged()
    told(stage, version="4.18.1")
    stage.minutes(50)
    told(stage, version="4.18.2", summary="fix the cart", environment="production", by="mira")
    stage.minutes(7)
    stage.fires()
    assert stage.pages[0].facts["changed"] == "deploy of shop 4.18.2 to production: fix the cart, 7 min before"
    (line,) = [line for line in stage.lines(stage.incident.key) if line.what == "changed"]
    assert (line.by, line.text) == ("mira", stage.incident.changed)


def test_a_change_of_what_the_service_needs_counts_and_so_does_one_of_no_service() -> None:
    stage = staged(services=SERVICES)
    told(stage, "search", "9")
    told(stage, "db", "12")
    stage.minutes(3)
    stage.fires()
    assert stage.incident.changed == "deploy of db 12, 3 min before"
    told(stage, "", kind="flag", summary="new-cart on")
    stage.minutes(1)
    stage.fires(service="mail")
    assert stage.incidents[1].changed == "flag: new-cart on, 1 min before"


def test_a_change_of_no_service_is_told_only_where_none_of_the_service_is_known() -> None:
    stage = staged()
    told(stage, version="1")
    stage.minutes(30)
    told(stage, "", kind="flag", summary="new-cart on")
    stage.fires()
    assert stage.incident.changed == "deploy of shop 1, 30 min before"


def test_what_changed_long_before_is_not_told_with_the_page() -> None:
    stage = staged()
    told(stage, version="1")
    stage.minutes(121)
    stage.fires()
    assert (stage.incident.changed, stage.pages[0].facts["changed"]) == ("", "")


def test_a_change_while_an_incident_is_open_is_on_its_timeline() -> None:
    stage = staged()
    stage.fires()
    stage.minutes(12)
    told(stage, version="4.18.3", kind="rollback")
    (line,) = [line for line in stage.lines(stage.incident.key) if line.what == "changed"]
    assert line.text == "rollback of shop 4.18.3, 12 min after it began"


def test_a_repository_leads_to_its_service() -> None:
    services = staged(services=SERVICES)._rulebook.services
    assert changes.service_of(services, Change("", "deploy", "", repository="acme/storefront")) == "shop"
    assert changes.service_of(services, Change("", "deploy", "", repository="acme/other")) == "other"
    assert changes.service_of(services, Change("db", "deploy", "", repository="acme/storefront")) == "db"


def test_the_same_change_sent_twice_is_one() -> None:
    stage = staged()
    for _ in range(2):
        told(stage, version="1", id="run-1")
    record = changes.record_of(stage.memory, "shop")
    assert record is not None
    assert len(record.items) == 1


def test_a_change_happened_when_its_sender_says_but_never_later_than_we_heard_of_it() -> None:
    stage = staged()
    for number, at in enumerate((stage.now - HOUR, stage.now + HOUR, stage.now - 2 * DAY, None)):
        told(stage, f"s{number}", "1", at=at)
    found = [changes.record_of(stage.memory, f"s{number}") for number in range(4)]
    assert [one.items[0].at - START for one in found if one is not None] == [-HOUR, 0, 0, 0]


def test_a_version_that_ran_for_a_day_without_an_incident_is_known_to_be_good() -> None:
    stage = staged()
    told(stage, version="1")
    stage.minutes(23 * 60)
    assert good(stage) == ""
    stage.minutes(60)
    assert good(stage) == "1"
    told(stage, version="2")
    stage.minutes(30)
    stage.fires()
    assert (runs(stage), good(stage)) == ("2", "1"), "what to roll back to"
    stage.minutes(48 * 60)
    assert good(stage) == "1", "it ran for long, but with an incident at its beginning"


def test_an_incident_after_a_day_does_not_make_a_version_bad_that_was_good() -> None:
    stage = staged()
    told(stage, version="1")
    stage.minutes(25 * 60)
    stage.fires()
    assert good(stage) == "1"


def test_low_incidents_say_nothing_against_a_version_until_they_are_raised() -> None:
    stage = staged()
    told(stage, version="1")
    stage.fires("Odd", severity="")
    stage.minutes(25 * 60)
    assert (stage.incident.severity, good(stage)) == (Severity.P3, "1")
    other = staged()
    told(other, version="1")
    other.fires("ReplicaDown", severity="", instance="a")
    other.minutes(31)
    assert other.incident.severity is Severity.P2, "after 30 minutes"
    other.minutes(25 * 60)
    assert good(other) == ""


def test_a_version_that_was_verified_is_good_at_once() -> None:
    stage = staged()
    told(stage, version="1")
    told(stage, version="2")
    assert good(stage) == ""
    told(stage, version="1", verified=True)
    assert (runs(stage), good(stage)) == ("2", "1"), "to verify it did not deploy it again"
    told(stage, version="3", verified=True)
    assert (runs(stage), good(stage)) == ("3", "3")


def test_what_is_deployed_elsewhere_for_rehearsal_does_not_run() -> None:
    stage = staged()
    told(stage, version="1", environment="production")
    told(stage, version="2", environment="staging")
    told(stage, version="3", environment="review/mira")
    assert runs(stage) == "1"
    told(stage, version="4", environment="eu-prod-2")
    assert runs(stage) == "4"


def test_a_good_version_is_remembered_though_many_bad_ones_came_after_it() -> None:
    stage = staged()
    told(stage, version="good")
    stage.minutes(25 * 60)
    for number in range(changes.ITEMS_MAX + 10):
        told(stage, version=f"bad{number}")
        stage.minutes(1)
    record = changes.record_of(stage.memory, "shop")
    assert record is not None
    assert len(record.items) == changes.ITEMS_MAX
    assert good(stage) == "good"


def test_memory_is_bounded_however_many_services_change(monkeypatch: Any) -> None:
    monkeypatch.setattr(changes, "SERVICES_MAX", 5)
    stage = staged()
    for number in range(8):
        told(stage, f"s{number}", "1")
    recorded = cast("Recorded", stage.memory.get(THE_RECORDED))
    assert recorded.services == ("s3", "s4", "s5", "s6", "s7")
    assert sorted(key for family, key in stage.memory.values if family == CHANGED) == list(recorded.services)


def test_history_with_changes_replays() -> None:
    stage = staged(services=SERVICES)
    told(stage, version="1")
    stage.minutes(5)
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    told(stage, version="2", kind="rollback")
    stage.minutes(90)
    memory = DictMemory()
    for entry in stage.entries:
        due = turns.due(memory, max(entry.at, START)) if isinstance(entry.body, Tick) else ()
        memory.apply(decide(memory, entry, stage._rulebook, due))
    assert snapshot(memory) == snapshot(stage.memory)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["deploy", "trouble", "verify", "wait"]), st.integers(0, 30)), max_size=25))
def test_the_last_known_good_is_what_a_reader_of_the_log_would_say(story: list[tuple[str, int]]) -> None:
    """A plain model: each version with its hours until trouble or the next one."""
    stage = staged()
    versions: list[dict[str, Any]] = []
    for number, (what, hours) in enumerate(story):
        if what == "deploy":
            told(stage, version=str(number))
            versions.append({"version": str(number), "at": stage.now, "bad": None, "verified": False})
        elif what == "verify" and versions:
            told(stage, version=versions[-1]["version"], verified=True)
            versions[-1]["verified"] = True
        elif what == "trouble":
            decision = stage.fires("Down", service="shop", severity="outage")
            if versions and decision.outcome.value == "opened" and versions[-1]["bad"] is None:
                versions[-1]["bad"] = stage.now
            stage.ends("Down", service="shop", severity="outage")
            stage.minutes(24 * 60)
            stage.minutes(60)
        stage.minutes(hours * 60)
        assert good(stage) == expected(versions, stage.now)


def expected(versions: list[dict[str, Any]], now: Millis) -> str:
    until = now
    for one in reversed(versions):
        ends = until if one["bad"] is None else min(until, one["bad"])
        if one["verified"] or ends - one["at"] >= DAY:
            return str(one["version"])
        until = one["at"]
    return ""


def test_minutes_are_rounded_down() -> None:
    stage = staged()
    told(stage, version="1")
    stage.seconds(59)
    stage.fires()
    assert stage.incident.changed.endswith(", 0 min before")
    assert stage.incident.opened_at - START < MINUTE
