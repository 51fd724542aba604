"""What docs/connect-a-sender.md tells people to write is what the programs, and Tocsin, take."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ingest.adapter import Request
from ingest.adapters import load
from tests.conftest import program
from tests.real.programs import told
from tests.unit.ingest.adapters.samples import NOON, source
from triage.model import Status
from triage.rulebook import compile_files

PAGE = Path(__file__).parents[2] / "docs" / "connect-a-sender.md"


def blocks(section: str, language: str) -> list[str]:
    """Return the fenced blocks of one language in one section of the page."""
    found = re.search(rf"^## {re.escape(section)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None, section
    return re.findall(rf"^```{language}\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL)


@pytest.mark.needs("amtool")
async def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    [config] = blocks("Alertmanager", "yaml")
    (tmp_path / "alertmanager.yml").write_text(config)
    said = await told(program("amtool"), "check-config", str(tmp_path / "alertmanager.yml"))
    assert "SUCCESS" in said


@pytest.mark.needs("promtool")
async def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    [config] = blocks("Prometheus without Alertmanager", "yaml")
    (tmp_path / "prometheus.yml").write_text(config)
    assert "SUCCESS" in await told(program("promtool"), "check", "config", str(tmp_path / "prometheus.yml"))


def test_sources_compile() -> None:
    [sources] = blocks("Tokens", "yaml")
    compiled = compile_files({"sources.yaml": sources}).sources
    assert set(compiled) == {"alertmanager", "grafana", "batch"}


def test_own_json_is_read() -> None:
    single, pair = blocks("Anything else", "json")
    for body, statuses in ((single, [Status.FIRING]), (pair, [Status.FIRING, Status.RESOLVED])):
        found = load("generic").read(Request(source("generic"), NOON, body=body.encode()))
        assert [event.status for event in found.events] == statuses
        assert len({event.fingerprint for event in found.events}) == 1


def test_healthchecks_template_is_read() -> None:
    [template] = blocks("Healthchecks", "text")
    values = {"CODE": "c0de", "NAME_JSON": '"Nightly \\"backup\\""', "SLUG": "nightly", "STATUS": "down", "TAGS": "a b"}
    values |= {"NOW": "2026-05-12T11:59:00+00:00", "EXITSTATUS": "1", "BODY_JSON": '"no\\nspace"'}
    body = re.sub(r"\$([A-Z_]+)", lambda match: values[match[1]], template)
    [event] = load("healthchecks").read(Request(source("healthchecks"), NOON, body=body.encode())).events
    assert (event.status, event.labels["alertname"]) == (Status.FIRING, 'Nightly "backup"')


def test_uptimerobot_template_is_read() -> None:
    [template] = blocks("UptimeRobot", "text")
    values = {"monitorID": "77", "monitorFriendlyName": "Shop", "alertType": "2", "alertDateTime": "1778587000"}
    body = re.sub(r"\*(\w+)\*", lambda match: values.get(match[1], match[0]), template)
    [event] = load("uptimerobot").read(Request(source("uptimerobot"), NOON, body=body.encode())).events
    assert (event.status, event.labels["alertname"]) == (Status.RESOLVED, "Shop")


def test_uptime_kuma_headers_are_json() -> None:
    [headers] = blocks("Uptime Kuma", "json")
    assert json.loads(headers) == {"Authorization": "Bearer TOKEN"}
