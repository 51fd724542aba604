"""Slack by a bot: through the real slack_sdk, to a server that speaks the Web API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.workers.slack_server import BOT, Room, Slack, serving
from triage.model import EffectKind, Ending, Severity
from workers import slack
from workers.channel import Delivery, Message, choose, load
from workers.channels.slack_bot import MALFORMED

TARGET = f"slack+bot://{BOT}@acme/C0ALERTS"


@pytest.fixture(scope="module")
def server() -> Iterator[Slack]:
    with serving(Slack()) as one:
        yield one


@pytest.fixture
def workspace(server: Slack) -> Iterator[Slack]:
    fresh = Slack()
    for name in ("rooms", "troubles", "calls"):
        setattr(server, name, getattr(fresh, name))
    slack.use(server.api)
    yield server
    slack.use("https://slack.com/api/")


def message(**more: Any) -> Message:
    known: dict[str, Any] = {
        "id": "page-1",
        "kind": EffectKind.PAGE,
        "title": "P0 Checkout down",
        "body": "Acknowledge: tocsin ack k3m7qa\nService: checkout\n\nMessage page-1",
        "severity": Severity.P0,
        "url": "https://tocsin.example.org/incidents/k3m7qa",
        "incident": "k3m7qafull",
        "phase": "detected",
    }
    return Message(**{**known, **more})


def send(target: str = TARGET, **more: Any) -> Delivery:
    return choose(load(), target).send(target, message(**more))


def labels(shown: dict[str, Any]) -> list[str]:
    return [one["text"]["text"] for block in shown["blocks"] if block["type"] == "actions" for one in block["elements"]]


def texts(shown: dict[str, Any]) -> list[str]:
    simple = [block["text"]["text"] for block in shown["blocks"] if block["type"] in ("header", "section")]
    small = [one["text"] for block in shown["blocks"] if block["type"] == "context" for one in block["elements"]]
    return simple + small


def test_a_page_is_a_message_with_buttons_and_a_receipt(workspace: Slack) -> None:
    ended = send()
    (shown,) = workspace.rooms["C0ALERTS"].messages
    assert ended == Delivery(Ending.DELIVERED, "Slack took it", receipt=f"C0ALERTS:{shown['ts']}")
    assert texts(shown) == ["P0 Checkout down", message().body, "Nobody has it yet."]
    assert labels(shown) == ["Acknowledge", "Snooze 1 h", "Escalate", "Open"]
    assert shown["text"] == "P0 Checkout down\nAcknowledge: tocsin ack k3m7qa"
    assert shown["metadata"]["event_payload"] == {"id": "page-1", "incident": "k3m7qafull"}


def test_a_member_gets_a_direct_message(workspace: Slack) -> None:
    ended = send(f"slack+bot://{BOT}@acme/U0ANA")
    assert ended.receipt.startswith("D0ANA:")
    assert len(workspace.rooms["D0ANA"].messages) == 1


def test_what_comes_later_is_a_reply_and_only_a_page_shows_in_the_channel_too(workspace: Slack) -> None:
    first = send().receipt
    send(id="n", kind=EffectKind.NOTIFICATION, thread=first)
    send(id="p", thread=first)
    _, note, page = workspace.rooms["C0ALERTS"].messages
    assert (note["thread_ts"], note["reply_broadcast"]) == (first.partition(":")[2], False)
    assert (page["thread_ts"], page["reply_broadcast"]) == (first.partition(":")[2], True)
    assert labels(note) == ["Open"]
    assert labels(page)[0] == "Acknowledge"


@pytest.mark.parametrize(
    ("phase", "taken_by", "says", "buttons"),
    [
        ("triaged", "ana", "ana has it.", ["Take over", "Snooze 1 h", "Escalate", "Open"]),
        ("monitoring", "ana", "All clear; it is being watched.", ["Open"]),
        ("resolved", "ana", "It is over.", ["Open"]),
    ],
)
def test_an_update_changes_the_first_message(
    workspace: Slack, phase: str, taken_by: str, says: str, buttons: list[str]
) -> None:
    first = send().receipt
    ended = send(id="u", kind=EffectKind.UPDATE, thread=first, phase=phase, taken_by=taken_by)
    (shown,) = workspace.rooms["C0ALERTS"].messages
    assert ended.ending is Ending.DELIVERED
    assert texts(shown)[-1] == says
    assert labels(shown) == buttons


def test_nothing_in_a_text_becomes_a_mention_a_link_or_mark_up(workspace: Slack) -> None:
    hostile = "<!channel> <@U0ANA> *bold* :boom: <https://evil.example|click> & @here"
    send(title=hostile, body=hostile, url="javascript:alert(1)")
    (shown,) = workspace.rooms["C0ALERTS"].messages
    assert "<" not in shown["text"]
    assert shown["text"].startswith("&lt;!channel&gt; &lt;@U0ANA&gt;")
    kinds = [block["text"]["type"] for block in shown["blocks"] if "text" in block]
    assert kinds == ["plain_text", "plain_text"]
    assert (shown["parse"], shown["mrkdwn"], shown["link_names"], shown["unfurl_links"]) == (
        "none",
        False,
        False,
        False,
    )
    assert "Open" not in labels(shown)


def test_long_texts_keep_to_slack_s_limits(workspace: Slack) -> None:
    assert send(title="x" * 500, body="y" * 9_000).ending is Ending.DELIVERED
    assert send(title="", body="").ending is Ending.DELIVERED


def test_a_possible_repeat_is_looked_for_before_it_is_posted_again(workspace: Slack) -> None:
    first = send().receipt
    again = send(possible_repeat=True)
    assert (again.reason, again.receipt) == ("Slack had it already", first)
    reply = send(id="n", thread=first).receipt
    assert send(id="n", thread=first, possible_repeat=True).receipt == reply
    assert send(f"slack+bot://{BOT}@acme/U0ANA", possible_repeat=True).receipt.startswith("D0ANA:")
    assert send(f"slack+bot://{BOT}@acme/U0ANA", possible_repeat=True).reason == "Slack had it already"
    assert len(workspace.rooms["C0ALERTS"].messages) == 2


def test_without_the_right_to_look_a_possible_repeat_is_posted(workspace: Slack) -> None:
    send()
    workspace.troubles["conversations.history"] = "missing_scope"
    assert send(possible_repeat=True).reason == "Slack took it"
    assert len(workspace.rooms["C0ALERTS"].messages) == 2


@pytest.mark.parametrize(
    ("trouble", "ending", "says", "ambiguous", "pause"),
    [
        ((429, {"Retry-After": "30"}), Ending.TRY_AGAIN, "ratelimited", False, 30_000),
        ((503, {}), Ending.TRY_AGAIN, "HTTP 503", False, 0),
        ((504, {}), Ending.TRY_AGAIN, "HTTP 504", True, 0),
        ((404, {}), Ending.GIVE_UP, "HTTP 404", False, 0),
        ("internal_error", Ending.TRY_AGAIN, "internal_error", True, 0),
        ("invalid_auth", Ending.GIVE_UP, "does not know this bot token", False, 0),
        ("not_in_channel", Ending.GIVE_UP, "/invite", False, 0),
        ("missing_scope", Ending.GIVE_UP, "lacks a scope: chat:write", False, 0),
        ("cut", Ending.TRY_AGAIN, "no answer came", True, 0),
    ],
)
def test_each_trouble_says_what_follows(
    workspace: Slack, trouble: Any, ending: Ending, says: str, ambiguous: bool, pause: int
) -> None:
    workspace.troubles["chat.postMessage"] = trouble
    ended = send()
    assert (ended.ending, ended.ambiguous, ended.retry_after) == (ending, ambiguous, pause)
    assert says in ended.reason
    assert BOT not in ended.reason
    assert len(workspace.made("chat.postMessage")) <= 1


def test_a_slack_that_cannot_be_reached_was_not_sent_to() -> None:
    slack.use("http://127.0.0.1:1/api/")
    try:
        ended = send()
    finally:
        slack.use("https://slack.com/api/")
    assert (ended.ending, ended.ambiguous) == (Ending.TRY_AGAIN, False)


def test_an_unknown_channel_is_given_up(workspace: Slack) -> None:
    workspace.rooms = {"C0OLD": Room("old", archived=True)}
    assert "invite the bot" in send().reason
    assert "archived" in send(f"slack+bot://{BOT}@acme/C0OLD").reason


@pytest.mark.parametrize(
    "rest", ["", "token", f"{BOT}@acme", f"{BOT}@acme/alerts", f"{BOT}@acme/C0ALERTS/more", "@a/C0"]
)
def test_a_malformed_contact_method_says_what_to_write(rest: str) -> None:
    assert send(f"slack+bot://{rest}") == Delivery(Ending.GIVE_UP, MALFORMED)
