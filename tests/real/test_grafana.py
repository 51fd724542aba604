"""Grafana's signed messages through the real door: right, wrong, replayed, unsigned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, cast

import pytest

from tests.stories.town import Town, town_at
from tests.unit.ingest.adapters.samples import request, source
from triage.model import MINUTE, Millis, Severity
from triage.store import keys

SIGNED_AT: Final[Millis] = 1_778_577_600_000
"""What the timestamped sample says: 2026-05-12T09:20:00Z."""
SECRET: Final = b"s3cr3t-dev-key"
SEVERITY: Final = """
rules:
  - name: steal
    matchers: ['alertname="CPU steal high"']
    severity: P1
    group_by: [instance]
"""
PLAIN, TIMESTAMPED = "hmac_plain.http", "hmac_with_timestamp.http"


@pytest.fixture
async def town(redis_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    """A town that knows Grafana's secret, at the time at which the sample was signed."""
    configured = [source("grafana", secret="${GRAFANA_HMAC}"), source("generic")]
    secrets = {"${GRAFANA_HMAC}": SECRET}
    async with town_at(
        redis_url, tmp_path, SEVERITY, configured=configured, resolve_secret=secrets.__getitem__
    ) as town:
        town.now = SIGNED_AT
        yield town


async def sends(town: Town, case: str, **changed: str) -> tuple[int, dict[str, Any]]:
    """Post a sample as Grafana does, with some headers changed (or left out, where empty), and let the workers run."""
    sample = request("grafana", case)
    headers = {name: value for name, value in {**sample.headers, **changed}.items() if value}
    assert town.session is not None
    url = f"{town.base}/v1/events/grafana"
    async with town.session.post(url, data=sample.body, headers=headers) as answer:
        said = await answer.json()
        town.accepted += said.get("accepted", 0)
        status = answer.status
    town.settle()
    return status, said


@pytest.mark.parametrize("case", [PLAIN, TIMESTAMPED])
async def test_rightly_signed_pages(town: Town, case: str) -> None:
    status, said = await sends(town, case)
    assert (status, said["accepted"]) == (202, 1)
    assert town.paged == ["ana"]
    assert town.incident.severity == Severity.P1


@pytest.mark.parametrize("case", [PLAIN, TIMESTAMPED])
@pytest.mark.parametrize("signature", ["0" * 64, "", "\u00e9"])
async def test_wrongly_signed_or_unsigned_leaves_nothing_behind(town: Town, case: str, signature: str) -> None:
    status, said = await sends(town, case, **{"x-grafana-alerting-signature": signature})
    assert status == 401
    assert "signature" in said["detail"].lower()
    assert (town.messages, town.incidents, town.accepted) == ([], [], 0)
    kinds = [fields[b"k"] for _, fields in cast("Any", town.client.xrange(keys.JOURNAL))]
    assert [kind for kind in kinds if kind != b"tick"] == [b"rules"]


async def test_a_body_changed_on_its_way_is_refused(town: Town) -> None:
    sample = request("grafana", PLAIN)
    assert town.session is not None
    body = sample.body.replace(b"vm-31", b"vm-32")
    async with town.session.post(f"{town.base}/v1/events/grafana", data=body, headers=sample.headers) as answer:
        assert answer.status == 401
    town.settle()
    assert town.messages == []


async def test_a_replay_with_its_old_timestamp_is_refused(town: Town) -> None:
    town.now += 6 * MINUTE
    status, said = await sends(town, TIMESTAMPED)
    assert status == 401
    assert "more than five minutes off" in said["detail"]
    assert town.messages == []


async def test_a_replay_whose_timestamp_was_freshened_is_refused(town: Town) -> None:
    town.now += 6 * MINUTE
    status, _ = await sends(town, TIMESTAMPED, **{"x-grafana-alerting-timestamp": str(town.now // 1_000)})
    assert status == 401
    assert town.messages == []


async def test_a_replay_without_timestamp_is_a_repeat_that_pages_nobody(town: Town) -> None:
    await sends(town, PLAIN)
    town.now += 4 * MINUTE
    assert (await sends(town, PLAIN))[0] == 202
    assert town.paged == ["ana"]
    assert town.incident.alerts == 1
