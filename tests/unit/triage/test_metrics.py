"""When the metrics of an incident are read, what is asked, and what is kept of it."""

from __future__ import annotations

from typing import cast
from urllib.parse import quote

import msgspec

from tests.unit.triage.stage import FILES, START, Stage, alert, report
from triage.curves import figure, listed, sentence
from triage.measured import Measures, Query, Snapshot
from triage.memory import METRICS
from triage.metrics import (
    AFTER_ONSET,
    AFTER_RECOVERY,
    AGAIN,
    BEFORE,
    POINTS_MAX,
    STEP_MIN,
    TAKEN_WITHIN,
    TRIES_MAX,
)
from triage.model import HOUR, MINUTE, Around, Command, Curve, Measured, Millis, Phase, Verb

METRICS_YAML = 'prometheus: {main: {url: "http://prometheus:9090"}}\n'
EXPRESSION = 'rate(errors{service="shop"}[5m]) > 0.5'


def stage(**files: str) -> Stage:
    named = {f"{name}.yaml": text for name, text in files.items()}
    return Stage(files={**FILES, "metrics.yaml": METRICS_YAML, **named})


def fires(made: Stage, expression: str = EXPRESSION, service: str = "shop", severity: str = "critical") -> None:
    link = f"http://prom-0:9090/graph?g0.expr={quote(expression)}" if expression else ""
    made.events("am", [msgspec.structs.replace(alert(service=service, severity=severity), url=link)])


def measures(made: Stage) -> Measures:
    return cast("Measures", made.memory.values[(METRICS, made.incident.key)])


def wanted(made: Stage) -> tuple[Around, Millis, Millis] | None:
    known = measures(made).wanted
    if known is None:
        return None
    begins = next(
        one for one in (START - BEFORE, known.end - BEFORE - AFTER_RECOVERY) if 0 <= one - known.start < known.step
    )
    return known.around, begins - START, known.end - START


def reads(made: Stage, *curves: Curve, fault: str = "") -> None:
    asked = measures(made).wanted
    assert asked is not None
    body = Measured(made.incident.key, asked.around, asked.at, asked.start, asked.step, curves, fault=fault)
    made.append(body)


def lines(made: Stage) -> list[str]:
    return [line.text for line in made.lines(made.incident.key) if line.what == "metrics"]


QUERY_SHOWN = EXPRESSION.partition(" > ")[0]
HIGH = Curve({"service": "shop"}, (0.1, 0.1, 0.9, 0.7))


def test_it_is_read_at_once_again_half_an_hour_later_and_after_recovery() -> None:
    made = stage()
    fires(made)
    query = measures(made).query
    assert (query.url, query.text, query.origin) == ("http://prometheus:9090", EXPRESSION, "the alert")
    assert (query.curve, query.sign, query.threshold) == ('rate(errors{service="shop"}[5m])', ">", 0.5)
    assert wanted(made) == (Around.ONSET, -BEFORE, 0)
    reads(made, HIGH)
    assert wanted(made) is None
    made.advance(AFTER_ONSET)
    assert wanted(made) == (Around.ONSET, -BEFORE, AFTER_ONSET)
    reads(made, HIGH)
    made.minutes(30)
    made.ends()
    assert made.incident.phase is Phase.MONITORING
    assert wanted(made) is None
    made.advance(AFTER_RECOVERY)
    assert wanted(made) == (Around.RECOVERY, -BEFORE, HOUR + AFTER_RECOVERY)
    reads(made, HIGH)
    made.minutes(120)
    assert wanted(made) is None
    assert [one.around for one in measures(made).snapshots] == [Around.ONSET, Around.RECOVERY]
    assert len(lines(made)) == 2, "the second reading of the onset says nothing new"
    assert "highest 0.9 at" in lines(made)[0]


def test_a_long_incident_is_not_read_whole_and_no_reading_has_more_steps_than_are_kept() -> None:
    made = stage()
    fires(made)
    reads(made, HIGH)
    made.advance(AFTER_ONSET)
    reads(made, HIGH)
    made.minutes(10 * 60)
    made.ends()
    made.advance(AFTER_RECOVERY)
    around, start, end = wanted(made) or (None, 0, 0)
    assert (around, end - start) == (Around.RECOVERY, BEFORE + AFTER_RECOVERY)
    asked = measures(made).wanted
    assert asked is not None
    assert asked.step >= STEP_MIN
    assert (asked.end - asked.start) // asked.step <= POINTS_MAX


