"""Subscribing at run time: who is told of what, by which way, and what is never taken into the journal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, Stage
from tests.unit.triage.test_updates import SERVICES, known, says, told_to
from triage import subscriptions
from triage.memory import THE_SUBSCRIPTIONS
from triage.model import HOUR, Answer, SubscriptionAsked, short
from triage.rulebook import compile_files
from triage.rulebook.problems import RulesError
from triage.subscription import Subscriptions
from workers.channels import mailto
from workers.wording import message

UPDATES = """
mail: "mailto://relay.example.org?from=tocsin@example.org"
places: {shop: ["file:///shop"], press: ["file:///press"]}
subscribers: {management: {contact: ["file:///management"]}}
"""


RULES = compile_files({**FILES, "updates.yaml": UPDATES, "services.yaml": SERVICES})


def staged(**more: str) -> Stage:
    files = {**FILES, "updates.yaml": UPDATES, "services.yaml": SERVICES}
    return Stage(files=files | {f"{name}.yaml": text for name, text in more.items()})


def asks(stage: Stage, name: str = "ben", **more: Any) -> Answer:
    return stage.answers[stage.append(SubscriptionAsked(name, "admin", "test", **more))]


def subscribed(stage: Stage) -> Subscriptions:
    found = stage.memory.get(THE_SUBSCRIPTIONS)
    assert isinstance(found, Subscriptions)
    return found


def test_a_person_is_told_by_their_own_contact_method_until_they_unsubscribe() -> None:
    stage = staged()
    stage.fires()
    answer = asks(stage, services=("shop",), severities=("P1", "P0"))
    (one,) = subscribed(stage).items
    said = f"ben is told of updates for the company about shop of P0, P1: subscription {one.id}"
    assert (answer.ending, answer.text) == ("done", said)
    says(stage)
    assert sorted(told_to(stage)) == ["file:///management", "terminal://ben"]
    sent = next(effect for _, effect in stage.delivered if effect.target == "terminal://ben")
    assert f"Why you: you have subscribed; `tocsin status unsubscribe {one.id}`".replace("`", "'") in message(sent).body
    assert asks(stage, end=one.id).text == f"subscription {one.id} has ended"
    says(stage)
    assert told_to(stage)[2:] == ["file:///management"]
    assert asks(stage, end=one.id).ending == "refused"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({}, True),
        ({"services": ("shop",)}, True),
        ({"services": ("db",)}, False),
        ({"severities": ("P1",)}, True),
        ({"severities": ("P0", "P2")}, False),
        ({"audience": "public"}, False),
    ],
)
def test_it_is_about_services_severities_and_one_audience(wanted: dict[str, Any], told: bool) -> None:
    stage = staged()
    stage.fires()
    asks(stage, **wanted)
    says(stage)
    assert ("terminal://ben" in told_to(stage)) is told


def test_stakeholders_are_told_by_mail_and_by_places_of_the_rules() -> None:
    stage = staged()
    stage.fires()
    assert asks(stage, "Ada of sales", contact=("mailto:ada+tocsin@example.org", "place:shop")).ending == "done"
    says(stage)
    relay = "mailto://relay.example.org?from=tocsin@example.org&to=ada%2Btocsin@example.org"
    assert sorted(told_to(stage)) == ["file:///management", "file:///shop", relay]


def test_each_contact_method_gets_an_update_once() -> None:
    stage = staged()
    stage.fires()
    for name in ("one", "two"):
        asks(stage, name, contact=("place:shop",))
    asks(stage)
    asks(stage, severities=("P1",))
    says(stage)
    assert sorted(told_to(stage)) == ["file:///management", "file:///shop", "terminal://ben"]


def test_the_same_again_is_no_second_subscription() -> None:
    stage = staged()
    first = asks(stage, services=("shop", "db"))
    again = asks(stage, services=("db", "shop", "db"))
    (one,) = subscribed(stage).items
    assert first.text.endswith(one.id)
    assert "already" in again.text
    assert again.text.endswith(one.id)


SECRETS = (
    "slack://token-of-a-kind/channel",
    "webhook+https://evil.example.org/x#${MAIL_PASSWORD}",
    "mailtos://user:password@mail.example.org?to=x@example.org",
    "json://evil.example.org/${TOCSIN_ADMIN_TOKEN}",
    "file:///etc/cron.d/x",
    "mailto:${MAIL_PASSWORD}@evil.example.org",
    "mailto:x@example.org?smtp=evil.example.org",
    "mailto:x@example.org&smtp=evil.example.org",
    "mailto:x@example.org,y@example.org",
    "mailto:x@example.org\nBcc: y@example.org",
    "mailto:@example.org",
    "mailto:x@localhost",
    "place:nowhere",
    "",
)


@pytest.mark.parametrize("contact", SECRETS)
def test_a_contact_with_a_secret_or_an_address_of_its_own_is_refused(contact: str) -> None:
    stage = staged()
    assert asks(stage, "stranger", contact=(contact,)).ending == "refused"
    assert stage.memory.get(THE_SUBSCRIPTIONS) is None


@given(
    st.one_of(st.text(max_size=80), st.from_regex(r"[a-z.+_%&?,;:/$}{ -]{1,12}@[a-z0-9.-]{1,9}\.org", fullmatch=True))
)
@example("ada.b+tocsin@mail.example.org")
def test_whatever_is_said_a_mail_goes_by_the_relay_to_one_address_and_to_no_other(text: str) -> None:
    stage = staged()
    if asks(stage, "stranger", contact=(f"mailto:{text}",)).ending == "done":
        (one,) = subscribed(stage).items
        (target,) = subscriptions._methods(RULES, one)
        mail = mailto.read(target)
        assert (mail.host, mail.sender, mail.recipients) == ("relay.example.org", "tocsin@example.org", (text,))
        assert "${" not in target


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("nobody", {}, "“nobody” is no person of oncall.yaml; an admin subscribes others with a contact"),
        ("ben", {"services": ("shp",)}, "there is no service “shp”"),
        ("ben", {"severities": ("P9",)}, "“P9” is no severity: there are P0, P1, P2, P3, P4"),
        ("ben", {"audience": "responders"}, "no audience to subscribe to: there are company, public"),
        ("ben", {"contact": ("place:shop",)}, "“ben” has contact methods in the rules already"),
        ("management", {"contact": ("place:shop",)}, "“management” has contact methods in the rules already"),
        ("", {"contact": ("place:shop",)}, "a stakeholder has a name"),
        ("x", {"contact": ("place:shop",) * 6}, "a subscription has 5 contacts at most"),
        ("x", {"contact": ("place:shp",)}, "there is no place “shp”"),
    ],
)
def test_what_cannot_be_subscribed_is_refused_in_words(name: str, more: dict[str, Any], words: str) -> None:
    answer = asks(staged(), name, **more)
    assert answer.ending == "refused"
    assert words in answer.text


def test_without_a_relay_no_mail_address_is_taken() -> None:
    answer = asks(staged(updates="places: {shop: ['file:///shop']}"), "x", contact=("mailto:x@example.org",))
    assert answer.text == "there is no mail relay: put one into updates.yaml as mail"


def test_there_are_so_many_of_one_name_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "EACH_MAX", 2)
    monkeypatch.setattr(subscriptions, "KEPT", 3)
    stage = staged()
    severities = ["P0", "P1", "P2"]
    assert [asks(stage, severities=(one,)).ending for one in severities] == ["done", "done", "refused"]
    assert [asks(stage, "eve", severities=(one,)).ending for one in severities] == ["done", "refused", "refused"]
    asks(stage, end=subscribed(stage).items[0].id)
    assert asks(stage, "ana").ending == "done"


def test_who_is_gone_from_the_rules_is_told_nothing_and_may_come_back() -> None:
    stage = staged()
    stage.fires()
    asks(stage, "x", contact=("place:press", "mailto:x@example.org"))
    asks(stage)
    people = (
        FILES["oncall.yaml"].replace('  ben: {name: Ben, contact: ["terminal://ben"]}\n', "").replace("[ben]", "[ana]")
    )
    gone = {**FILES, "services.yaml": SERVICES, "oncall.yaml": people}
    stage.load(gone, "gone")
    says(stage)
    assert sorted(told_to(stage)) == []
    stage.load({**gone, "updates.yaml": "places: {press: ['file:///elsewhere']}"}, "back")
    says(stage)
    assert sorted(told_to(stage)) == ["file:///elsewhere"]


def test_in_their_quiet_hours_people_are_told_at_the_end_of_them() -> None:
    quiet = FILES["oncall.yaml"].replace(
        'ben: {name: Ben, contact: ["terminal://ben"]}',
        'ben: {name: Ben, contact: ["terminal://ben"], time_zone: Etc/UTC, quiet_hours: [{times: '
        "[{start_time: '10:00', end_time: '12:00'}]}]}",
    )
    stage = staged(oncall=quiet)
    stage.fires()
    asks(stage)
    says(stage)
    assert "terminal://ben" not in told_to(stage)
    stage.advance(2 * HOUR)
    assert "terminal://ben" in told_to(stage)


@given(st.lists(st.sampled_from(("company", "public", "responders")), min_size=1, max_size=4))
def test_who_subscribes_to_what_is_public_gets_nothing_else(audiences: list[str]) -> None:
    stage = staged()
    stage.fires("secret-alert")
    asks(stage, "press", contact=("place:press",), audience="public")
    for audience in audiences:
        says(stage, "open" if audience == "public" else "secret words", audience=audience)
    sent = [one for _, one in stage.delivered if one.target == "file:///press"]
    assert len(sent) == audiences.count("public")
    made = [message(one, "https://tocsin.example.org") for one in sent]
    shown = " ".join(f"{one.title} {one.body} {one.url} {one.incident}" for one in made)
    assert "secret" not in shown
    assert short(stage.incident.key) not in shown
    assert all(one.url == "https://tocsin.example.org/status" for one in made)
    assert len(known(stage).items) == len(audiences)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mail: 'https://x.example.org'", "this is no mail server"),
        ("mail: 'mailto://x.example.org?to=a@example.org'", "here stands no recipient"),
        ("mail: 'mailto://x.example.org/a@example.org'", "here stands no recipient"),
        ("mail: 'mailtos://a:letmein@x.example.org'", "a literal secret stands in this URL"),
        ("places: {shop: []}", "expected one to 20 contact methods"),
        ("places: {shop: ['webhook+https://x.example.org#abc']}", "a literal secret stands in this URL"),
    ],
)
def test_the_rules_file_is_checked(text: str, words: str) -> None:
    with pytest.raises(RulesError, match=words):
        staged(updates=text)
