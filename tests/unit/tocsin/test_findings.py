"""From readings to findings: hysteresis, one message an hour, and the end told once."""

from __future__ import annotations

import msgspec
import pytest

from tocsin.findings import BEGIN, END, Finding, Findings, News, Reading, State
from triage.model import HOUR, MINUTE

ILL = Reading("timers", State.ILL, "late")
WELL = Reading("timers", State.WELL)
NEAR = Reading("timers", State.NEAR)
UNKNOWN = Reading("timers", State.UNKNOWN)


def after(findings: Findings, *readings: Reading, now: int = 0) -> News:
    for one in readings:
        findings.hear([one], now)
    return findings.news(now)


def test_one_bad_reading_is_no_finding_but_withholds_the_ping() -> None:
    findings = Findings()
    assert after(findings, ILL) == News({}, {})
    assert not findings.passed()
    assert after(findings, WELL) == News({}, {})
    assert findings.passed()
    assert findings.standings()["timers"].since is None


def test_bad_readings_in_a_row_are_told_with_their_words() -> None:
    findings = Findings()
    assert after(findings, *[ILL] * BEGIN, now=7) == News({"timers": "late"}, {})
    standing = findings.standings()["timers"]
    assert (standing.passed, standing.text, standing.since) == (False, "late", 7)


def test_it_is_told_once_an_hour_while_it_lasts() -> None:
    findings = Findings()
    findings.told(after(findings, *[ILL] * BEGIN, now=0), 0)
    assert after(findings, ILL, now=HOUR - 1) == News({}, {})
    assert after(findings, ILL, now=HOUR).trouble == {"timers": "late"}


def test_what_could_not_be_told_is_news_until_it_is() -> None:
    findings = Findings()
    after(findings, *[ILL] * BEGIN)
    assert after(findings, ILL, now=MINUTE).trouble == {"timers": "late"}


def test_its_end_takes_several_good_readings_and_is_told_once() -> None:
    findings = Findings()
    findings.told(after(findings, *[ILL] * BEGIN), 0)
    assert after(findings, *[WELL] * (END - 1)) == News({}, {})
    assert not findings.passed()
    news = after(findings, WELL)
    assert news == News({}, {"timers": "late"})
    findings.told(news, 0)
    assert findings.news(0) == News({}, {})
    assert findings.passed()


@pytest.mark.parametrize("between", [NEAR, UNKNOWN, ILL])
def test_what_is_not_well_begins_the_count_of_good_readings_anew(between: Reading) -> None:
    findings = Findings()
    findings.told(after(findings, *[ILL] * BEGIN), 0)
    assert after(findings, *[WELL] * (END - 1), between, *[WELL] * (END - 1)) == News({}, {})


def test_near_the_limit_passes_unless_it_was_beyond() -> None:
    findings = Findings()
    after(findings, NEAR)
    assert findings.passed()
    after(findings, *[ILL] * BEGIN, *[NEAR] * 9)
    assert not findings.passed()


def test_an_audit_that_could_not_be_made_has_not_passed() -> None:
    findings = Findings()
    after(findings, UNKNOWN)
    assert not findings.passed()
    assert findings.standings()["timers"].unknown
    assert not Findings().passed()


def test_a_finding_that_comes_and_goes_is_told_once_an_hour_with_each_end_it_owes() -> None:
    findings = Findings()
    findings.told(after(findings, *[ILL] * BEGIN, now=0), 0)
    findings.told(after(findings, *[WELL] * END, now=MINUTE), MINUTE)
    assert after(findings, *[ILL] * BEGIN, now=2 * MINUTE) == News({}, {})
    assert after(findings, *[WELL] * END, now=3 * MINUTE) == News({}, {})


def test_what_was_told_survives_a_restart() -> None:
    findings = Findings()
    findings.told(after(findings, *[ILL] * BEGIN), 0)
    kept = msgspec.json.decode(msgspec.json.encode(findings.memory), type=dict[str, Finding])
    again = Findings(kept)
    assert after(again, ILL, now=MINUTE) == News({}, {})
    assert after(again, *[WELL] * END, now=MINUTE).well == {"timers": "late"}
