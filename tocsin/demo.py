"""`tocsin up --demo`: a recorded outage from the deploy that caused it to its postmortem, in about twenty-five seconds.

A shop's checkout goes down after a deploy. Two Alertmanagers say so, again and again; two more alerts follow, an uptime
check fails and a customer complains. It has to become one P0 incident and one page. Somebody takes it, the public is
told, the deploy is rolled back, and what was learned is written down.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console

from tocsin import settings as environment
from tocsin.remote import Denied, Failed, Remote, Unreachable

SERVICE: Final = "checkout"
PATIENCE_S: Final = 30.0
_ALERTS: Final = {
    "CheckoutDown": ("critical", "Checkout answers 502 to every request"),
    "ErrorBudgetBurn": ("critical", "Checkout burns its monthly error budget in two hours"),
    "PaymentQueueGrows": ("warning", "312 payments wait, oldest since 4 minutes"),
}


class DemoFailed(RuntimeError):
    """The outage did not become what it should. The message says what was expected and what was found."""


@dataclass
class Play:
    """One performance. `pace_s` is how long one beat lasts; the outage has about eighteen."""

    remote: Remote
    say: Callable[[str], None]
    pace_s: float = 1.2
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def run(self) -> dict[str, Any]:
        """Play everything and return the incident at the end. Raises DemoFailed."""
        self._wait_ready()
        before = {one["key"]: one["pages"] for one in self._incidents()}
        self._deploys()
        self._trouble()
        incident = self._paged(before)
        self._beat()
        self._command(incident, "acknowledge", "looking at the last deploy")
        self.say(f"acknowledged: nobody else is woken for {incident['id']}")
        self._beat()
        self._more_trouble()
        self._commanded(incident)
        self._relief()
        self._command(incident, "resolve", "rolled back, verified", public="You can pay again. We are sorry.")
        self._learned(incident)
        return self._verdict(incident, before)

    def _deploys(self) -> None:
        self.say("checkout v42 is deployed; v41 ran well since yesterday")
        now = datetime.now(UTC)
        self._changed("v41", "deploy", now - timedelta(hours=20), verified=True)
        self._changed("v42", "deploy", now - timedelta(minutes=7))
        self._beat()

    def _trouble(self) -> None:
        self.say("Prometheus sees checkout failing; both Alertmanagers of the pair report it")
        self._alerts("firing", "CheckoutDown")
        self._alerts("firing", "CheckoutDown", replica="b")
        self._beat()
        self.say("two more alerts of the same service, and the first one again")
        self._alerts("firing", "CheckoutDown", "ErrorBudgetBurn", "PaymentQueueGrows")
        self._beat()

    def _more_trouble(self) -> None:
        self.say("the uptime check fails as well")
        self._uptime(0, "502 - Bad Gateway")
        self._beat()
        self.say("a customer complains")
        self._report("I cannot pay, the page says 502", "mia@example.org")
        self._beat()
        self.say("and Alertmanager repeats itself, as it does")
        for replica in ("a", "b", "a"):
            self._alerts("firing", *_ALERTS, replica=replica)
            self._beat()

    def _commanded(self, incident: dict[str, Any]) -> None:
        """Say whom it hurts, tell the public, look into the runbook, go back to what was last known good."""
        changed = self._of(incident, "before").get("stands") or {}
        good = (changed.get("last_known_good") or {}).get("version", "v41")
        self._command(incident, "impact", "nobody can pay")
        said = {"audience": "public", "status": "identified", "effects": "major"}
        self._command(
            incident, "update", "Nobody can pay just now. We are going back to the last good version.", **said
        )
        self.say(f"the public is told, and promised the next update: {self.remote.url}/status")
        self._beat()
        self._check_off(incident)
        self._command(incident, "phase", f"rolling back to {good}", to="mitigating")
        self._command(incident, "mitigation", "by the deploy job", what="rollback", version=good)
        self._changed(good, "rollback", datetime.now(UTC))
        self.say(f"mitigating: back to {good}, which was last known good")
        self._beat()

    def _check_off(self, incident: dict[str, Any]) -> None:
        """Check off what the runbook says of deploys, if there is such a step."""
        runbook = self._of(incident, "guide")["runbook"] or {"sections": []}
        steps = [piece["step"] for section in runbook["sections"] for piece in section["pieces"] if piece["step"]]
        step = next((one for one in steps if "deploy" in one["text"].lower()), None)
        if step is not None:
            self._command(incident, "check", "v42, 7 minutes before", step=step["id"])
            asked = step["text"].partition(":")[0].rstrip("?. ")
            self.say(f"the runbook asks: {asked}? It was: checked off, and in the timeline")
            self._beat()

    def _learned(self, incident: dict[str, Any]) -> None:
        why = "v42 reads a table that the migration had not made yet"
        whys = "The migration ran after the deploy\nNothing orders the two"
        self._command(incident, "postmortem", "", root_cause=why, whys=whys, well="the page came at once")
        self._command(incident, "item", "Order migrations and deploys", due="14d", priority="high")
        page = f"{self.remote.url}/incidents/{incident['id']}/postmortem"
        self.say(f"resolved. Its postmortem wrote itself, root cause and an action item were added: {page}")
        self._beat()

    def _relief(self) -> None:
        self.say("everything resolves, the uptime check is green")
        self._alerts("resolved", *_ALERTS)
        self._alerts("resolved", *_ALERTS, replica="b")
        self._uptime(1, "200 - OK")
        self._beat()

    # ------------------------------------------------------------------------------------------------- what is sent

    def _alerts(self, status: str, *names: str, replica: str = "a") -> None:
        """Send what Alertmanager's webhook sends for these alerts."""
        now = datetime.now(UTC).isoformat()
        alerts = [
            {
                "status": status,
                "labels": {
                    "alertname": name,
                    "service": SERVICE,
                    "severity": _ALERTS[name][0],
                    "region": "eu1",
                    "replica": replica,
                },
                "annotations": {"summary": _ALERTS[name][1]},
                "startsAt": self.started.isoformat(),
                "endsAt": now if status == "resolved" else "0001-01-01T00:00:00Z",
                "generatorURL": f"http://prometheus.example.org/graph?g0.expr={name}",
            }
            for name in names
        ]
        self._send("alertmanager", {"version": "4", "status": status, "receiver": "tocsin", "alerts": alerts})

    def _uptime(self, status: int, message: str) -> None:
        """Send what Uptime Kuma sends for one heartbeat."""
        when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        monitor = {
            "id": 7,
            "name": "checkout",
            "type": "http",
            "url": "https://shop.example.org/checkout",
            "tags": [{"name": "service", "value": SERVICE}],
        }
        heartbeat = {"monitorID": 7, "status": status, "time": when, "msg": message, "important": True}
        up = "\N{LARGE GREEN CIRCLE} Up" if status else "\N{LARGE RED CIRCLE} Down"
        self._send("uptime-kuma", {"heartbeat": heartbeat, "monitor": monitor, "msg": f"[checkout] [{up}] {message}"})

    def _report(self, title: str, reporter: str) -> None:
        self._send("report", {"title": title, "service": SERVICE, "reporter": reporter})

    def _changed(self, version: str, kind: str, at: datetime, **more: bool) -> None:
        """Send what a deploy job sends."""
        change = {"service": SERVICE, "version": version, "kind": kind, "environment": "production"}
        self.remote.post("/v1/changes", {**change, "at": at.isoformat(), "summary": f"shop {version}", **more})

    def _send(self, source: str, body: dict[str, Any]) -> None:
        answer = self.remote.post(f"/v1/events/{source}", body).body
        if answer["rejected"]:
            raise DemoFailed(f"{source}: {answer['rejected']} items were refused: {answer['problems']}")

    # ---------------------------------------------------------------------------------------------- what is asked

    def _beat(self) -> None:
        time.sleep(self.pace_s)

    def _incidents(self) -> list[dict[str, Any]]:
        query = {"service": SERVICE, "limit": "50"}
        found: list[dict[str, Any]] = self.remote.get("/api/v1/incidents", query).body["items"]
        return found

    def _of(self, incident: dict[str, Any], what: str) -> dict[str, Any]:
        found: dict[str, Any] = self.remote.get(f"/api/v1/incidents/{incident['key']}/{what}").body
        return found

    def _command(self, incident: dict[str, Any], verb: str, text: str, **more: str) -> None:
        self.remote.post(f"/api/v1/incidents/{incident['key']}/{verb}", {"text": text, "confirm": True, **more})

    def _wait_ready(self) -> None:
        """Wait until events are taken and a worker has read the rules. Raises DemoFailed."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                said = self.remote.get("/-/ready").body
                why = [*said["why_not"], *said["warnings"]]
            except (Unreachable, Failed) as error:
                why = [str(error)]
            if not why:
                return
            if time.monotonic() > end:
                raise DemoFailed(f"Tocsin is not ready: {'; '.join(why)}")
            time.sleep(0.1)

    def _paged(self, before: dict[str, int]) -> dict[str, Any]:
        """Return the incident once its page was sent. Raises DemoFailed."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            for one in self._incidents():
                if one["phase"] != "resolved" and one["pages"] > before.get(one["key"], 0):
                    self.say(f"one incident, {one['id']} ({one['severity']}), and one page")
                    return one
            time.sleep(0.1)
        raise DemoFailed(f"nobody was paged within {PATIENCE_S:.0f} s: is a policy for P0 in oncall.yaml?")

    def _verdict(self, incident: dict[str, Any], before: dict[str, int]) -> dict[str, Any]:
        """Look at what it has become. Raises DemoFailed."""
        touched = [one for one in self._incidents() if one["pages"] != before.get(one["key"], 0)]
        pages = sum(one["pages"] - before.get(one["key"], 0) for one in touched)
        last = next((one for one in touched if one["key"] == incident["key"]), incident)
        if len(touched) != 1 or pages != 1 or last["severity"] != "P0" or last["phase"] != "resolved":
            found = f"{len(touched)} incidents, {pages} pages, {last['severity']}, {last['phase']}"
            raise DemoFailed(f"expected one resolved P0 incident and one page, found {found}")
        total = last["alerts"]["total"]
        self.say(f"all clear: {total} alerts from three kinds of senders, one incident, one page. Ask for more:")
        for words in (
            f"tocsin why {last['id']}                  which rule decided, whom it told",
            f"tocsin incident show {last['id']}        the whole timeline; {self.remote.url}/incidents/{last['id']}",
            f"tocsin incident postmortem {last['id']}  what the journal made of it",
            "tocsin audit --replay              nothing was lost, and history decides itself again",
        ):
            self.say(f"  {words}")
        return last


def main() -> None:
    """Play the outage against the Tocsin of this machine."""
    console = Console(highlight=False, soft_wrap=True)
    started = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[bold cyan]demo {time.monotonic() - started:5.1f} s[/]  {line}")

    try:
        Play(Remote(environment.load()), say).run()
    except (DemoFailed, Unreachable, Denied, Failed) as error:
        say(f"[red]{error}[/]")
        sys.exit(1)


if __name__ == "__main__":
    main()
