"""An incident told by webhook and by PagerDuty, through the real store and the real workers."""

from __future__ import annotations

from tests.stories.town import SEVERITY, Town
from tests.unit.workers.http_server import Provider
from tests.unit.workers.http_server import serving as serving_hooks
from tests.unit.workers.test_pagerduty import KEY, PagerDuty, serving
from triage.model import Verb
from triage.store.client import connect
from workers.channel import load
from workers.deliver import Deliver
from workers.outbound import allow

ONCALL = """
people:
  ana: {{name: Ana, contact: ['{contact}']}}
policies: {{default: {{steps: [{{notify: [ana], wait: 5m}}]}}}}
operators: []
last_resort: [ana]
"""
SECRETS = {"PD_KEY": KEY, "HOOK_SECRET": "whsec_c2VjcmV0IG9mIHRoZSBzdG9yeQ=="}


async def told_by(town: Town, contact: str) -> None:
    """Let ana be told by this contact method, with secrets as workers find them."""
    town.deliver = Deliver(connect(town.url), town.clock, load(), SECRETS.get)
    await town.loads({"severity.yaml": SEVERITY, "oncall.yaml": ONCALL.format(contact=contact)})


async def test_pagerduty_follows_an_incident_to_its_end(town: Town) -> None:
    allow(["127.0.0.0/8"])
    service = PagerDuty()
    with serving(service) as port:
        await told_by(town, f"pagerduty+http://${{PD_KEY}}@127.0.0.1:{port}")
        await town.fires("Down")
        key = town.incident.key
        assert service.alerts == {key: "triggered"}
        await town.acks("ana")
        await town.fires("Slow")
        town.wait(minutes=2)
        assert service.alerts == {key: "acknowledged"}
        await town.ends("Down")
        await town.ends("Slow")
        assert service.alerts == {key: "resolved"}
    allow([])


async def test_a_hook_that_is_busy_gets_the_same_message_again_and_no_secret_is_told(town: Town) -> None:
    allow(["127.0.0.0/8"])
    provider = Provider(status=503)
    with serving_hooks(provider) as port:
        await told_by(town, f"webhook+http://127.0.0.1:{port}/hook#${{HOOK_SECRET}}")
        await town.fires("Down")
        provider.status = 200
        town.wait(minutes=2)
    allow([])
    ids = [headers["webhook-id"] for _, headers, _ in provider.got]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    said = " ".join(line.text for line in town.timeline(town.incident))
    assert "HTTP 503" in said
    assert "whsec" not in said
    await town.asks(Verb.ACKNOWLEDGE, "ana")


async def test_a_private_address_is_given_up_and_the_timeline_says_what_to_do(town: Town) -> None:
    allow([])
    await told_by(town, "webhook+https://127.0.0.1/hook#${HOOK_SECRET}")
    await town.fires("Down")
    assert any("--outbound.allow" in line.text for line in town.timeline(town.incident) if line.what == "given-up")
    await town.asks(Verb.ACKNOWLEDGE, "ana")
