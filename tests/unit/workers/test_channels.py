"""The channels without a network: found by name, the terminal, the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from triage.model import Effect, EffectKind, Ending, Severity
from workers.channel import Message, choose, load, place_of, scheme_of, seat_of
from workers.channels import apprise, file, terminal

PAGE = Message(
    "id-1", EffectKind.PAGE, "P0 [red]checkout[/red] down", "Acknowledge: tocsin ack abc\n[b]x[/b]", Severity.P0
)


def test_a_channel_is_found_by_its_name_and_apprise_takes_the_rest() -> None:
    known = load()
    assert {"apprise", "file", "terminal"} <= set(known)
    assert choose(known, "terminal://") is known["terminal"]
    assert choose(known, "FILE:///x") is known["file"]
    assert choose(known, "slack://a/b/c") is known["apprise"]
    assert choose(known, "nonsense") is known["apprise"]


@pytest.mark.parametrize(
    ("target", "scheme", "place"),
    [
        ("slack://T/B/C", "slack", "slack://T"),
        ("JSONS://user:${PASS}@host:8443/x?y=1", "jsons", "jsons://host:8443"),
        ("terminal://", "terminal", "terminal://"),
        ("nonsense", "", "://"),
    ],
)
def test_scheme_and_place_of_a_contact_method(target: str, scheme: str, place: str) -> None:
    assert (scheme_of(target), place_of(target)) == (scheme, place)


def test_the_terminal_prints_a_page_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.send("terminal://", PAGE).ending is Ending.DELIVERED
    printed = capsys.readouterr().out.splitlines()
    assert "P0 [red]checkout[/red] down" in printed[0]
    assert "Acknowledge: tocsin ack abc" in printed[1]
    assert "[b]x[/b]" in printed[2]


def test_a_file_gets_one_line_per_message(tmp_path: Path) -> None:
    path = tmp_path / "pages with space"
    target = f"file://{str(path).replace(' ', '%20')}"
    assert file.send(target, PAGE).ending is Ending.DELIVERED
    assert file.send(target, PAGE).ending is Ending.DELIVERED
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["id-1", "id-1"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("target", ["file://relative/x", "file://", "file:///nowhere/at/all", "file:///tmp"])
def test_a_file_that_cannot_be_written_is_given_up_with_a_reason(target: str) -> None:
    ended = file.send(target, PAGE)
    assert ended.ending is Ending.GIVE_UP
    assert ended.reason


@pytest.mark.parametrize("scheme", apprise.LOCAL)
def test_what_would_act_on_this_machine_is_switched_off(scheme: str) -> None:
    assert apprise.send(f"{scheme}://", PAGE).ending is Ending.GIVE_UP


@pytest.mark.parametrize(
    ("target", "word"),
    [("nosuch://x", "nosuch://"), ("no url at all", "not a URL"), ("slack://t0ken-that-is-short", "malformed")],
)
def test_an_unusable_contact_method_is_given_up_without_repeating_it(target: str, word: str) -> None:
    ended = apprise.send(target, PAGE)
    assert ended.ending is Ending.GIVE_UP
    assert word in ended.reason
    assert "t0ken" not in ended.reason


def test_what_nobody_waits_for_sits_in_no_seat_of_a_page() -> None:
    def seat(kind: EffectKind) -> str:
        return seat_of(Effect("e", kind, "i", "", "discord://${ID}/${TOKEN}", "", {}, 0, 0, 0))

    assert seat(EffectKind.PAGE) == seat(EffectKind.NOTIFICATION) == seat(EffectKind.UPDATE)
    assert seat(EffectKind.POST) == seat(EffectKind.ROOM) != seat(EffectKind.PAGE)
