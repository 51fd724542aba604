"""What places hear of an incident, whatever becomes of each post: in order, once, and never more than fits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.triage.stage import FILES, Stage
from triage import outlets
from triage.model import MINUTE, Effect, EffectKind, Ending, Incident, Line, Outlet, Phase, Result, Severity, Verb
from triage.rehearsal import accepts

PLACE = "json://place"
TOLD = {**FILES, "rooms.yaml": f"posts: [{{name: place, contact: '{PLACE}', severities: [P0, P1, P2, P3, P4]}}]"}
ENDINGS = (Ending.DELIVERED, Ending.TRY_AGAIN, Ending.WORKER_DIED, Ending.GIVE_UP, Ending.TOO_OLD)


def bare(*places: Outlet) -> Incident:
    incident = Incident("key", "[]", "Down", "shop", Severity.P1, Phase.DETECTED, "default", "", "", 0, "", 0)
    incident.outlets = places
    return incident


def line(what: str, text: str, by: str = "", at: int = 36_000_000) -> Line:
    return Line(at, what, text, by)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(ENDINGS), max_size=5), st.lists(st.integers(0, 4), min_size=1, max_size=12))
def test_each_line_is_told_once_and_in_order_unless_its_post_was_given_up(
    endings: list[Ending], pauses: list[int]
) -> None:
    left = list(endings)
    taken: list[str] = []
    lost: list[str] = []

    def provider(effect: Effect) -> Result:
        if effect.kind is not EffectKind.POST:
            return accepts(effect)
        ending = left.pop(0) if left else Ending.DELIVERED
        lines = effect.facts["text"].splitlines()
        if ending is Ending.DELIVERED:
            taken.extend(lines)
        elif ending in (Ending.GIVE_UP, Ending.TOO_OLD):
            lost.extend(lines)
        return Result(effect.id, effect.attempt, ending, "as it came", incident=effect.incident)

    stage = Stage(provider, TOLD)
    stage.fires()
    for number, pause in enumerate(pauses):
        stage.command(Verb.NOTE, stage.incident.key, "ana", f"note {number:03}")
        stage.seconds(pause)
    stage.minutes(10)
    notes = [one.split("note: ")[1] for one in taken if "note: " in one]
    gone = [one.split("note: ")[1] for one in lost if "note: " in one]
    assert notes == sorted(set(notes))
    assert sorted(notes + gone) == [f"note {number:03} (ana)" for number in range(len(pauses))]


def test_no_two_posts_to_a_place_are_nearer_than_it_takes() -> None:
    stage = Stage(accepts, TOLD)
    stage.fires()
    for number in range(20):
        stage.command(Verb.NOTE, stage.incident.key, "ana", f"note {number}")
    stage.minutes(2)
    at = [at for at, effect in stage.delivered if effect.kind is EffectKind.POST]
    assert len(at) > 1
    assert all(later - earlier >= outlets.APART for earlier, later in pairwise(at))
    assert all(effect.severity is Severity.P4 for _, effect in stage.delivered if effect.kind is EffectKind.POST)


def test_what_is_too_much_leaves_the_oldest_out_and_counts_it() -> None:
    incident = bare(Outlet(PLACE))
    outlets.hear(incident, [line("note", f"n{number}") for number in range(outlets.UNSAID_MAX + 5)], False)
    (one,) = incident.outlets
    assert (len(one.unsaid), one.dropped, one.unsaid[0][1]) == (outlets.UNSAID_MAX, 5, "10:00 note: n5")


def test_alerts_by_the_hundred_are_one_line_that_says_the_last() -> None:
    incident = bare(Outlet(PLACE))
    lines = [line("joined", f"alert {number}") for number in range(200)]
    outlets.hear(incident, [line("note", "first"), *lines, line("note", "last")], False)
    assert [(text, count) for _, text, count in incident.outlets[0].unsaid] == [
        ("10:00 note: first", 1),
        ("10:00 alert joined: alert 199", 200),
        ("10:00 note: last", 1),
    ]


@pytest.mark.parametrize("what", ["chat", "delivered", "withdrawn", "given-up", "failed", "room", "notification"])
def test_what_only_the_timeline_needs_is_not_told(what: str) -> None:
    incident = bare(Outlet(PLACE))
    outlets.hear(incident, [line(what, "text")], False)
    assert incident.outlets[0].unsaid == ()


def test_a_line_is_one_line_however_it_was_written_and_is_cut() -> None:
    incident = bare(Outlet(PLACE))
    outlets.hear(incident, [line("note", "a\nb\r\n" + "x" * 5_000, "ana")], False)
    ((_, text, _),) = incident.outlets[0].unsaid
    assert len(text) == outlets.LINE_MAX
    assert text.startswith("10:00 note: a b x")


def test_an_incident_that_is_over_begins_nothing_and_goes_on_with_what_was_begun() -> None:
    stage = Stage(accepts, TOLD)
    stage.fires()
    stage.command(Verb.RESOLVE, stage.incident.key, "ana", confirm=True)
    stage.minutes(1)
    posts = [effect.facts["text"] for _, effect in stage.delivered if effect.kind is EffectKind.POST]
    assert any("resolved:" in text for text in posts)
    assert stage.now > MINUTE
