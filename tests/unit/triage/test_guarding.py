"""What only informs of an incident costs no page when it fails."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.triage.stage import Stage
from triage import changes, metrics, promise, publishing, recalling
from triage.memory import METRICS
from triage.model import Outcome, Severity


def fails(scene: Any, incident: Any, *_: Any) -> None:
    """Fail after having changed things, as a fault of ours would."""
    incident.changed = "half done"
    scene.line(incident, "half", "half done")
    raise ZeroDivisionError("of a curve")


@pytest.mark.parametrize(("module", "name"), [(changes, "onset"), (recalling, "onset"), (metrics, "begin")])
def test_an_incident_opens_and_pages_without_what_fails(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    monkeypatch.setattr(module, name, fails)
    stage = Stage()
    assert stage.fires().outcome is Outcome.OPENED
    assert stage.paged == ["ana"]
    assert stage.incident.changed == ""
    assert "half" not in stage.whats(stage.incident)
    assert any("Could not decide" in title for person, title in stage.told if person == "eve")


@pytest.mark.parametrize(("module", "name"), [(changes, "trouble"), (promise, "tighten"), (metrics, "raised")])
def test_a_severity_is_raised_and_pages_without_what_fails(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    stage = Stage()
    stage.fires(severity="info")
    assert stage.paged == []
    monkeypatch.setattr(module, name, fails)
    assert stage.fires("Slow", severity="outage").outcome is Outcome.ATTACHED
    assert stage.incident.severity is Severity.P0
    assert stage.paged == ["ana"]


@pytest.mark.parametrize(("module", "name"), [(publishing, "opened_again"), (metrics, "moved")])
def test_it_opens_again_and_pages_without_what_fails(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> None:
    stage = Stage()
    stage.fires()
    stage.ends()
    monkeypatch.setattr(module, name, fails)
    stage.minutes(10)
    assert stage.fires().outcome is Outcome.REOPENED
    assert stage.paged == ["ana", "ana"]


def test_what_succeeds_is_found_in_the_incident_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(scene: Any, incident: Any) -> None:
        incident.changed = "deploy of v2, 3 min before"
        scene.draft.put((METRICS, incident.key), None)

    monkeypatch.setattr(changes, "onset", notes)
    stage = Stage()
    stage.fires()
    assert stage.incident.changed == "deploy of v2, 3 min before"
    assert stage.pages[0].facts["changed"] == "deploy of v2, 3 min before"