def test_a_reading_that_fails_or_that_nobody_makes_says_why_and_comes_again_for_what_is_later() -> None:
    made = stage()
    fires(made)
    for _ in range(1 + TRIES_MAX):
        assert wanted(made) is not None
        reads(made, fault="the connection was refused")
        made.advance(AGAIN)
    assert "could not be read: the connection was refused" in lines(made)[0]
    assert wanted(made) is None, "it is left at that until half an hour is over"
    made.advance(AFTER_ONSET)
    assert wanted(made) is not None
    made.advance(TAKEN_WITHIN)
    assert "no worker read it within 10 min" in lines(made)[-1]
    onset = measures(made).onset
    assert wanted(made) is None
    assert onset is not None
    assert "no worker" in onset.fault
    late = Measured(made.incident.key, Around.ONSET, START + AFTER_ONSET, START, 15_000, (HIGH,))
    made.append(late)
    assert measures(made).onset == onset, "too late: nobody waits for it"


def test_a_prometheus_that_is_back_after_a_moment_is_asked_again() -> None:
    made = stage()
    fires(made)
    reads(made, fault="HTTP 503")
    assert wanted(made) is None
    made.advance(AGAIN)
    assert (wanted(made) or ("",))[0] is Around.ONSET
    reads(made, HIGH)
    assert wanted(made) is None
    assert [text.partition(":")[0] for text in lines(made)] == [EXPRESSION + " could not be read", QUERY_SHOWN]
    made.advance(AFTER_ONSET - AGAIN)
    assert wanted(made) == (Around.ONSET, -BEFORE, AFTER_ONSET)


def test_a_later_failure_does_not_replace_what_was_read() -> None:
    made = stage()
    fires(made)
    reads(made, HIGH)
    made.advance(AFTER_ONSET)
    reads(made, fault="HTTP 503")
    onset = measures(made).onset
    assert onset is not None
    assert onset.curves == (HIGH,)
    assert "HTTP 503" in lines(made)[-1]


def test_paging_does_not_wait_for_it() -> None:
    made = stage()
    fires(made)
    assert wanted(made) is not None
    assert made.paged == ["ana"]


def test_only_severities_that_are_named_are_read_and_one_that_is_raised_is_read_then() -> None:
    made = stage()
    fires(made, severity="warning")
    assert (made.incident.severity.name, wanted(made)) == ("P3", None)
    quiet = stage(metrics=f"{METRICS_YAML}severities: [P0]\n")
    fires(quiet)
    quiet.minutes(60)
    assert (wanted(quiet), lines(quiet)) == (None, [])
    quiet.append(_severity(quiet, "P0"))
    assert wanted(quiet) is not None
    quiet.ends()


def _severity(made: Stage, to: str) -> Command:
    return Command(Verb.SEVERITY, made.incident.key, "ana", "test", "worse than it looked", data={"to": to})


def test_a_rule_comes_before_the_alert_and_the_service_after_it() -> None:
    drawn = "- {name: drawn, matchers: [], continue: true, metrics: {query: 'lag{service=\"{service}\"}'}}"
    rules = FILES["severity.yaml"].replace("  - name: by word\n", f"  {drawn}\n  - name: by word\n")
    by_rule = stage(severity=rules)
    fires(by_rule, service='a"b')
    query = measures(by_rule).query
    assert (query.text, query.origin) == ('lag{service="a\\"b"}', "rule “drawn”")
    services = "services: {shop: {metrics: {query: 'up < 1'}}}\n"
    by_service = stage(services=services)
    fires(by_service, expression="")
    assert (measures(by_service).query.curve, measures(by_service).query.origin) == ("up", "service “shop”")
    by_alert = stage(services=services)
    fires(by_alert)
    assert measures(by_alert).query.origin == "the alert"


def test_what_cannot_be_asked_says_why() -> None:
    made = stage(services="services: {shop: {metrics: {query: 'up{pod=\"{pod}\"}'}}}\n")
    fires(made, expression="")
    assert (METRICS, made.incident.key) not in made.memory.values
    assert lines(made) == ["not read: service “shop” has {pod} in its query, and the alert has no such label"]


def test_without_a_prometheus_nothing_is_asked() -> None:
    made = Stage()
    fires(made)
    assert not [key for key in made.memory.values if key[0] == METRICS]
    assert not [name for name in made.memory.timers if name.startswith("measure:")]


def test_an_incident_that_opens_again_is_read_when_it_is_over_again() -> None:
    made = stage()
    fires(made)
    reads(made, HIGH)
    made.minutes(5)
    made.ends()
    made.minutes(5)
    fires(made)
    made.minutes(15)
    assert wanted(made) is None, "it was not over: its recovery is not read"
    made.minutes(5)
    assert (wanted(made) or ("",))[0] is Around.ONSET
    reads(made, HIGH)
    made.ends()
    made.advance(AFTER_RECOVERY)
    assert (wanted(made) or ("",))[0] is Around.RECOVERY


