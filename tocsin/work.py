"""`tocsin work --only …`: one worker process."""

from __future__ import annotations

import asyncio
from typing import Final

from tocsin import settings as environment
from tocsin.settings import Settings
from tocsin.trust import trust_store
from workers import run as processes

DRAIN: Final = "drain"
DELIVER: Final = "deliver"


def run(settings: Settings, role: str) -> None:
    """Run one worker process, `drain` or `deliver`, until SIGTERM. Raises trust.Refused."""
    asyncio.run(trust_store(settings))
    if role == DRAIN:
        processes.drain_process(settings.redis_url)
    else:
        processes.deliver_process(settings.redis_url, environment.lookup, settings.web_external_url)
