"""Two incidents that are the same trouble become one: nobody is paged twice, and nothing that still pages is lost."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.unit.triage.stage import Stage
from triage.memory import EFFECT
from triage.model import DAY, HOUR, LATER, Answer, Command, Ending, Incident, Phase, Result, Severity, Verb
from triage.rehearsal import accepts


def two(first: str = "critical", second: str = "critical") -> tuple[Stage, str, str]:
    """A stage with an incident of shop and one of search; both keys."""
    stage = Stage()
    stage.fires(service="shop", severity=first)
    stage.seconds(1)
    stage.fires(service="search", severity=second)
    shop, search = stage.incidents
    return stage, shop.key, search.key


def ask(stage: Stage, verb: Verb, key: str, by: str = "ana", **more: Any) -> Answer:
    return stage.answers[stage.append(Command(verb, key, by, "test", **more))]


def merge(stage: Stage, gone: str, into: str, by: str = "ana") -> Answer:
    return ask(stage, Verb.MERGE, gone, by, data={"other": into})


def incident(stage: Stage, key: str) -> Incident:
    (found,) = [one for one in stage.incidents if one.key == key]
    return found


def test_the_merged_one_ends_and_its_alerts_belong_to_the_other() -> None:
    stage, shop, search = two()
    assert merge(stage, search, shop) == Answer("done", f"it is part of {shop[:6]} now")
    gone, into = incident(stage, search), incident(stage, shop)
    assert (gone.phase, gone.merged_into, gone.firing) == (Phase.CLOSED, shop, 0)
    assert (into.firing, into.alerts, into.merged) == (2, 2, (search,))
    assert len(stage.memory.members[shop]) == 2
    stage.ends(service="search")
    assert incident(stage, shop).firing == 1
    stage.fires(service="search", instance="b")  # its group leads to the other one
    assert (incident(stage, shop).firing, len(stage.incidents)) == (2, 2)
    stage.ends(service="search", instance="b")
    stage.ends(service="shop")
    assert incident(stage, shop).phase is Phase.MONITORING


def test_had_by_somebody_the_other_is_had_too_and_nobody_is_paged_any_more() -> None:
    stage, shop, search = two()
    ask(stage, Verb.ACKNOWLEDGE, search, "ben")
    merge(stage, search, shop)
    into = incident(stage, shop)
    assert (into.acked_by, into.phase) == ("ben", Phase.TRIAGED)
    stage.minutes(20)
    assert stage.paged == ["ana", "ana"]  # one for each, before they were one


def test_the_more_severe_escalation_goes_on_where_it_was() -> None:
    stage, shop, search = two("warning", "outage")
    stage.minutes(2)
    merge(stage, search, shop)
    assert (incident(stage, shop).severity, stage.paged) == (Severity.P0, ["ana"])
    stage.minutes(3)
    assert stage.paged == ["ana", "ben"]
    stage.minutes(10)
    assert stage.paged == ["ana", "ben", "ana"]
    assert len({page.id for page in stage.pages}) == len(stage.pages)


def test_a_p0_that_nobody_has_is_not_had_because_somebody_has_a_p1() -> None:
    stage, shop, search = two("critical", "outage")
    ask(stage, Verb.ACKNOWLEDGE, shop, "ben")
    merge(stage, search, shop)
    assert incident(stage, shop).acked_by == ""
    stage.minutes(5)
    assert stage.paged == ["ana", "ana", "ben"]


def test_a_page_in_flight_arrives_once_and_its_link_takes_the_one_that_goes_on() -> None:
    """A worker has the page in hand while the incidents become one: it is neither sent again nor lost."""
    stage, shop, search = two("warning", "info")
    stage.provider = lambda effect: Result(effect.id, effect.attempt, Ending.TRY_AGAIN, incident=effect.incident)
    ask(stage, Verb.SEVERITY, search, "eve", text="worse", data={"to": "P1"})
    (flying,) = incident(stage, search).pending[:1]
    before = stage.memory.get((EFFECT, flying))
    merge(stage, search, shop)
    assert flying in incident(stage, shop).pending
    assert stage.memory.get((EFFECT, flying)) is before, "writing it would end the worker's claim, and send it twice"
    done = Result(flying, before.attempt, Ending.DELIVERED, incident=search, person="ana", scheme="terminal")  # type: ignore[union-attr]
    stage.append(done)
    assert flying not in incident(stage, shop).pending
    assert "delivered" in stage.whats(incident(stage, shop))
    ask(stage, Verb.ACKNOWLEDGE, search, "ana", page=flying)
    assert incident(stage, shop).acked_by == "ana"
    assert incident(stage, search).acked_by == ""


def test_who_was_paged_for_one_is_not_paged_again_for_the_other() -> None:
    stage, shop, search = two("outage", "info")
    stage.provider = lambda effect: Result(effect.id, effect.attempt, Ending.TRY_AGAIN, incident=effect.incident)
    ask(stage, Verb.SEVERITY, search, "eve", text="worse", data={"to": "P1"})
    waiting = incident(stage, search).pending
    assert waiting
    merge(stage, search, shop)
    assert incident(stage, shop).pending == ()
    assert all(stage.memory.get((EFFECT, one)) is None for one in waiting)
    late = Result(waiting[0], 9, Ending.DELIVERED, incident=search, person="ana", scheme="terminal")
    stage.append(late)
    assert "was already on its way: delivered" in stage.lines(shop)[-1].text


def test_merged_into_what_is_all_clear_it_is_not_over_and_pages_from_who_had_it() -> None:
    stage, shop, search = two()
    ask(stage, Verb.ACKNOWLEDGE, shop, "ben")
    stage.ends(service="shop")
    assert incident(stage, shop).phase is Phase.MONITORING
    merge(stage, search, shop)
    assert incident(stage, shop).phase is Phase.TRIAGED
    assert stage.paged == ["ana", "ana", "ben"]
    stage.advance(2 * HOUR)
    assert incident(stage, shop).phase is Phase.TRIAGED


def test_what_is_refused() -> None:
    stage, shop, search = two()
    assert merge(stage, shop, shop) == Answer("refused", "that is this incident itself")
    assert merge(stage, shop, "nowhere").ending == "refused"
    ask(stage, Verb.RESOLVE, shop, confirm=True)
    answer = merge(stage, search, shop)
    assert answer.text == f"incident {shop[:6]} has ended (resolved); merge it into {search[:6]} instead"
    assert merge(stage, shop, search).ending == "done"
    assert merge(stage, shop, search) == Answer("refused", "that is this incident itself")


def test_what_is_said_of_the_merged_one_is_said_of_the_other() -> None:
    stage, shop, search = two()
    merge(stage, search, shop)
    ask(stage, Verb.NOTE, search, text="still there")
    assert stage.lines(shop)[-1].text == "still there"
    ask(stage, Verb.RESOLVE, search, confirm=True)
    assert incident(stage, shop).phase is Phase.RESOLVED


def test_a_chain_of_merges_leads_to_the_last_and_is_forgotten_with_it() -> None:
    stage, shop, search = two()
    stage.fires(service="mail")
    (mail,) = [one.key for one in stage.incidents if one.service == "mail"]
    merge(stage, search, shop)
    merge(stage, shop, mail)
    assert incident(stage, mail).merged == (shop, search)
    stage.fires("Slow", service="search")
    assert incident(stage, mail).firing == 4
    ask(stage, Verb.RESOLVE, search, confirm=True)
    stage.advance(91 * DAY)
    assert stage.incidents == []
    assert not [key for key in stage.memory.values if key[0] in ("group", "incident", "crowd", "tally")]


def test_clauses_count_across_what_became_one() -> None:
    stage = Stage()
    stage.fires("ReplicaDown", service="shop", instance="a")
    stage.fires("ReplicaDown", service="search", instance="b")
    shop, search = (one.key for one in stage.incidents)
    merge(stage, search, shop)
    stage.fires("ReplicaDown", service="shop", instance="c")
    assert incident(stage, shop).severity is Severity.P1  # three with distinct instances


@pytest.mark.parametrize("into_first", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        (Ending.DELIVERED,),
        (Ending.TRY_AGAIN,),
        (Ending.GIVE_UP,),
        (Ending.HANDED_OVER, Ending.DELIVERED),
        (Ending.HANDED_OVER, Ending.UNANSWERED),
        (Ending.HANDED_OVER, Ending.GIVE_UP),
        (),
    ],
)
def test_whatever_becomes_of_a_page_in_flight_no_page_is_sent_twice_and_somebody_is_reached(
    words: tuple[Ending, ...], into_first: bool
) -> None:
    """The page of the second incident is with a worker while they become one, in either direction."""
    stage = Stage()
    stage.fires(service="shop")
    stage.provider = lambda effect: Result(effect.id, effect.attempt, Ending.TRY_AGAIN, incident=effect.incident)
    stage.fires(service="search")
    shop, search = sorted(
        (one.key for one in stage.incidents), key=lambda key: incident(stage, key).service == "search"
    )
    flying = incident(stage, search).pending[0]
    attempt = stage.memory.get((EFFECT, flying)).attempt  # type: ignore[union-attr]
    gone, into = (search, shop) if into_first else (shop, search)
    merge(stage, gone, into)
    stage.provider = accepts
    for number, ending in enumerate(words):
        which = attempt if number == 0 else LATER
        stage.append(Result(flying, which, ending, incident=search, person="ana", scheme="terminal"))
    stage.minutes(4)
    sent = Counter(page.id for page in stage.pages)
    assert set(sent.values()) == {1}
    if words[:1] in ((Ending.DELIVERED,), (Ending.HANDED_OVER,)):
        assert sent[flying] == 0, "a provider has it already"
    stage.minutes(2)
    assert "ben" in stage.paged, "the next step begins all the same"
    ask(stage, Verb.ACKNOWLEDGE, gone, "ben")
    count = len(stage.paged)
    stage.minutes(30)
    assert (incident(stage, into).acked_by, len(stage.paged)) == ("ben", count)
    assert incident(stage, into).pending == ()


@pytest.mark.parametrize(("old", "new"), [("outage", "critical"), ("critical", "critical"), ("critical", "outage")])
@pytest.mark.parametrize("old_goes_on", [True, False])
def test_what_old_memory_is_in_doubt_of_pages_once_it_is_one_with_what_surely_fires(
    old: str, new: str, old_goes_on: bool
) -> None:
    stage = Stage()
    stage.fires(service="shop", severity=old)
    stage.now += 24 * HOUR
    stage.settle()
    stage.fires(service="search", severity=new)
    shop, search = (one.key for one in stage.incidents)
    assert incident(stage, shop).doubted
    gone, into = (search, shop) if old_goes_on else (shop, search)
    merge(stage, gone, into)
    assert not incident(stage, into).doubted
    before = len(stage.paged)
    stage.minutes(6)
    assert "ben" in stage.paged[before:], "it escalates, though no sender says again that the old one fires"


@pytest.mark.parametrize("old_goes_on", [True, False])
def test_two_that_old_memory_is_in_doubt_of_page_when_a_sender_says_so(old_goes_on: bool) -> None:
    stage, shop, search = two("outage", "critical")
    stage.now += 24 * HOUR
    stage.settle()
    gone, into = (search, shop) if old_goes_on else (shop, search)
    merge(stage, gone, into)
    assert (incident(stage, into).doubted, stage.paged) == (True, ["ana", "ana"])
    stage.fires(service="shop", severity="outage")
    assert (incident(stage, into).doubted, stage.paged) == (False, ["ana", "ana", "ana"])


def test_who_has_it_then_hears_of_alerts_that_join() -> None:
    """Alerts had joined a moment before: that they were to be told must not keep later ones from being told."""
    stage, shop, search = two("critical", "outage")
    ask(stage, Verb.ACKNOWLEDGE, shop, "ana")
    ask(stage, Verb.ACKNOWLEDGE, search, "ben")
    stage.fires("Slow", service="shop")
    merge(stage, search, shop)
    stage.minutes(2)
    stage.fires("Slow", service="search")
    stage.minutes(2)
    assert [person for person, title in stage.told if "more alert" in title] == ["ben"]
