"""A house in the middle of its troubles, for tests of what people see: something stands in every view.

`busy` plays it by plain words, `hostile` puts one text wherever senders, chat, deploy jobs and people can write.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.store.desk_support import RULES, Town, event
from triage.model import DAY, MINUTE, Change, ChangesTold, Command, DeadLetter, Event, Events, Kind, Verb
from triage.rulebook import compile_files
from triage.store import queries

FILES = {
    **RULES,
    "oncall.yaml": """
people:
  ada: {name: Ada, contact: ["terminal://"]}
  ben: {name: Ben, contact: ["terminal://"]}
schedules:
  primary:
    time_zone: Asia/Kolkata
    layers: [{name: weekly, users: [ada, ben], start: "2025-12-29T09:00", every: 1w, end: "2026-01-19T09:00"}]
    overrides: [{user: ben, start: "2026-01-05T00:00", end: "2026-01-06T00:00"}]
  ops-with-a-long-name-that-somebody-gave-it-once-upon-a-time: {time_zone: America/Argentina/ComodRivadavia}
policies:
  default: {steps: [{notify: [ada], wait: 5m}]}
last_resort: [ada]
operators: [ada]
""",
    "services.yaml": """
services:
  checkout:
    team: shop
    runbook: runbooks/checkout.md
    dashboards: {Overview: "https://grafana.example.org/d/checkout"}
    status_component: Checkout
  payments: {team: shop, status_component: Payments}
  blog: {team: web, status_component: Blog}
""",
    "status.yaml": "{title: How we are, about: Everything that you can buy from us., components: {Checkout: Paying}}",
    "quiet.yaml": """
maintenance:
  database:
    service: blog
    from: "2026-01-04T02:00:00+00:00"
    to: "2026-01-04T04:00:00+00:00"
    public: We move to a larger database.
""",
    "actions.yaml": """
actions:
  rollback:
    title: Roll back to the version that was last good
    services: [checkout]
    parameters: {version: {default: "{last_known_good}", pattern: 'v[0-9]+', description: Version}}
    request: {url: "https://deploy.example.org/{service}/rollback", json: {version: "{version}"}}
""",
    "updates.yaml": 'subscribers: {management: {contact: ["terminal://"]}}',
    "postmortems.yaml": "within: {P0: 7d}\n",
    "procedures/1-detect.md": "# Detect\n\n- [ ] Acknowledge, so that nobody else is woken\n- [ ] Is it real?\n",
    "procedures/2-triage.md": "# Triage\n\n- [ ] Who is hurt, how many?\n- [ ] P0 or P1: give roles\n",
    "runbooks/checkout.md": """# Checkout is failing on {{ instance }}

## Symptoms

Customers can't pay. Every minute costs orders.

## Investigation

- [ ] Open the dashboard *Overview*. All regions, or one?
- [ ] Which sign do you see?

  | sign | cause |
  |---|---|
  | errors from `payments` | the provider is down |

  ```sh
  kubectl logs deploy/checkout --since=10m | grep -i error | sort | uniq -c | sort -rn | head -n 20
  ```

## Mitigation

- [ ] Deployed in the last hour: roll it back first, ask later.

## Resolution

