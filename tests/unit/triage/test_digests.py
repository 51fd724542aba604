"""Digests: what wakes nobody is told together, once a person, when the window opens."""

from __future__ import annotations

from tests.unit.triage.stage import FILES, START, Stage, alert
from triage.digests import ITEMS_MAX, next_opening
from triage.memory import THE_TRAY
from triage.model import DAY, HOUR, MINUTE, Phase, Severity, Verb, short
from triage.rulebook import compile_files

EVENING = START + 9 * HOUR  # Monday, 19:00
MORNING = START + 23 * HOUR  # Tuesday, 09:00


def staged(quiet: str = "{}", oncall: str = FILES["oncall.yaml"], start: int = EVENING) -> Stage:
    return Stage(files={**FILES, "quiet.yaml": quiet, "oncall.yaml": oncall}, start=start)


def test_one_digest_a_person_when_the_window_opens_with_counts() -> None:
    stage = staged()
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning", service="a")
    stage.fires(severity="error", service="b")
    stage.fires(severity="warning", service="c")
    stage.advance_to(MORNING - MINUTE)
    assert stage.told == []
    stage.advance_to(MORNING + 3 * HOUR)
    assert stage.told == [("ana", "Digest: 1 P2, 2 P3")]


def test_each_incident_is_named_the_most_severe_first_and_what_is_over_last() -> None:
    stage = staged()
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning", service="a")
    stage.fires(severity="error", service="b")
    stage.fires("Gone", severity="warning", service="c")
    stage.ends("Gone", severity="warning", service="c")
    stage.advance_to(MORNING)
    ((_, effect),) = stage.delivered
    assert effect.title == "Digest: 1 P2, 1 P3, 1 over already"
    by_service = {one.service: one for one in stage.incidents}
    assert [line.split(":")[0] for line in effect.facts["text"].splitlines()] == [
        f"{short(by_service['b'].key)} P2 Down",
        f"{short(by_service['a'].key)} P3 Down",
        f"{short(by_service['c'].key)} P3 Gone",
    ]
    assert effect.facts["text"].endswith(": over (resolved)")
    assert stage.whats(by_service["a"])[-1] == "digest"


def test_nothing_to_say_is_no_digest() -> None:
    stage = staged()
    stage.advance_to(MORNING + DAY)
    assert stage.told == []
    stage.fires(severity="warning")
    stage.fires("Worse", severity="critical")  # the same incident: paged for, and left out
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.advance(2 * DAY)
    assert not [title for _, title in stage.told if title.startswith("Digest")]


def test_what_somebody_took_is_said_to_be_theirs() -> None:
    stage = staged()
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning")
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ben")
    stage.advance_to(MORNING)
    told = {effect.person: effect.facts["text"] for _, effect in stage.delivered}
    assert set(told) == {"ana", "ben"}  # step 1, and who responds
    assert "taken by ben" in told["ana"]


def test_who_comes_in_while_it_is_open_waits_for_the_next_opening() -> None:
    stage = staged(start=START)
    stage.fires(severity="warning")
    stage.advance_to(START + 6 * HOUR)
    assert stage.told == []
    assert stage.memory.timers["digest:"] == MORNING


def test_a_p2_in_office_hours_is_told_at_once_and_not_again() -> None:
    stage = staged(start=START)
    stage.fires(severity="error")
    stage.fires(severity="warning", service="b")
    assert stage.told == [("ana", "P2: Down")]
    stage.advance_to(MORNING)
    assert [title for _, title in stage.told if title.startswith("Digest")] == ["Digest: 1 over already"]


def test_quiet_hours_hold_a_digest_and_never_a_page() -> None:
    quiet = FILES["oncall.yaml"].replace(
        'ana: {name: Ana, contact: ["terminal://ana", "file:///ana"]}',
        'ana: {name: Ana, contact: ["terminal://ana"], time_zone: Etc/UTC, '
        'quiet_hours: [{times: [{start_time: "08:00", end_time: "11:00"}]}]}',
    )
    stage = staged(oncall=quiet)
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning", service="low")
    stage.advance_to(MORNING + HOUR)
    assert stage.told == []
    stage.fires(service="high")
    assert stage.paged == ["ana"]
    stage.command(Verb.ACKNOWLEDGE, stage.incidents[-1].key, "ben")
    stage.advance_to(MORNING + 2 * HOUR)
    assert ("ana", "Digest: 1 P3") in stage.told


def test_a_window_of_their_own() -> None:
    files = {
        **FILES,
        "severity.yaml": FILES["severity.yaml"].replace(
            "  office:", '  late: [{times: [{start_time: "15:00", end_time: "16:00"}]}]\n  office:'
        ),
        "quiet.yaml": "digest: {window: late}",
    }
    assert next_opening(compile_files(files), START) == START + 5 * HOUR


def test_a_window_that_is_not_there_opens_a_day_later() -> None:
    assert next_opening(compile_files({}), START) == START + DAY


def test_nobody_in_step_one_is_told_to_the_last_resort_and_the_operators() -> None:
    stage = staged(oncall=FILES["oncall.yaml"].replace("notify: [ana]", "notify: []"))
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning")
    stage.advance_to(MORNING)
    assert ("eve", "Digest: 1 P3") in stage.told
    assert any("Nobody can be told by step 1" in title for _, title in stage.told)


def test_a_digest_is_bounded_and_says_how_many_more() -> None:
    stage = staged()
    stage.advance_to(MORNING - HOUR)
    stage.events("am", [alert(severity="warning", service=f"s{n}") for n in range(ITEMS_MAX + 5)])
    stage.advance_to(MORNING)
    ((_, effect),) = stage.delivered
    assert effect.title == f"Digest: {ITEMS_MAX} P3"
    assert effect.facts["text"].splitlines()[-1] == f"and {ITEMS_MAX - 15 + 5} more: tocsin incidents"
    assert stage.memory.get(THE_TRAY) is None


def test_what_is_silenced_waits_for_another_day() -> None:
    stage = staged("mutes: {batch: {matchers: ['service=\"a\"'], during: office}}")
    stage.advance_to(MORNING - HOUR)
    stage.fires(severity="warning", service="a")
    stage.advance_to(MORNING)
    assert stage.told == []
    assert stage.incident.phase is Phase.DETECTED
    assert stage.incident.severity is Severity.P3
