"""A desk, real workers and a Twilio beside them: who is called or texted, and what the desk answers Twilio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from xml.etree import ElementTree

from tests.store.desk_support import DOWN, RULES, Town, town
from tests.unit.workers.http_server import serving
from tests.unit.workers.twilio_server import ACCOUNT, AUTH_TOKEN, SECRETS, Twilio, signed
from triage.model import Incident
from triage.store import queries
from triage.store.client import connect
from workers.channel import load
from workers.deliver import Deliver
from workers.outbound import allow

SECRET = b"a secret of the tests"
OUTSIDE = "https://tocsin.example.org"


def oncall(**contacts: list[str]) -> dict[str, str]:
    """Return rules in which each of these people is paged by step 1, by these contact methods."""
    people = "\n".join(f"  {name}: {{contact: {ways!r}}}" for name, ways in contacts.items())
    text = f"""
people:
{people}
policies:
  default:
    steps: [{{notify: [{", ".join(contacts)}], wait: 5m}}]
last_resort: []
operators: []
"""
    return {**RULES, "oncall.yaml": text}


@dataclass
class Phones:
    """A town whose people are called by a Twilio."""

    here: Town
    service: Twilio
    deliver: Deliver

    async def work(self) -> None:
        """Deliver and decide until nothing is left to do."""
        await self.here.decide()
        while await asyncio.to_thread(self.deliver.pump):
            await self.here.decide()

    async def ask(
        self, url: str, fields: dict[str, str], *, token: str = AUTH_TOKEN, account: str = ACCOUNT, sign: str = ""
    ) -> tuple[int, str]:
        """POST as Twilio does to an address it was given; return the status and the body. `sign`: another URL's."""
        sent = {"AccountSid": account, "ApiVersion": "2010-04-01", **fields}
        path = url.removeprefix(OUTSIDE)
        async with self.here.draining():
            headers = signed(sign or url, sent, token)
            async with self.here.session.post(self.here.url + path, data=sent, headers=headers) as answer:
                found = answer.status, await answer.text()
        await self.work()
        return found

    async def incident(self) -> Incident:
        return (await queries.incidents(self.here.client, queries.IncidentFilter())).items[0]

    async def lines(self) -> list[str]:
        found = await queries.timeline(self.here.client, (await self.incident()).key)
        return [f"{line.what}: {line.text}" for line in found.items]


@asynccontextmanager
async def phones(redis_url: str, port_to_rules: object, *, fires: bool = True) -> AsyncIterator[Phones]:
    """A town whose rules are `port_to_rules(port of the Twilio)`, in which checkout is down and pages are sent."""
    allow(["127.0.0.0/8"])
    service = Twilio()
    try:
        with serving(service) as port:
            async with town(redis_url, link_secret=SECRET, external_url=OUTSIDE, lookup=SECRETS.get) as here:
                client = connect(redis_url)
                deliver = Deliver(client, here.clock, load(), SECRETS.get, OUTSIDE, link_secret=SECRET)
                made = Phones(here, service, deliver)
                assert callable(port_to_rules)
                await here.load(port_to_rules(port))
                if fires:
                    await here.send(DOWN)
                    await made.work()
                yield made
                client.close()
    finally:
        allow([])


def verbs(xml: str) -> list[str]:
    """Return the verbs of a TwiML answer, nested ones included; it must be well-formed XML."""
    root = ElementTree.fromstring(xml)
    assert root.tag == "Response"
    return [one.tag for one in root.iter()][1:]


def said(xml: str) -> str:
    """Return what a TwiML answer says or texts."""
    root = ElementTree.fromstring(xml)
    return " ".join(one.text or "" for one in root.iter() if one.tag in {"Say", "Message"})


def address(xml: str, tag: str, attribute: str = "") -> str:
    """Return an address that a TwiML answer leads to."""
    (found,) = ElementTree.fromstring(xml).iter(tag)
    return found.attrib[attribute] if attribute else re.sub(r"\s", "", found.text or "")
