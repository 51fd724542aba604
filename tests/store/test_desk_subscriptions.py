"""Subscriptions as people meet them: in the terminal, over the API, in the desk, each for what they may."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from click.testing import CliRunner

from tests.store.desk_support import DOWN, RULES, TOKEN, Town, town
from tocsin.cli import main
from triage.model.roles import Role
from triage.store.audit import audit
from triage.store.client import connect

ADA = "token of ada, a viewer"
FILES = {
    **RULES,
    "services.yaml": "services: {checkout: {}, search: {}}",
    "updates.yaml": 'mail: "mailto://relay.example.org"\nplaces: {shop: ["terminal://shop"]}',
}


def people() -> dict[str, Any]:
    tokens = {"admin": TOKEN, "ada": ADA}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in tokens.items()}
    return {"tokens": hashes, "roles": {"admin": Role.ADMIN, "ada": Role.VIEWER}}


async def run(here: Town, token: str, *words: str) -> tuple[int, str]:
    env = {"TOCSIN_URL": here.url, "TOCSIN_ADMIN_TOKEN": token}
    result = await asyncio.to_thread(CliRunner().invoke, main, ["status", *words], env=env)
    return result.exit_code, result.output


async def test_a_viewer_subscribes_themself_and_nobody_else(redis_url: str) -> None:
    async with town(redis_url, **people()) as here:
        await here.load(FILES)
        await here.send(DOWN)
        async with here.draining():
            code, said = await run(here, ADA, "subscribe", "--service", "checkout,search", "--severity", "p0,P1")
            assert code == 0
            assert said.startswith("ada is told of updates for the company about checkout, search of P0, P1: ")
            for more in (["--name", "admin"], ["--contact", "place:shop"], ["--name", "x", "--contact", "place:shop"]):
                code, said = await run(here, ADA, "subscribe", *more)
                assert code == 5, said
                assert "it needs the scope admin" in said
            code, said = await run(here, TOKEN, "subscribe", "--name", "Shop", "--contact", "place:shop")
            assert code == 0
            _, listed = await run(here, ADA, "subscriptions")
            assert "ada (you)" in listed
            assert "place:shop" not in listed
            _, listed = await run(here, TOKEN, "subscriptions")
            assert "place:shop" in listed
            mine, shop = (await here.get("/subscriptions"))["items"]
            code, said = await run(here, ADA, "unsubscribe", shop["id"])
            assert code == 5
            assert (await run(here, ADA, "unsubscribe", mine["id"]))[0] == 0
            code, said = await run(here, ADA, "unsubscribe", mine["id"])
            assert (code, "it may have ended already" in said) == (1, True)
            first = await here.get("/subscriptions?limit=1")
            assert ([one["name"] for one in first["items"]], first["next"]) == (["Shop"], None)
            status, found = await here.ask("POST", "/subscriptions", json={"contact": ["slack://secret"], "name": "x"})
            assert (status, "under places" in found["detail"]) == (409, True)
            ref = (await here.get("/incidents"))["items"][0]["id"]
            body = {"status": "identified", "audience": "company", "text": "Rolling back.", "confirm": True}
            status, found = await here.ask("POST", f"/incidents/{ref}/update", json=body)
            assert found["text"].startswith("sent to 1 place")
        await here.decide()
        report = audit(connect(redis_url), replay=True)
        assert report.ok, report.lines


async def test_in_the_desk_one_subscribes_and_unsubscribes_by_forms(redis_url: str) -> None:
    async with town(redis_url, **people()) as here:
        await here.load(FILES)
        await here.sign_in(ADA)
        async with here.draining():
            _, text = await here.view("/subscriptions")
            assert "complete outage" in text  # what P0 means stands where it is chosen
            assert 'name="contact"' not in text
            answer, _ = await here.post("/subscriptions", {"csrf": here.csrf, "service": "checkout", "P0": "yes"})
            assert (answer.status, answer.headers["Location"]) == (303, "/subscriptions?done=put")
            _, text = await here.view("/subscriptions?done=put")
            assert "ada (you)" in text
            ident = text.partition("<code>")[2].partition("</code>")[0]
            answer, text = await here.post("/subscriptions", {"csrf": here.csrf, "service": "nothing"})
            assert (answer.status, "there is no service" in text) == (409, True)
            answer, _ = await here.post(f"/subscriptions/{ident}/end", {"csrf": here.csrf})
            assert answer.status == 303
            _, text = await here.view("/subscriptions")
            assert "Nobody has subscribed." in text
        await here.sign_in(TOKEN)
        async with here.draining():
            fields = {"csrf": here.csrf, "name": "Ada of sales", "contact": "mailto:ada@example.org\r\nplace:shop"}
            answer, _ = await here.post("/subscriptions", fields)
            assert answer.status == 303
            _, text = await here.view("/subscriptions")
            assert "mailto:ada@example.org" in text
