"""`tocsin work --only …`: one worker process."""

from __future__ import annotations

import asyncio
from typing import Final

from tocsin import settings as environment
from tocsin import starting
from tocsin.settings import Settings
from tocsin.trust import trust_store
from triage.store.retention import Retention
from workers import outbound, slack
from workers import run as processes
from workers.pace import Pace

DRAIN: Final = "drain"
DELIVER: Final = "deliver"
PROBE: Final = processes.PROBE
ARCHIVE: Final = "archive"


def run(settings: Settings, role: str) -> None:
    """Run one worker process, `drain`, `deliver` or `probe`, until SIGTERM. Raises trust.Refused."""
    asyncio.run(trust_store(settings))
    if role == DRAIN:
        processes.drain_process(settings.redis_url, retention_of(settings))
        return
    outbound.allow(filter(None, settings.outbound_allow.split(",")))
    if role == PROBE:
        processes.probe_process(settings.redis_url, environment.lookup)
    else:
        slack.use(settings.slack_api_url)
        secret = starting.link_secret(settings.storage_path, settings.web_link_secret)
        pace = Pace(settings.delivery_rate, settings.delivery_rates)
        url, external_url = settings.redis_url, settings.web_external_url
        processes.deliver_process(url, environment.lookup, external_url, secret, pace=pace, shadow=settings.shadow)


def retention_of(settings: Settings) -> Retention:
    """Return how much history stays in the store, and where the rest goes."""
    return Retention(
        keep_ms=settings.journal_retention,
        entries_max=settings.journal_max_entries,
        archive=settings.storage_path / ARCHIVE,
        bytes_max=settings.journal_max_bytes,
        archive_ms=settings.archive_retention,
        dead_letters_ms=settings.dead_letters_retention,
    )
