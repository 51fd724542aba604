"""What a message says, and that nothing in an alert can make it say or do something else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.model import Effect, EffectKind, Severity
from workers.wording import LINE_MAX, TITLE_MAX, clean, message

FACTS = {
    "severity": "P0",
    "title": "checkout down",
    "service": "checkout",
    "since": "1700000000000",
    "why": "Ada, step 1 of default",
    "alerts": "3",
    "firing": "2",
    "runbook": "https://wiki.example.org/checkout",
    "incident": "abc234",
    "phase": "detected",
}


def effect(kind: EffectKind = EffectKind.PAGE, title: str = "checkout down", **more: str) -> Effect:
    return Effect("page-1", kind, "abc234full", "ada", "x://y", title, {**FACTS, **more}, 0, 0, 0, severity=Severity.P0)


def test_a_page_says_first_what_to_do() -> None:
    made = message(effect(), "https://tocsin.example.org/")
    assert made.title == "P0 checkout down"
    assert made.body.splitlines() == [
        "Acknowledge: https://tocsin.example.org/incidents/abc234 or tocsin ack abc234",
        "Service: checkout",
        "Since: 2023-11-14 22:13 UTC",
        "Alerts: 3, 2 firing",
        "Runbook: https://wiki.example.org/checkout",
        "Why you: Ada, step 1 of default",
        "Incident: abc234 (detected)",
        "Link: https://tocsin.example.org/incidents/abc234",
        "",
        "Message page-1",
    ]
    assert made.url == "https://tocsin.example.org/incidents/abc234"


def test_without_an_address_the_command_is_what_to_do() -> None:
    made = message(effect())
    assert made.body.startswith("Acknowledge: tocsin ack abc234\n")
    assert made.url == ""


def test_a_notification_demands_nothing() -> None:
    made = message(effect(EffectKind.NOTIFICATION, "all clear: checkout down", text="Nothing fires any more."))
    assert made.title == "all clear: checkout down"
    assert made.body.startswith("Nothing fires any more.\n")
    assert "Acknowledge" not in made.body


def test_an_operator_message_says_who_needs_care() -> None:
    one = Effect("o", EffectKind.OPERATOR, "", "ops", "x://", "Rules refused", {"text": "a\nb"}, 0, 0, 0)
    made = message(one, "https://tocsin.example.org")
    assert made.title == "Tocsin needs care: Rules refused"
    assert made.body == "a\nb\n\nMessage o"
    assert made.url == ""


def test_late_and_repeated_say_so() -> None:
    made = message(effect(late="45 min"), repeat=True)
    assert made.title.endswith("(possible repeat)")
    assert "late by 45 min" in made.body
    assert made.body.endswith("Message page-1 (possible repeat)")
    assert made.possible_repeat
    once = effect()
    once.ambiguous = True
    assert message(once).possible_repeat


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [
        ("<!channel> now", "< !channel> now"),
        ("<@U123>", "< @U123>"),
        ("<https://evil.example|click>", "< https://evil.example|click>"),
        ("@everyone and @here", "@ everyone and @ here"),
        ("[click](https://evil.example)", "[click] (https://evil.example)"),
        ("`rm -rf`", "'rm -rf'"),
        ("two\r\nBcc: x@y.z", "two Bcc: x@y.z"),
        ("a\x1b[31mred\x07", "a [31mred"),
        ("right\u202eleft\u200b!", "right left !"),
        ("latency < 5 & mail ops@example.org", "latency < 5 & mail ops@example.org"),
    ],
)
def test_mark_up_of_chats_and_terminals_is_made_harmless(hostile: str, harmless: str) -> None:
    assert clean(hostile, 100) == harmless


@given(st.text(max_size=3_000))
def test_any_text_gives_a_bounded_title_on_one_line(text: str) -> None:
    made = message(effect(title=text, service=text, how=text, link=text))
    assert len(made.title) <= TITLE_MAX + len("P0 ")
    assert made.title.isprintable() or all(ord(char) >= 32 for char in made.title)
    assert "<!" not in made.title + made.body
    assert "@here" not in made.body.lower()
    assert "\n" not in made.title
    assert all(len(line) <= LINE_MAX + 20 for line in made.body.splitlines())


@pytest.mark.parametrize("link", ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "ftp://x"])
def test_only_safe_links_are_kept(link: str) -> None:
    assert message(effect(link=link)).url == ""
    assert link not in message(effect(link=link)).body


def test_a_given_link_goes_before_the_made_one() -> None:
    assert message(effect(link="https://t.example/i/1"), "https://other").url == "https://t.example/i/1"


def test_with_a_secret_a_page_says_first_where_to_tap_which_number() -> None:
    made = message(effect(), "https://tocsin.example.org/", link_secret=b"s")
    first = made.body.splitlines()[0]
    assert first == f"Acknowledge: tap {made.number} at {made.answer_url} or tocsin ack abc234"
    assert made.answer_url.startswith("https://tocsin.example.org/a/")
    assert made.url == "https://tocsin.example.org/incidents/abc234"


def test_only_a_page_with_an_address_carries_a_link_that_acknowledges() -> None:
    for made in (
        message(effect(), link_secret=b"s"),
        message(effect(EffectKind.NOTIFICATION), "https://x", link_secret=b"s"),
    ):
        assert (made.answer_url, made.number) == ("", "")
        assert "/a/" not in made.body


def test_a_runbook_that_is_kept_here_comes_with_the_place_where_it_is_shown() -> None:
    made = message(effect(runbook="runbooks/disk-full.md"), "https://tocsin.example.org/")
    assert "Runbook: runbooks/disk-full.md https://tocsin.example.org/incidents/abc234#runbook" in made.body
    assert "Runbook: runbooks/disk-full.md\n" in message(effect(runbook="runbooks/disk-full.md")).body


NOON = 1_772_452_800_000  # 2026-03-02, 12:00 UTC


@pytest.mark.parametrize(
    ("due", "zone", "words"),
    [
        (NOON + 2_100_000, "", "12:35 UTC"),
        (NOON + 2_100_000, "Europe/Berlin", "12:35 UTC (13:35 CET)"),
        (NOON + 2_100_000, "No/Where", "12:35 UTC"),
        (NOON + 2_100_000, "../../etc/passwd", "12:35 UTC"),
        (NOON - 60_000, "Etc/UTC", "11:59 UTC, which is overdue"),
        (NOON + 86_400_000, "", "2026-03-03 12:00 UTC"),
    ],
)
def test_the_promised_update_is_told_by_the_readers_clock(due: int, zone: str, words: str) -> None:
    facts = {**FACTS, "next_update": str(due), "zone": zone}
    made = message(Effect("page-1", EffectKind.PAGE, "abc234full", "ada", "x://y", "Down", facts, NOON, NOON, 0))
    assert f"Next update promised: {words}" in made.body.splitlines()


def test_a_rooms_topic_says_when_the_next_update_is_promised() -> None:
    facts = {**FACTS, "next_update": str(NOON + 2_100_000)}
    room = Effect("room-1", EffectKind.ROOM, "abc234full", "", "x://y", "Down", facts, NOON, NOON, 0)
    assert message(room).topic == "P0 · detected · next update 12:35 UTC · Down"


@pytest.mark.parametrize("odd", ["soon", "9" * 16, "²", "-5"])
def test_a_promise_that_is_no_time_is_not_told(odd: str) -> None:
    assert "Next update" not in message(effect(next_update=odd)).body
