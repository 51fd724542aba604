"""How status updates read: the shipped templates, the operators' own, and what a broken one gives way to."""

from __future__ import annotations

from pathlib import Path

from desk import statements
from triage.model import Incident, Phase, Severity
from triage.status import Audience, Standing, StatusUpdate

RULES = Path(__file__).parents[3] / "rules"
AT = 1_772_445_600_000  # 2026-03-02, 10:00 UTC


def incident() -> Incident:
    return Incident(
        key="k3m7qaxxxxxxxxxxxxxxxxxxxx",
        group="[]",
        title="Down",
        service="shop",
        severity=Severity.P0,
        phase=Phase.TRIAGED,
        policy="default",
        runbook="",
        rule="",
        opened_at=AT,
        opened_by="1-0/0",
        changed_at=AT,
    )


def update(text: str, minutes: int = 0, audience: Audience = Audience.COMPANY, **more: str | int) -> StatusUpdate:
    at = AT + minutes * 60_000
    status = Standing.IDENTIFIED
    return StatusUpdate("u1", at, "ana", audience, status, "Checkout is down", text, **more)  # type: ignore[arg-type]


def test_the_shipped_one_reads_as_it_is_written_down() -> None:
    made = update("Rolling back.", 20, impact="No orders", eta=AT + 3_600_000, next_at=AT + 3_000_000)
    earlier = [update("Looking."), update("for others", 5, Audience.PUBLIC), update("A bad deploy.", 10)]
    text = statements.rendered({}, incident(), made, earlier, "shop")
    assert text.splitlines() == [
        "[INCIDENT] Checkout is down",
        "Status: Identified",
        "Impact: No orders",
        "ETA: 2026-03-02 11:00 UTC",
        "Updates:",
        "  2026-03-02 10:20 UTC: Rolling back.",
        "  2026-03-02 10:10 UTC: A bad deploy.",
        "  2026-03-02 10:00 UTC: Looking.",
        "Next update: 2026-03-02 10:50 UTC",
    ]


def test_what_nobody_knows_is_said_to_be_unknown() -> None:
    lines = statements.rendered({}, incident(), update("Looking."), [], "").splitlines()
    assert lines[2:4] == ["Impact: being assessed", "ETA: not known yet"]
    assert lines[-1] == "Next update: when there is news"


def test_the_shipped_files_are_the_built_in_one() -> None:
    shipped = {path.name: path.read_text("utf-8") for path in (RULES / "templates" / "updates").iterdir()}
    assert shipped == {f"{audience}.txt": statements.BUILT_IN for audience in Audience}


def test_each_audience_has_its_own_template_and_the_public_no_inner_words() -> None:
    own = "{{ title }} {{ severity }} {{ incident }} {{ service }}"
    files = {f"templates/updates/{audience}.txt": own for audience in ("company", "public")}
    assert statements.rendered(files, incident(), update("x"), [], "shop") == "Checkout is down P0 k3m7qa shop"
    public = update("x", audience=Audience.PUBLIC)
    assert statements.rendered(files, incident(), public, [], "Web shop").split() == [
        *("Checkout", "is", "down", "Web", "shop"),
    ]


def test_a_template_that_cannot_be_used_gives_way_to_the_built_in_one() -> None:
    for source in ("{{ nothing_of_that_name }}", "{% set x = 1 %}", "{{ title | truncate(title) }}", "{{"):
        files = {"templates/updates/company.txt": source}
        assert statements.rendered(files, incident(), update("x"), [], "").startswith("[INCIDENT] Checkout is down")


def test_hostile_text_is_text() -> None:
    text = statements.rendered({}, incident(), update("{{ title }} {% for x in y %}"), [], "")
    assert "{{ title }} {% for x in y %}" in text


def test_check_finds_faults_with_file_and_line_and_files_that_are_not_used() -> None:
    files = {
        "templates/updates/company.txt": "fine\n{{ secret }}",
        "templates/updates/pubic.txt": "x",
        "templates/default.page.txt": "{{ secret }}",
    }
    found = statements.check(files)
    assert [(one.path, one.line, one.severity) for one in found] == [
        ("templates/updates/company.txt", 2, "error"),
        ("templates/updates/pubic.txt", 1, "warning"),
    ]
    assert "public" in found[1].hint
