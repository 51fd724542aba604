"""When looks are due, what becomes of them, and what is told of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from triage.model import DAY, HOUR, MINUTE, SECOND, Event, Millis, Severity
from triage.rulebook.checks import EXPIRES, FAILED, Check
from triage.store.checks import Standing
from workers.probe import Seen
from workers.prober import AGAIN, judged, slot_at

SHOP = Check("shop", http="https://shop.example.org/health?key=1", severity=Severity.P1, labels={"service": "shop"})
START: Millis = 1_772_445_600_000
BAD = Seen("status", "HTTP 503, expected 200 to 299", 20)
GOOD = Seen(took=20)


class Line:
    """Looks one after the other, a minute apart."""

    def __init__(self, check: Check = SHOP) -> None:
        self.check = check
        self.now = START
        self.standing: Standing | None = None
        self.slot = 0

    def sees(self, seen: Seen, after: Millis = MINUTE) -> list[Event]:
        self.now += after
        self.slot += 1
        self.standing, events = judged(self.check, self.standing, seen, self.slot, self.now)
        return events


def said(events: list[Event]) -> list[tuple[str, str]]:
    return [(event.status.value, event.labels["alertname"]) for event in events]


def test_it_fails_when_so_many_looks_in_a_row_have_and_ends_when_so_many_pass() -> None:
    line = Line(Check("shop", http="http://x/", confirm=3, recover=2))
    line.sees(GOOD)
    assert [said(line.sees(one)) for one in (BAD, BAD, GOOD, BAD, BAD)] == [[]] * 5
    assert said(line.sees(BAD)) == [("firing", FAILED)]
    assert [said(line.sees(one)) for one in (BAD, GOOD, BAD, GOOD)] == [[]] * 4
    assert said(line.sees(GOOD)) == [("resolved", FAILED)]
    assert line.standing is not None
    assert (line.standing.looks, line.standing.failures) == (12, 7)


def test_the_first_look_ends_what_an_earlier_life_left_firing() -> None:
    line = Line()
    assert said(line.sees(GOOD)) == [("resolved", FAILED)]
    assert said(line.sees(GOOD)) == []


def test_what_still_fails_says_so_once_in_a_while_as_the_same_episode() -> None:
    line = Line()
    line.sees(BAD)
    (first,) = line.sees(BAD)
    told = [event for _ in range(59) for event in line.sees(BAD)]
    assert told == []
    (again,) = line.sees(BAD)
    assert (
        (again.fingerprint, again.starts_at)
        == (first.fingerprint, first.starts_at)
        == (first.fingerprint, START + MINUTE)
    )
    assert AGAIN == HOUR


def test_another_fault_is_told_at_once() -> None:
    line = Line()
    line.sees(BAD)
    line.sees(BAD)
    (event,) = line.sees(Seen("timeout", "no answer within 5s"))
    assert event.title == "Check shop fails: no answer within 5s"


def test_the_event_says_what_where_and_how_severe_and_shows_no_query() -> None:
    line = Line()
    line.sees(BAD)
    (event,) = line.sees(BAD)
    assert event.labels == {"service": "shop", "alertname": "CheckFailed", "check": "shop"}
    assert (event.raw_severity, event.kind.value, event.url) == ("P1", "check", "https://shop.example.org/health")
    assert event.annotations == {
        "description": "https://shop.example.org/health: HTTP 503, expected 200 to 299 (2 looks in a row).",
        "reason": "status",
    }


def test_a_certificate_that_ends_soon_is_an_alert_of_its_own_until_it_is_renewed() -> None:
    line = Line()
    line.sees(GOOD)
    near = START + 13 * DAY
    (event,) = line.sees(Seen(expires_at=near))
    assert said([event]) == [("firing", EXPIRES)]
    assert event.annotations["description"].endswith("its certificate ends in 12 days.")
    assert said(line.sees(Seen(expires_at=near))) == []
    assert said(line.sees(BAD)) == []  # no certificate was seen: nothing is known to have changed
    assert said(line.sees(BAD)) == [("firing", FAILED)]
    assert said(line.sees(Seen(expires_at=near), HOUR)) == [("resolved", FAILED), ("firing", EXPIRES)]
    assert said(line.sees(Seen(expires_at=START + 90 * DAY))) == [("resolved", EXPIRES)]


def test_an_end_that_is_no_matter_is_not_told() -> None:
    line = Line(Check("shop", http="https://x/", certificate_days=0))
    line.sees(GOOD)
    assert said(line.sees(Seen(expires_at=line.now + DAY))) == []


@given(name=st.text(min_size=1), every=st.integers(10 * SECOND, DAY), at=st.integers(START, START + DAY))
def test_each_interval_has_one_look_whenever_one_asks(name: str, every: Millis, at: Millis) -> None:
    check = Check(name, tcp="x:1", every=every)
    assert 0 <= slot_at(check, at + every) - slot_at(check, at) <= 2
    assert slot_at(check, at + 10 * every) - slot_at(check, at) in (9, 10, 11)
    assert slot_at(check, at) <= slot_at(check, at + 1)


def test_looks_are_spread_over_the_interval() -> None:
    checks = [Check(f"c{number}", tcp="x:1", every=MINUTE) for number in range(300)]
    due = [
        next(at for at in range(0, 2 * MINUTE, 500) if slot_at(one, START + at) > slot_at(one, START)) for one in checks
    ]
    by_second = [sum(second * 1_000 <= at < second * 1_000 + 5_000 for at in due) for second in range(0, 60, 5)]
    assert min(by_second) > 0
    assert max(by_second) < 80
