"""Old memory wakes: one digest a person, no old pages, and what a sender confirms pages anew."""

from __future__ import annotations

from tests.unit.triage.stage import FILES, Stage, alert
from triage.memory import THE_WOKEN
from triage.model import HOUR, MINUTE, Effect, Ending, Result, Verb


class Sleeper(Stage):
    """A stage on which nobody may work for a while."""

    def sleeps(self, hours: float) -> None:
        self.now += int(hours * HOUR)

    def wakes(self) -> None:
        self.settle()


def staged(quiet: str = "{}") -> Sleeper:
    return Sleeper(files={**FILES, "quiet.yaml": quiet})


def told_since(stage: Stage, since: int) -> list[tuple[str, str, str]]:
    return [(one.person, one.kind.value, one.title) for at, one in stage.delivered if at >= since]


def test_yesterdays_memory_sends_one_digest_a_person_and_no_page() -> None:
    stage = staged()
    stage.fires(service="a")
    stage.fires("Slow", service="b", severity="error")
    stage.fires("Cpu", service="c", severity="warning")
    stage.fires("Disk", service="d")
    stage.command(Verb.ACKNOWLEDGE, stage.incidents[-1].key, "ben")
    stage.sleeps(24)
    woke = stage.now
    stage.wakes()
    told = told_since(stage, woke)
    assert sorted(person for person, _, _ in told) == ["ana", "ben", "eve"]
    assert {kind for _, kind, _ in told} == {"notification"}
    assert all("Tocsin goes on after" in title for _, _, title in told)
    stage.advance(2 * HOUR)
    assert told_since(stage, woke) == told
    assert stage.memory.get(THE_WOKEN) is None


def test_what_a_sender_says_again_pages_from_step_one() -> None:
    stage = staged()
    stage.fires(service="a")
    stage.sleeps(24)
    stage.wakes()
    assert (stage.paged, stage.incident.doubted) == (["ana"], True)
    stage.fires(service="a")
    assert (stage.paged, stage.incident.doubted) == (["ana", "ana"], False)
    assert [what for what in stage.whats(stage.incident) if what in ("doubted", "confirmed")] == [
        "doubted",
        "confirmed",
    ]
    stage.minutes(6)
    assert stage.paged[2:] == ["ben"]


def test_what_fires_for_the_first_time_pages_at_once() -> None:
    stage = staged()
    stage.fires(service="old")
    stage.sleeps(24)
    stage.fires(service="new")
    assert stage.paged == ["ana", "ana"]
    assert stage.pages[-1].facts["service"] == "new"


def test_an_acknowledged_one_stays_acknowledged_and_is_not_reminded_of_at_once() -> None:
    stage = staged()
    stage.fires()
    stage.command(Verb.ACKNOWLEDGE, stage.incident.key, "ana")
    stage.sleeps(24)
    stage.wakes()
    stage.fires()
    assert (stage.incident.acked_by, stage.paged) == ("ana", ["ana"])
    stage.advance(HOUR)
    assert stage.paged == ["ana", "ana"]  # forgotten since the sender confirmed it


def test_forty_five_minutes_are_no_old_memory() -> None:
    stage = staged()
    stage.fires()
    stage.sleeps(0.75)
    stage.wakes()
    assert stage.paged == ["ana", "ben"]
    assert stage.pages[-1].facts["late"] == "40 min"


def test_an_idle_night_is_no_old_memory() -> None:
    stage = staged()
    stage.advance(30 * HOUR)
    stage.fires()
    assert stage.paged == ["ana"]
    stage.advance(MINUTE)
    assert not stage.incident.doubted


def test_a_storm_of_overdue_timers_is_still_one_digest_a_person() -> None:
    stage = staged()
    stage.events("am", [alert(service=f"s{n}") for n in range(700)])
    stage.sleeps(24)
    woke = stage.now
    stage.wakes()
    told = told_since(stage, woke)
    assert sorted(person for person, _, _ in told) == ["ana", "eve"]
    assert "stand open" in told[0][2]
    assert not [one for one in stage.incidents if one.page_at is not None and one.page_at < woke]


def test_a_page_that_no_provider_had_taken_is_withdrawn() -> None:
    def away(effect: Effect) -> Result:
        return Result(effect.id, effect.attempt, Ending.TRY_AGAIN, incident=effect.incident, person=effect.person)

    stage = Sleeper(provider=away)
    stage.fires()
    assert stage.incident.pending
    stage.sleeps(24)
    stage.provider = lambda effect: Result(
        effect.id, effect.attempt, Ending.DELIVERED, incident=effect.incident, person=effect.person
    )
    stage.wakes()
    assert stage.incident.pending == ()
    assert stage.paged == []


def test_what_is_too_old_to_be_sent_is_not_tried_another_way() -> None:
    stage = staged()
    held: list[Effect] = []

    def hold(effect: Effect) -> Result:
        held.append(effect)
        return Result(effect.id, effect.attempt, Ending.TOO_OLD, "too old", incident=effect.incident)

    stage.provider = hold
    stage.fires()
    assert [one.person for one in held] == ["ana"]
    assert "too-old" in stage.whats(stage.incident)
