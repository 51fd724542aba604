"""Status updates: seen before they are sent, sent to whom they are for, and promised again."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, Stage
from triage.memory import UPDATES
from triage.model import HOUR, MINUTE, Answer, Command, Effect, Incident, Verb, short
from triage.status import Audience, Standing, StatusUpdates
from triage.updates import KEPT

UPDATES_YAML = """
subscribers:
  management: {contact: ["file:///management"], severities: [P0, P1]}
  shop: {contact: ["file:///shop", "terminal://shop"], services: [shop]}
  customers: {contact: ["file:///customers"], audience: public}
"""
SERVICES = "services: {shop: {status_component: Web shop}, db: {}}"


def staged(**more: str) -> Stage:
    files = {**FILES, "updates.yaml": UPDATES_YAML, "services.yaml": SERVICES}
    return Stage(files=files | {f"{name}.yaml": text for name, text in more.items()})


def says(
    stage: Stage,
    text: str = "Looking into it.",
    by: str = "ana",
    audience: str = "company",
    status: str = "investigating",
    confirm: bool = True,
    incident: Incident | None = None,
    **data: str,
) -> Answer:
    key = (incident or stage.incident).key
    given_ = {"audience": audience, "status": status, **data}
    return stage.answers[stage.append(Command(Verb.UPDATE, key, by, "test", text, confirm, data=given_))]


def role(stage: Stage, person: str, name: str = "communications") -> None:
    command = Command(Verb.ROLE, stage.incident.key, person, "test", person=person, data={"role": name})
    stage.append(command)


def told_to(stage: Stage) -> list[str]:
    return [one.target for _, one in stage.delivered if one.title.startswith("[INCIDENT]")]


def known(stage: Stage) -> StatusUpdates:
    return cast("StatusUpdates", stage.memory.get((UPDATES, stage.incident.key))) or StatusUpdates()


def taken() -> Stage:
    stage = staged()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    return stage


def test_unconfirmed_it_is_shown_and_not_sent() -> None:
    stage = taken()
    answer = says(stage, confirm=False, rendered="[INCIDENT] Shop\nStatus: Investigating")
    assert answer.ending == "asks"
    assert answer.text == "It goes to 3 places, and reads:\n\n[INCIDENT] Shop\nStatus: Investigating\n\nSend it?"
    assert (told_to(stage), known(stage).items, stage.incident.next_update) == ([], (), None)


def test_each_audience_gets_its_own() -> None:
    stage = taken()
    assert says(stage).text == "sent to 3 places; the next one is due in 1h"
    assert sorted(told_to(stage)) == ["file:///management", "file:///shop", "terminal://shop"]
    says(stage, audience="public")
    assert told_to(stage)[3:] == ["file:///customers"]
    role(stage, "ben")
    says(stage, audience="responders")
    assert told_to(stage)[4:] == ["terminal://ben"]  # not whoever writes it


def test_subscribers_are_told_of_their_severities_and_services() -> None:
    stage = staged()
    stage.fires(severity="warning", service="db")
    says(stage)
    assert told_to(stage) == []


def test_the_message_is_what_was_seen_before() -> None:
    stage = taken()
    says(stage, rendered="[INCIDENT] Shop\nStatus: Investigating\nNext update: soon")
    one = next(one for _, one in stage.delivered if one.target == "file:///shop")
    assert (one.title, one.facts["text"]) == ("[INCIDENT] Shop", "Status: Investigating\nNext update: soon")


def test_nothing_internal_is_said_to_the_public() -> None:
    stage = taken()
    stage.append(Command(Verb.IMPACT, stage.incident.key, "ana", "test", "secret customer Acme"))
    says(stage, "We are looking into it.", audience="public")
    says(stage, "Acme is down.", audience="company")
    public, company = known(stage).items
    assert (public.title, public.impact) == ("Trouble with Web shop", "")
    assert (company.title, company.impact) == ("Down", "secret customer Acme")


def test_what_cannot_be_said_is_refused_in_words() -> None:
    stage = taken()
    asked: list[tuple[dict[str, Any], str]] = [
        ({"audience": "world"}, "“world” is no audience: there are responders, company, public"),
        ({"status": "fine"}, "“fine” is no status: there are investigating, identified, monitoring, resolved"),
        ({"text": " "}, "an update needs text"),
        ({"text": "x" * 2_001}, "an update has 2000 characters at most"),
        ({"title": "x" * 201}, "a title has 200 characters at most, an impact 500"),
        ({"next": "5m"}, "the next update is promised in more than 10 minutes and at most 7 days, or `none`"),
    ]
    for given_, words in asked:
        answer = says(stage, **given_)
        assert (answer.ending, answer.text) == ("refused", words)
    assert says(stage, next="soon").ending == "refused"
    assert known(stage).items == ()


def test_the_communicator_is_reminded_ten_minutes_before_and_paged_when_it_is_broken() -> None:
    stage = taken()
    role(stage, "ben")
    assert stage.incident.next_update == stage.now + HOUR
    stage.advance(HOUR - 10 * MINUTE)
    assert ("ben", "Update due in 10 min: Down") in stage.told
    pages = len(stage.pages)
    stage.advance(9 * MINUTE)
    assert len(stage.pages) == pages
    stage.advance(MINUTE)
    (page,) = [one for one in stage.pages[pages:] if "overdue" in one.facts["why"]]
    assert page.person == "ben"
    assert "promise-broken" in stage.whats(stage.incident)


def test_an_update_in_time_keeps_the_promise_and_makes_the_next() -> None:
    stage = taken()
    says(stage)
    stage.advance(55 * MINUTE)
    says(stage, "Still at it.", next="45m")
    assert stage.incident.next_update == stage.now + 45 * MINUTE
    stage.advance(40 * MINUTE)
    assert not [one for one in stage.pages if "overdue" in one.facts["why"]]
    says(stage, "Over.", status="resolved")
    assert stage.incident.next_update is None
    assert f"promise:{stage.incident.key}" not in stage.memory.timers


def test_a_broken_promise_pages_again_until_the_incident_ends() -> None:
    stage = taken()
    says(stage)
    stage.advance(3 * HOUR + MINUTE)
    assert len([one for one in stage.pages if "overdue" in one.facts["why"]]) == 3
    stage.command(Verb.RESOLVE, stage.incident.key, "ana", confirm=True)
    stage.advance(3 * HOUR)
    assert len([one for one in stage.pages if "overdue" in one.facts["why"]]) == 3
    assert stage.incident.next_update is None


def test_without_a_communicator_who_wrote_last_is_paged_and_without_anybody_the_last_resort() -> None:
    stage = taken()
    says(stage, by="token-of-a-job")
    stage.advance(HOUR)
    assert [one.person for one in stage.pages if "overdue" in one.facts["why"]] == ["ana"]  # who has it
    stage = staged()
    stage.fires(severity="error")
    says(stage, by="somebody")
    stage.advance(4 * HOUR)
    assert [one.person for one in stage.pages if "overdue" in one.facts["why"]] == ["eve"]


def test_quiet_hours_do_not_hold_the_reminder_of_who_communicates() -> None:
    quiet = FILES["oncall.yaml"].replace(
        'ben: {name: Ben, contact: ["terminal://ben"]}',
        'ben: {name: Ben, contact: ["terminal://ben"], time_zone: Etc/UTC, quiet_hours: [{}]}',
    )
    stage = staged(oncall=quiet)
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    role(stage, "ben")
    stage.advance(50 * MINUTE)
    assert ("ben", "Update due in 10 min: Down") in stage.told


def test_intervals_are_the_operators() -> None:
    stage = staged(updates="intervals: {P1: 20m, P0: 0}")
    stage.fires()
    says(stage)
    assert stage.incident.next_update == stage.now + 20 * MINUTE
    stage.fires("Out", severity="outage", service="other")
    (other,) = [one for one in stage.incidents if one.service == "other"]
    assert says(stage, incident=other).text == "sent to 0 places"


def test_the_last_hundred_are_kept_and_all_are_counted() -> None:
    stage = taken()
    for number in range(KEPT + 3):
        says(stage, f"number {number}")
    assert (len(known(stage).items), known(stage).total) == (KEPT, KEPT + 3)
    assert known(stage).items[-1].text == f"number {KEPT + 2}"


def test_it_stands_on_the_timeline() -> None:
    stage = taken()
    says(stage, "A bad deploy.", status="identified")
    line = stage.lines(stage.incident.key)[-4:]
    assert any(one.text == "to company, identified: A bad deploy." and one.by == "ana" for one in line)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(list(Audience)), st.sampled_from(list(Standing)), st.sampled_from(("secret", "open"))
        ),
        min_size=1,
        max_size=8,
    )
)
def test_public_updates_hold_only_what_was_said_to_the_public(said: list[tuple[Audience, Standing, str]]) -> None:
    stage = staged()
    stage.fires("secret-alert")
    stage.append(Command(Verb.IMPACT, stage.incident.key, "ana", "test", "secret impact"))
    for audience, status, word in said:
        text = "open" if audience is Audience.PUBLIC else word
        says(stage, text, audience=audience, status=status)
    public = [one for one in known(stage).items if one.audience is Audience.PUBLIC]
    assert not [one for one in public if "secret" in f"{one.title} {one.text} {one.impact}"]
    sent = [one for _, one in stage.delivered if one.target == "file:///customers"]
    assert all("secret" not in f"{one.title}{one.facts}" for one in sent)
    assert not [one for one in sent if short(stage.incident.key) in str(one.facts)]


def test_an_effect_of_an_update_asks_for_no_acknowledgement() -> None:
    stage = taken()
    says(stage)
    kinds = {one.kind.value for _, one in stage.delivered if isinstance(one, Effect) and one.title.startswith("[INC")}
    assert kinds == {"notification"}
