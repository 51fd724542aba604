"""Deliver: claim, send, report; whoever dies in between costs a repeat at most; a slow provider harms no other."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.store.workers_support import (
    NOW,
    Watched,
    client,
    commit,
    decide,
    effect,
    results,
    wait_for,
    withdraw,
)
from triage.model import Effect, EffectKind, Ending, Severity
from triage.store import effects, keys
from triage.store.client import connect
from workers.channel import Channel, Delivery, load
from workers.deliver import SEATS_PER_PLACE, Deliver

__all__ = ["client"]


class Died(BaseException):
    """Stands for the end of the process: nothing catches it."""


def deliver(client: redis.Redis, channel: Channel, **options: Any) -> Deliver:
    lookup = options.pop("lookup", lambda _: None)
    return Deliver(client, lambda: NOW, {"watch": channel, "apprise": channel}, lookup, **options)


def lease_ends(client: redis.Redis, *names: str) -> None:
    client.delete(*(keys.claim(name) for name in names))


def test_each_due_effect_is_sent_once_and_reported(client: redis.Redis) -> None:
    watched = Watched()
    commit(client, *(effect(f"e{number}", target=f"watch://{number}") for number in range(20)))
    assert deliver(client, watched).pump() == 20
    assert sorted(watched.ids) == sorted(f"e{number}" for number in range(20))
    reported = decide(client)
    assert {result.ending for result in reported} == {Ending.DELIVERED}
    assert {(result.person, result.scheme, result.incident) for result in reported} == {
        ("ada", "watch", "incident-key")
    }
    assert client.zcard(keys.DUE) == 0
    assert client.hlen(keys.CLAIMS) == 0


def test_nothing_is_sent_again_while_its_result_waits_for_the_drain(client: redis.Redis) -> None:
    watched = Watched()
    commit(client, effect("a"))
    one = deliver(client, watched)
    one.pump()
    one.pump()
    deliver(client, watched).pump()
    assert watched.ids == ["a"]


def test_two_deliverers_never_send_one_effect_twice(client: redis.Redis, redis_url: str) -> None:
    watched = Watched()
    names = [f"e{number:02}" for number in range(50)]
    commit(client, *(effect(name, target=f"watch://{name}") for name in names))
    clients = [connect(redis_url) for _ in range(2)]
    threads = [threading.Thread(target=deliver(one, watched).pump) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for one in clients:
        one.close()
    assert sorted(watched.ids) == names
    assert sorted(result.effect for result in results(client)) == names


def test_a_slow_provider_does_not_hold_up_another(client: redis.Redis) -> None:
    slow, quick = Watched(), Watched()
    slow.open.clear()
    commit(client, *(effect(f"s{number}", target="slow://one", severity=Severity.P0) for number in range(20)))
    commit(client, *(effect(f"q{number}", target="quick://two") for number in range(20)))
    both = Deliver(client, lambda: NOW, {"slow": slow, "quick": quick}, lambda _: None)
    thread = threading.Thread(target=both.pump)
    thread.start()
    wait_for(lambda: len(results(client)) == 20)
    assert len(quick.ids) == 20
    assert slow.most_inside <= SEATS_PER_PLACE
    slow.open.set()
    thread.join(30)
    assert len(results(client)) == 40


def test_what_becomes_due_meanwhile_does_not_wait_for_a_slow_send(client: redis.Redis) -> None:
    slow, quick = Watched(), Watched()
    slow.open.clear()
    commit(client, effect("s", target="slow://one"))
    thread = threading.Thread(target=Deliver(client, lambda: NOW, {"slow": slow, "quick": quick}, lambda _: None).pump)
    thread.start()
    wait_for(lambda: slow.ids)
    commit(client, effect("q", target="quick://two"))
    wait_for(lambda: quick.ids)
    slow.open.set()
    thread.join(30)


def test_a_send_that_takes_too_long_is_ambiguous_and_keeps_its_seat(client: redis.Redis) -> None:
    slow = Watched()
    slow.open.clear()
    commit(client, effect("a"))
    one = deliver(client, slow, limit_s=0.1)
    one.pump()
    [result] = decide(client)
    assert (result.ending, result.ambiguous) == (Ending.TRY_AGAIN, True)
    assert "0.1 s" in result.reason
    slow.answer = Delivery(Ending.TRY_AGAIN, "busy")
    slow.open.set()
    wait_for(lambda: not one._ended.empty())
    one.pump()
    assert [message.possible_repeat for message in slow.messages] == [False, True]


def test_a_message_that_is_taken_after_the_limit_is_reported_and_not_sent_again(client: redis.Redis) -> None:
    slow = Watched()
    slow.open.clear()
    commit(client, effect("a"))
    one = deliver(client, slow, limit_s=0.1)
    one.pump()
    decide(client)
    slow.open.set()
    wait_for(lambda: not one._ended.empty())
    one.pump()
    assert [message.possible_repeat for message in slow.messages] == [False]
    assert [(result.attempt, result.ending) for result in results(client)] == [(0, Ending.DELIVERED)]


def test_an_answer_after_the_limit_does_not_end_the_next_attempt(client: redis.Redis) -> None:
    slow = Watched()
    slow.open.clear()
    commit(client, effect("a"))
    one = deliver(client, slow, limit_s=0.1)
    one.pump()
    decide(client)
    one.pump()
    assert len(slow.ids) == 2
    slow.answer = Delivery(Ending.TRY_AGAIN, "busy")
    slow.open.set()
    decide(client)
    wait_for(lambda: one._ended.qsize() == 2)
    slow.answer = Delivery(Ending.DELIVERED, "taken")
    one.pump()
    assert [(result.attempt, result.ending) for result in results(client)] == [(2, Ending.DELIVERED)]


@pytest.mark.parametrize("where", ["before send", "in send", "before report"])
def test_a_death_at_any_point_leaves_the_claim_and_the_page_is_sent_under_the_same_id(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    watched = Watched()
    commit(client, effect("a"))

    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        if where == "before send":
            patch.setattr("workers.wording.message", die)
        elif where == "in send":
            watched.answer = Died()
        else:
            patch.setattr("triage.store.effects.report", die)
        with pytest.raises(Died):
            deliver(client, watched).pump()
    watched.answer = Delivery(Ending.DELIVERED)
    assert client.exists(keys.claim("a"))
    assert results(client) == []
    assert deliver(client, watched).pump() == 0, "the claim still holds"
    lease_ends(client, "a")
    assert deliver(client, watched).pump() == 1
    assert set(watched.ids) == {"a"}
    assert watched.messages[-1].possible_repeat
    assert "possible repeat" in watched.messages[-1].title
    assert len(watched.ids) == (1 if where == "before send" else 2)


def test_three_deaths_are_reported_and_not_delivered_again(client: redis.Redis) -> None:
    deadly = Watched(Died())
    commit(client, effect("a"))
    for _ in range(2):
        with pytest.raises(Died):
            deliver(client, deadly).pump()
        lease_ends(client, "a")
    assert deliver(client, deadly).pump() == 1
    assert len(deadly.ids) == 2
    [result] = decide(client)
    assert (result.ending, result.ambiguous) == (Ending.WORKER_DIED, True)


def test_a_ticket_that_one_worker_died_of_is_not_sent_again(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def die(ticket: Effect, _link: str, _lookup: object) -> Delivery:
        sent.append(ticket.id)
        raise Died

    monkeypatch.setattr("workers.tickets.send", die)
    ticket = effect("a", target="https://tracker.example.org/{item}")
    ticket.kind = EffectKind.TICKET
    commit(client, ticket)
    with pytest.raises(Died):
        deliver(client, Watched()).pump()
    lease_ends(client, "a")
    assert deliver(client, Watched()).pump() == 1
    [result] = results(client)
    assert (result.ending, result.ambiguous, sent) == (Ending.WORKER_DIED, True, ["a"])
    assert result.reason == "1 worker died while delivering this"


def test_a_ticket_whose_call_fails_in_our_own_code_takes_no_page_with_it(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Delivery:
        raise KeyError("title")

    monkeypatch.setattr("workers.tickets.send", fail)
    ticket = effect("a", target="https://tracker.example.org/{item}")
    ticket.kind = EffectKind.TICKET
    commit(client, ticket, effect("b"))
    watched = Watched()
    assert deliver(client, watched).pump() == 2
    assert watched.ids == ["b"]
    ended = {one.effect: (one.ending, one.ambiguous) for one in results(client)}
    assert ended["a"] == (Ending.TRY_AGAIN, True)


def test_a_report_that_the_store_refused_is_made_next_time(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched()
    commit(client, effect("a"))
    one = deliver(client, watched)

    def away(*_: object) -> None:
        raise redis.ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr("triage.store.effects.report", away)
        with pytest.raises(redis.ConnectionError):
            one.pump()
    assert one.pump() == 1
    assert watched.ids == ["a"]
    assert [result.ending for result in results(client)] == [Ending.DELIVERED]


def test_a_page_that_was_withdrawn_is_not_sent(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    commit(client, effect("a"))
    original = effects._claim_one

    def acknowledged_just_before(*arguments: Any) -> Any:
        withdraw(client, "a")
        return original(*arguments)

    monkeypatch.setattr(effects, "_claim_one", acknowledged_just_before)
    one = deliver(client, watched)
    assert one.pump() == 0
    assert (watched.ids, one.cancelled) == ([], 1)


def test_a_missing_secret_is_named_and_a_present_one_never_shown(client: redis.Redis) -> None:
    commit(client, effect("a", target="watch://${NOT_SET}/x"))
    deliver(client, Watched()).pump()
    [result] = decide(client)
    assert result.ending is Ending.GIVE_UP
    assert "NOT_SET" in result.reason

    leaky = Watched(Delivery(Ending.GIVE_UP, "403 for https://host/s3cr3t-token%2Fvalue and s3cr3t-token/value"))
    commit(client, effect("b", target="watch://${TOKEN}"))
    deliver(client, leaky, lookup={"TOKEN": "s3cr3t-token/value"}.get).pump()
    assert leaky.targets == ["watch://s3cr3t-token/value"]
    [result] = decide(client)
    assert "s3cr3t" not in result.reason
    assert "403" in result.reason


def test_a_channel_that_raises_is_tried_again_and_its_words_are_scrubbed(client: redis.Redis) -> None:
    commit(client, effect("a", target="watch://${TOKEN}"))
    buggy = Watched(RuntimeError("no route to tok-12345"))
    deliver(client, buggy, lookup={"TOKEN": "tok-12345"}.get).pump()
    [result] = decide(client)
    assert (result.ending, result.ambiguous) == (Ending.TRY_AGAIN, True)
    assert "tok-12345" not in result.reason
    assert "RuntimeError" in result.reason


def test_a_stop_finishes_what_is_on_its_way_and_begins_nothing(client: redis.Redis) -> None:
    watched = Watched()
    watched.open.clear()
    stopping = threading.Event()
    commit(client, effect("a"))
    thread = threading.Thread(target=deliver(client, watched, stop=stopping.is_set).pump)
    thread.start()
    wait_for(lambda: watched.ids)
    stopping.set()
    commit(client, effect("b", target="watch://other"))
    watched.open.set()
    thread.join(30)
    assert watched.ids == ["a"]
    assert [result.effect for result in results(client)] == ["a"]


def test_an_old_claim_is_not_sent_on(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched()
    commit(client, effect("a"))
    original = effects._claim_one

    def stopped_for_long(*arguments: Any) -> Any:
        claimed = original(*arguments)
        time.sleep(0.25)
        return claimed

    monkeypatch.setattr(effects, "_claim_one", stopped_for_long)
    assert deliver(client, watched, lease_ms=400).pump() == 0
    assert watched.ids == []


def test_a_real_channel_end_to_end(client: redis.Redis, tmp_path: Path) -> None:
    pages = tmp_path / "pages.jsonl"
    commit(client, effect("a", target=f"file://{pages}"))
    assert Deliver(client, lambda: NOW, load(), lambda _: None, "https://tocsin.example.org").pump() == 1
    [line] = [json.loads(line) for line in pages.read_text().splitlines()]
    assert line["id"] == "a"
    assert line["title"] == "P1 checkout down"
    assert line["url"] == "https://tocsin.example.org/incidents/abc234"
    assert [result.ending for result in decide(client)] == [Ending.DELIVERED]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    wait_for(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("send ")])
