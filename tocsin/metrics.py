"""`/metrics`: read from the store at each scrape: counters survive restarts, and every receiver says the same."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ingest.stats import BUCKETS_S, DoorStats
from tocsin import __version__
from triage.model import Ending, Incident, Millis, Rules
from triage.store import checks, queries, standing, watching

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
WORKER_SILENT_MS: Final[Millis] = 30_000
"""A worker that gave no sign of life for this long counts as gone."""


class _Scrape(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        yield from self._families


async def scrape(client: queries.Client, stats: DoorStats) -> bytes:
    """Return the metrics in Prometheus' text format. Raises one of `queries.DOWN` when the store does not answer."""
    now = time.time_ns() // 1_000_000
    ledger = await standing.ledger(client)
    vitals = await standing.vitals(client)
    rules = await standing.rules(client)
    workers = await standing.workers(client)
    incidents, _ = await queries.open_incidents(client)
    families = [
        *_build(),
        *_ledger(ledger),
        *_vitals(vitals, now),
        *_rules(rules),
        *_incidents(incidents),
        *_workers(workers, now),
        *_audits(await watching.reports(client)),
        *_checks(await checks.standings(client)),
        *_door(stats),
    ]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(families))
    return generate_latest(registry)


def _build() -> Iterator[Metric]:
    yield InfoMetricFamily(
        "tocsin_build", "What runs here.", {"version": __version__, "python": platform.python_version()}
    )


def _counter(name: str, help_: str, labels: list[str], counts: dict[str, int]) -> Metric:
    """Return a counter from ledger counts, whose keys are the label values joined by `/`."""
    family = CounterMetricFamily(name, help_, labels=labels)
    for key, count in sorted(counts.items()):
        values = key.split("/", len(labels) - 1)
        family.add_metric(values + [""] * (len(labels) - len(values)), count)
    return family


def _ledger(view: standing.LedgerView) -> Iterator[Metric]:
    ledger = view.ledger
    yield CounterMetricFamily("tocsin_events_accepted", "Events answered with 202, ever.", value=view.accepted)
    yield GaugeMetricFamily(
        "tocsin_journal_undecided", "Accepted events that triage has not decided.", value=view.undecided
    )
    yield _counter("tocsin_events", "Decided events by outcome and reason.", ["outcome", "reason"], ledger.outcomes)
    yield _counter(
        "tocsin_alerts_received", "Decided events by source and status.", ["source", "status"], ledger.sources
    )
    yield from _deliveries(ledger.deliveries)
    yield _counter("tocsin_dead_letters", "Bodies that could not be read, by source.", ["source"], ledger.dead_letters)


def _deliveries(counts: dict[str, int]) -> Iterator[Metric]:
    """Attempts by channel, and those that failed by reason, as Alertmanager names them."""
    attempts: Counter[str] = Counter()
    failed: dict[str, int] = {}
    for key, count in counts.items():
        channel, _, ending = key.partition("/")
        if ending == Ending.HANDED_OVER:
            continue  # it is counted when the provider says what became of it
        attempts[channel] += count
        if not Ending(ending).told:
            failed[key] = count
    yield _counter("tocsin_notifications", "Attempts to tell somebody.", ["channel"], attempts)
    yield _counter("tocsin_notifications_failed", "Attempts that failed.", ["channel", "reason"], failed)


def _vitals(vitals: standing.Vitals, now: Millis) -> Iterator[Metric]:
    lag_ms = max(0, now - vitals.due_at) if vitals.due_at is not None else 0
    yield GaugeMetricFamily("tocsin_triage_lease_held", "1 while a drain holds the journal.", value=vitals.lease_held)
    yield GaugeMetricFamily("tocsin_timers_pending", "Timers that are set.", value=vitals.timers)
    yield GaugeMetricFamily("tocsin_timer_lag_seconds", "How long the soonest timer is overdue.", value=lag_ms / 1000)
    yield GaugeMetricFamily("tocsin_effects_pending", "Messages that still have to be sent.", value=vitals.effects)
    yield GaugeMetricFamily("tocsin_alerts_remembered", "Alerts in memory, firing or not.", value=vitals.remembered)
    yield GaugeMetricFamily("tocsin_journal_entries", "Journal entries in the store.", value=vitals.journal)


def _rules(rules: Rules | None) -> Iterator[Metric]:
    good = rules is not None and not rules.refused
    yield GaugeMetricFamily(
        "tocsin_config_last_reload_successful", "1 if the last change of the rules was taken.", value=good
    )
    loaded_s = rules.loaded_at / 1000 if rules is not None else 0
    yield GaugeMetricFamily(
        "tocsin_config_last_reload_success_timestamp_seconds", "When the rules in force were loaded.", value=loaded_s
    )


