"""Runbooks and procedures of an incident: over the API, in the view, on the command line, and on the timeline."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner

from desk import guides
from tests.store.desk_support import RULES, TOKEN, Town, event, town
from tocsin.cli import main
from triage.rulebook import compile_files
from triage.store import queries

RUNBOOK = """# Checkout on {{ instance }}

## Symptoms

Customers cannot pay: <script>alert(1)</script>

## Investigation

- [ ] Look at the log of {{ instance }}:

  ```sh
  ssh {{ instance }} tail /var/log/checkout
  ```

## Mitigation

- [ ] Roll back

## Resolution

- [ ] Watch for an hour
"""
SERVICES = """
services:
  checkout:
    runbook: runbooks/checkout.md
    dashboards: {Overview: "https://grafana.example.org/d/checkout"}
"""
FILES = {
    **RULES,
    "services.yaml": SERVICES,
    "runbooks/checkout.md": RUNBOOK,
    "procedures/1-detect.md": "# 1 Detect\n\n- [ ] Acknowledge\n",
    "procedures/2-triage.md": "# 2 Triage\n\n- [ ] Who is affected?\n",
}


async def opened(here: Town, instance: str = "node-1:80", service: str = "checkout") -> str:
    """Open an incident by an alert of this instance; return its short id."""
    await here.load(FILES)
    await here.send(event(alertname="Down", service=service, region="eu", instance=instance))
    found = await here.get("/incidents")
    return str(found["items"][0]["id"])


async def test_the_guide_is_the_runbook_the_procedure_of_the_phase_and_dashboards(redis_url: str) -> None:
    async with town(redis_url) as here:
        one = await opened(here)
        guide = await here.get(f"/incidents/{one}/guide")
        assert guide["dashboards"] == [{"title": "Overview", "url": "https://grafana.example.org/d/checkout"}]
        assert (guide["runbook"]["title"], guide["procedure"]["title"]) == ("Checkout on node-1:80", "1 Detect")
        sections = {section["name"]: section["pieces"] for section in guide["runbook"]["sections"]}
        assert list(sections) == ["Symptoms", "Investigation", "Mitigation", "Resolution"]
        (look,) = sections["Investigation"]
        assert "ssh node-1:80 tail" in look["step"]["text"]
        async with here.draining():
            assert (await here.ask("POST", f"/incidents/{one}/acknowledge"))[0] == 200
        assert (await here.get(f"/incidents/{one}/guide"))["procedure"]["title"] == "2 Triage"


async def test_a_step_is_checked_off_once_and_lands_on_the_timeline(redis_url: str) -> None:
    async with town(redis_url) as here:
        one = await opened(here)
        guide = await here.get(f"/incidents/{one}/guide")
        step = guide["runbook"]["sections"][2]["pieces"][0]["step"]
        assert (step["text"], step["number"], step["done_by"]) == ("Roll back", 2, None)
        async with here.draining():
            status, done = await here.ask(
                "POST", f"/incidents/{one}/check", json={"step": step["id"], "text": "to v41"}
            )
            assert (status, done["text"]) == (200, "checked off"), done
            _, again = await here.ask("POST", f"/incidents/{one}/check", json={"step": step["id"]})
            assert again["text"] == "admin has checked it off already"
            status, refused = await here.ask("POST", f"/incidents/{one}/check", json={"step": "aaaaaaaaaa"})
            assert (status, "look again" in refused["detail"]) == (409, True)
            guide = await here.get(f"/incidents/{one}/guide")
            step = guide["runbook"]["sections"][2]["pieces"][0]["step"]
            assert (step["done_by"], step["done_at"]) == ("admin", "2026-01-01T00:00:00.000Z")
            lines = (await here.get(f"/incidents/{one}/timeline"))["items"]
            checked = [(line["text"], line["by"]) for line in lines if line["what"] == "checked"]
            assert checked == [("Checkout on node-1:80, Mitigation: Roll back (to v41)", "admin")]
            await here.ask("POST", f"/incidents/{one}/check", json={"step": step["id"], "undo": True})
            guide = await here.get(f"/incidents/{one}/guide")
            assert guide["runbook"]["sections"][2]["pieces"][0]["step"]["done_by"] is None


async def test_the_view_shows_it_and_its_forms_check_off(redis_url: str) -> None:
    async with town(redis_url) as here:
        one = await opened(here, '"><script>alert(2)</script>')
        await here.sign_in()
        _, text = await here.view(f"/incidents/{one}")
        assert "<script>alert" not in text
        assert "ssh &lt;instance&gt; tail" in text  # no plain word: it is not put into a command
        step = text.partition('name="step" value="')[2].partition('"')[0]
        async with here.draining():
            answer, _ = await here.post(f"/incidents/{one}/check", {"csrf": here.csrf, "step": step})
        assert (answer.status, answer.headers["Location"]) == (303, f"/incidents/{one}?done=check")
        _, text = await here.view(f"/incidents/{one}?done=check")
        assert "It is on the timeline." in text
        assert 'class="step done"' in text


async def test_a_chat_is_told_the_same_with_numbers_for_its_steps(redis_url: str) -> None:
    async with town(redis_url) as here:
        one = await opened(here, "<!channel>\x07")
        incident = await queries.incident(here.client, one)
        guide = await guides.of(here.client, compile_files(FILES), incident)
        text = guides.in_chat(guide)
        assert "\x07" not in text
        for line in (
            "Checkout on <!channel>",
            "[ ] r2  Roll back",
            "ssh <instance> tail /var/log/checkout",
            "[ ] p1  Acknowledge",
        ):
            assert line in text.splitlines() or line in text
        assert guides.step_of(guide, "r2") == [part.step for _, part in guide.runbook.steps()][1]  # type: ignore[union-attr]
        assert [guides.step_of(guide, wrong) for wrong in ("r0", "r9", "x1", "r", "", "r²", "p99999")] == [""] * 7


async def command(here: Town, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": TOKEN}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["runbook", *words], env=env)
    return result.exit_code, result.output


async def test_the_terminal_shows_it_checks_off_and_hostile_text_does_not_drive_it(redis_url: str) -> None:
    async with town(redis_url) as here:
        one = await opened(here, "\x1b]0;owned\x07node")
        code, output = await command(here, "show", one)
        assert code == 0, output
        assert "\x1b" not in output
        assert "\x07" not in output
        assert "Checkout on ]0;owned node" in output
        assert "[ ] r2  Roll back" in output
        assert "[ ] p1  Acknowledge" in output
        assert "Overview: https://grafana.example.org/d/checkout" in output
        async with here.draining():
            code, output = await command(here, "done", one, "r2", "-m", "to v41")
            assert (code, output) == (0, f"{one}: checked off\n")
            _, output = await command(here, "show", one)
            assert "[x] r2  Roll back  (admin, 2026-01-01 00:00 UTC)" in output
            code, output = await command(here, "done", one, "r2", "--undo")
            assert (code, output) == (0, f"{one}: it is open again\n")
            code, output = await command(here, "done", one, "r9")
            assert (code, "no step r9" in output) == (2, True)


async def test_a_new_runbook_is_written_from_what_an_incident_taught(redis_url: str, tmp_path: Path) -> None:
    async with town(redis_url) as here:
        one = await opened(here)
        folder = ("--rules.path", str(tmp_path))
        async with here.draining():
            await here.ask(
                "POST", f"/incidents/{one}/note", json={"text": "the pool is empty\n## Forged", "kind": "finding"}
            )
            await here.ask("POST", f"/incidents/{one}/note", json={"text": "restarted it"})
        code, output = await command(here, "new", "pool-empty", "--from", one, *folder)
        assert code == 0, output
        text = (tmp_path / "runbooks" / "pool-empty.md").read_text()
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## Symptoms",
            "## Investigation",
            "## Mitigation",
            "## Resolution",
        ]
        assert "checkout is down" in text
        assert "the pool is empty" in text
        assert "{{ instance }}" in text
        code, output = await command(here, "new", "pool-empty", *folder)
        assert (code, "is there already" in output) == (2, True)
        code, output = await command(here, "new", "../outside", *folder)
        assert code == 2
        assert not (tmp_path / "outside.md").exists()
