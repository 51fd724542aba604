"""The first thing every server process does: wait for the store, and refuse one that would lose accepted events."""

from __future__ import annotations

import asyncio

import redis
import structlog

from tocsin.settings import Settings
from triage.store.client import connect
from triage.store.preflight import Refusal, inspect

log = structlog.get_logger("store")


class Refused(RuntimeError):
    """This process must not run like this; starting it again would not help. The message says what to do."""


async def trust_store(settings: Settings) -> list[Refusal]:
    """Wait until the store answers, and return the losses that the operator accepted. Raises Refused."""
    client = connect(settings.redis_url)
    pause_s = 0.2
    try:
        while True:
            try:
                found = await asyncio.to_thread(inspect, client)
                break
            except redis.AuthenticationError as error:
                raise Refused(f"the store of --redis.url (TOCSIN_REDIS_URL) refuses this user: {error}") from None
            except (redis.RedisError, OSError) as error:
                log.warning("the store does not answer; trying again", error=str(error), pause_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)
    finally:
        client.close()
    if found and not settings.accept_data_loss:
        reasons = "".join(f"\n  * {refusal}" for refusal in found)
        raise Refused(
            f"this store would lose events that were already accepted:{reasons}\n"
            "Mend it, or start with --accept-data-loss if losing them is acceptable; /-/ready will say so."
        )
    for refusal in found:
        log.warning("data loss is accepted", setting=refusal.setting, value=refusal.value, why=refusal.why)
    return found