def _incidents(incidents: list[Incident]) -> Iterator[Metric]:
    family = GaugeMetricFamily("tocsin_incidents", "Open incidents.", labels=["phase", "severity"])
    for (phase, severity), count in sorted(Counter((one.phase.value, one.severity.name) for one in incidents).items()):
        family.add_metric([phase, severity], count)
    yield family


def _workers(workers: list[standing.Worker], now: Millis) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "tocsin_workers", "Workers that gave a sign of life lately, by what they do.", labels=["role"]
    )
    for role, count in sorted(Counter(one.role for one in workers if now - one.seen_at < WORKER_SILENT_MS).items()):
        family.add_metric([role], count)
    yield family


def _audits(reports: dict[str, watching.Report]) -> Iterator[Metric]:
    """Yield what each machine's self-watch found."""
    passed = GaugeMetricFamily("tocsin_audit_passed", "1 if this audit passes.", labels=["machine", "audit"])
    known = GaugeMetricFamily("tocsin_audit_known", "1 if this audit could be made.", labels=["machine", "audit"])
    rounds = GaugeMetricFamily("tocsin_audit_timestamp_seconds", "When the self-watch last looked.", labels=["machine"])
    path = GaugeMetricFamily("tocsin_audit_path_works", "1 if its second path has no fault.", labels=["machine"])
    pings = GaugeMetricFamily("tocsin_audit_ping_timestamp_seconds", "When its last ping arrived.", labels=["machine"])
    for machine, report in reports.items():
        for audit, one in report.audits.items():
            passed.add_metric([machine, audit], one.passed)
            known.add_metric([machine, audit], not one.unknown)
        rounds.add_metric([machine], report.at / 1000)
        path.add_metric([machine], not report.path)
        if report.ping_at is not None:
            pings.add_metric([machine], report.ping_at / 1000)
    yield from (passed, known, rounds, path, pings)


def _checks(standings: dict[str, checks.Standing]) -> Iterator[Metric]:
    """Yield how own checks stand; the rules bound how many there are."""
    up = GaugeMetricFamily("tocsin_check_success", "1 if the last look of a check passed.", labels=["check"])
    at = GaugeMetricFamily("tocsin_check_timestamp_seconds", "When a check was last looked at.", labels=["check"])
    took = GaugeMetricFamily("tocsin_check_duration_seconds", "How long the last look took.", labels=["check"])
    ends = GaugeMetricFamily("tocsin_check_certificate_end_seconds", "When its certificate ends.", labels=["check"])
    looks = CounterMetricFamily("tocsin_check_looks", "Looks of a check.", labels=["check"])
    failures = CounterMetricFamily("tocsin_check_failures", "Looks of a check that failed.", labels=["check"])
    for name, one in standings.items():
        up.add_metric([name], not one.failing)
        at.add_metric([name], one.at / 1000)
        took.add_metric([name], one.took / 1000)
        looks.add_metric([name], one.looks)
        failures.add_metric([name], one.failures)
        if one.expires_at is not None:
            ends.add_metric([name], one.expires_at / 1000)
    yield from (up, at, took, ends, looks, failures)


def _door(stats: DoorStats) -> Iterator[Metric]:
    """Yield what this one receiver counted since it started."""
    requests = CounterMetricFamily("tocsin_http_requests", "Requests of senders.", labels=["source", "code"])
    for (source, status), count in sorted(stats.requests.items()):
        requests.add_metric([source, str(status)], count)
    yield requests
    refused = CounterMetricFamily("tocsin_requests_refused", "Requests refused, by kind.", labels=["source", "kind"])
    for (source, kind), count in sorted(stats.refused.items()):
        refused.add_metric([source, kind], count)
    yield refused
    buckets, total = [], 0
    for bound, count in zip([*map(str, BUCKETS_S), "+Inf"], stats.buckets, strict=True):
        total += count
        buckets.append((bound, total))
    yield HistogramMetricFamily(
        "tocsin_http_request_duration_seconds", "Time to answer senders.", buckets=buckets, sum_value=stats.seconds
    )
    closed = CounterMetricFamily("tocsin_connections_refused", "Connections closed by a limit.", labels=["limit"])
    closed.add_metric(["web.max-connections"], stats.connections_refused)
    closed.add_metric(["web.header-timeout"], stats.slow_headers)
    yield closed