- [ ] Orders per minute are back for an hour.
""",
}


@dataclass(frozen=True)
class Scene:
    """The ids of what there is: an incident that is under way, one that ended and was learned from."""

    now: str
    over: str


async def ask(here: Town, method: str, path: str, **body: Any) -> Any:
    """Ask the API for something that must be done."""
    status, said = await here.ask(method, path, json=body)
    assert status in (200, 201), (path, status, said)
    return said


async def opened(here: Town, alert: Event) -> str:
    """Return the short id of the incident that an alert opens."""
    await here.send(alert)
    found = (await queries.incidents(here.client, queries.IncidentFilter(service=alert.labels["service"]))).items
    return found[0].key[:6]


async def busy(here: Town) -> Scene:
    """Play it: yesterday's incident is closed, today's is under way."""
    compile_files(FILES)  # raises what is wrong with them
    await here.load(FILES)
    over = await opened(here, event(title="Payments time out", alertname="Down", service="payments"))
    async with here.draining():
        at = f"/incidents/{over}"
        public = {"audience": "public", "status": "identified", "effects": "partial", "confirm": True}
        await ask(here, "POST", f"{at}/update", text="Card payments fail for some of you.", **public)
        await ask(here, "POST", f"{at}/acknowledge")
        await ask(here, "POST", f"{at}/resolve", text="the provider is back", public="All is well again.", confirm=True)
        await ask(here, "POST", f"{at}/postmortem", root_cause="one provider, no second", well="the page came at once")
        await ask(here, "POST", f"{at}/item", text="A second payment provider", person="ada", due="14d")
        await ask(here, "POST", f"{at}/item", text="Alert on the queue", person="ben", due="1d", priority="high")
    here.clock.now += 2 * DAY
    await _changed(here, Change("checkout", "deploy", "fix the cart", "v42", here.clock() - 7 * MINUTE, by="ben"))
    long = {"runbook_url": "https://wiki.example/" + "x" * 300, "summary": "Averyveryverylongword" * 20}
    title = "Averyveryverylongword" * 8
    await here.send(event(title=title, annotations=long, alertname="Slow", service="blog", severity="warning"))
    now = await opened(
        here, event(title="Checkout answers 500", alertname="Down", service="checkout", region="eu", instance="web-1")
    )
    report = event(title="I cannot pay", alertname="UserReport", service="checkout", region="eu")
    report.kind = Kind.REPORT
    await here.send(report, source="report")
    async with here.draining():
        await _under_way(here, f"/incidents/{now}")
    here.clock.now += 15 * MINUTE
    await here.decide()
    return Scene(now, over)


async def _changed(here: Town, change: Change) -> None:
    await here.desk.appender.append(ChangesTold("ci", [change]), here.clock())
    await here.decide()


async def _under_way(here: Town, at: str) -> None:
    await ask(here, "POST", f"{at}/acknowledge", text="on it")
    await ask(here, "POST", f"{at}/impact", text="nobody in Europe can pay")
    await ask(here, "POST", f"{at}/eta", eta="30m")
    await ask(here, "POST", f"{at}/role", role="communications", person="ben")
    await ask(here, "POST", f"{at}/note", text="v42 wants a table that is not there", kind="hypothesis")
    for audience, words in (("company", "A bad deploy; we go back to v41."), ("public", "Nobody can pay just now.")):
        said = {"audience": audience, "status": "identified", "text": words, "confirm": True}
        await ask(here, "POST", f"{at}/update", **said)
    await ask(here, "POST", f"{at}/phase", to="mitigating", text="rolling back")
    silence = {"matchers": ['service="blog"'], "duration": "2h", "comment": "the blog moves"}
    await ask(here, "PUT", "/silences/deploy-7", **silence)
    await ask(here, "POST", "/subscriptions", severities=["P0", "P1"], name="ben")


HOSTILE = {
    **FILES,
    "severity.yaml": "rules: [{name: all, matchers: [], severity: P3, runbook: runbooks/x.md, group_by: [alertname]}]",
    "runbooks/x.md": """# On {{ label }}

## Mitigation

- [ ] {{ label }}, `{{ label }}`, [x](https://a.example/{{ label }})
""",
}


async def hostile(here: Town, number: int, text: str) -> str:
    """Open an incident into which the text was written by everybody who can write; return its short id.

    The rules are HOSTILE. The second half of the incident goes into the journal as it is: were a door to fail, what
    shows it must hold.
    """
    first, line = text[:100], " ".join(text.split()) or text
    labels = {"alertname": f"A{number}", "service": f"{text} {number}", "label": text, first: text}
    notes = {"summary": text, "description": text, "runbook_url": text, first: text}
    alert = event(title=text, annotations=notes, **labels)
    alert.raw_severity, alert.url = text, text
    change = Change(f"{text} {number}", text, text, text, here.clock(), text, text, text)
    rejected = DeadLetter("generic", text, text, text.encode())
    for body in (ChangesTold("ci", [change]), Events("alertmanager", [alert]), rejected):
        await here.desk.appender.append(body, here.clock())
    await here.decide()
    here.clock.now += 1  # so that the next one is newer
    one = (await queries.incidents(here.client, queries.IncidentFilter())).items[0]
    said: list[tuple[Verb, dict[str, str]]] = [
        (Verb.ACKNOWLEDGE, {}),
        (Verb.NOTE, {"kind": "chat"}),
        (Verb.NOTE, {"kind": "finding"}),
        (Verb.IMPACT, {}),
        (Verb.UPDATE, {"audience": "responders", "status": "identified", "title": line[:100], "impact": line[:500]}),
        (Verb.UPDATE, {"audience": "public", "status": "identified", "title": line[:100], "components": "Checkout"}),
        (Verb.MITIGATION, {"what": "hotfix", "commit": line[:40], "version": line[:40]}),
        (Verb.RESOLVE, {"public": text}),
        (Verb.POSTMORTEM, {"root_cause": text, "whys": line, "well": line, "badly": line, "contributing": line}),
        (Verb.ITEM, {"due": "14d"}),
        (Verb.POSTMORTEM, {"document": f"# {text}\n\n{text}\n\n- {text}\n\n`{text}`\n\n[{text}]({text})\n"}),
    ]
    for verb, data in said:
        command = Command(verb, one.key, text[:60], "api", text, confirm=True, data=data)
        await here.desk.appender.append(command, here.clock())
    await here.decide()
    return one.key[:6]