def test_what_was_read_goes_along_with_a_merge_and_is_forgotten_with_its_incident() -> None:
    made = stage()
    fires(made)
    reads(made, HIGH)
    made.fires("Other", service="search")
    shop, search = made.incidents
    made.append(Command(Verb.MERGE, shop.key, "ana", "test", data={"other": search.key}))
    assert (METRICS, shop.key) not in made.memory.values
    kept = cast("Measures", made.memory.values[(METRICS, search.key)])
    assert kept.onset is not None
    assert kept.onset.curves == (HIGH,)
    made.command(Verb.RESOLVE, search.key, "ana", confirm=True)
    made.minutes(200 * 24 * 60)
    assert not [key for key in made.memory.values if key[0] == METRICS]
    assert not [name for name in made.memory.timers if name.startswith("measure:")]


def test_no_expression_in_a_link_costs_the_page() -> None:
    made = stage()
    fires(made, "up > 1_")
    assert made.paged == ["ana"]


def test_the_link_of_a_users_report_is_never_asked_for() -> None:
    made = stage()
    told = msgspec.structs.replace(
        report("it hurts", "p0"), url="http://prom/graph?g0.expr=count(%7B__name__%3D~%22.%2B%22%7D)"
    )
    made.events("report", [told])
    assert made.incident.title == "it hurts"
    assert not [key for key in made.memory.values if key[0] == METRICS]


def test_merged_into_a_lesser_one_whose_metrics_nobody_reads_nothing_is_lost() -> None:
    made = stage()
    fires(made)
    reads(made, HIGH)
    fires(made, service="search", severity="info")
    shop, search = made.incidents
    assert cast("Measures", made.memory.values[(METRICS, search.key)]).snapshots == []
    made.append(Command(Verb.MERGE, shop.key, "ana", "test", data={"other": search.key}))
    kept = cast("Measures", made.memory.values[(METRICS, search.key)])
    assert kept.onset is not None
    assert kept.onset.curves == (HIGH,)


# --------------------------------------------------------------------------------------------------------------------
# In words.

QUERY = Query("main", "http://p", {}, "x > 0.5", "x", ">", 0.5)


def snap(*values: float | None, query: Query = QUERY, whole: bool = False, left_out: int = 0) -> tuple[Query, Snapshot]:
    curves = (Curve({"pod": "a"}, values),)
    end = START + (len(values) - 1) * MINUTE
    return query, Snapshot(Around.ONSET, START, end, MINUTE, end, curves, left_out, whole)


def test_a_sentence_says_the_peak_and_when_it_crossed() -> None:
    assert sentence(*snap(0.1, 0.2, 0.8, 1.5, 0.3)) == (
        "x: highest 1.5 at 10:03 UTC, > 0.5 since 10:02 UTC, no longer from 10:04 UTC on"
    )
    assert sentence(*snap(0.6, 0.2, 0.8, 0.1, 0.9)) == (
        "x: highest 0.9 at 10:04 UTC, > 0.5 3 times, first before, last since 10:04 UTC"
    )
    assert sentence(*snap(0.1, 0.8, 0.1, 0.9, 0.2)).endswith(
        "> 0.5 2 times, first at 10:01 UTC, last since 10:03 UTC, no longer from 10:04 UTC on"
    )
    assert sentence(*snap(0.9, 1.2)) == "x: highest 1.2 at 10:01 UTC, > 0.5 already before"
    assert sentence(*snap(0.1, None, 0.2)) == "x: highest 0.2 at 10:02 UTC, never > 0.5"
    assert "no values from 10:00 UTC" in sentence(*snap(None, None))
    low = msgspec.structs.replace(QUERY, text="x < 0.5", sign="<")
    assert sentence(*snap(1, 0.25, 1, query=low)).startswith("x: lowest 0.25 at 10:01 UTC, < 0.5 since 10:01 UTC")
    unknown = msgspec.structs.replace(QUERY, text="x", sign="", threshold=None)
    assert sentence(*snap(1, 2, query=unknown, left_out=3)) == "x: highest 2 at 10:01 UTC (3 more series)"
    assert "what it fires at since 10:01 UTC" in sentence(*snap(None, 2, query=unknown, whole=True))


def test_several_curves_are_told_one_by_one() -> None:
    query, one = snap(0.1, 0.9)
    many = msgspec.structs.replace(one, curves=tuple(Curve({"pod": f"p{i}"}, (0.1, 0.9)) for i in range(5)), left_out=2)
    told = listed(query, many)
    assert told[0].startswith("x of pod=p0: highest 0.9")
    assert (len(told), told[-1]) == (4, "4 more series")


def test_figures_are_short() -> None:
    assert [figure(one) for one in (0, 0.0321, 12, 1536, -2.5e9, 1e18)] == [
        "0", "0.0321", "12", "1.536 k", "-2.5 G", "1e+18",
    ]  # fmt: skip
