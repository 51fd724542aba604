"""A deploy breaks the shop: what the page says, and what to go back to; through the real doors and workers."""

from __future__ import annotations

import json
from pathlib import Path

from ingest.sources import digest_of
from tests.stories.town import Town, town_at
from triage.changes import last_known_good
from triage.memory import CHANGED
from triage.rulebook.types import Source
from triage.store import keys
from triage.store.memory import Cache

PAYLOADS = Path(__file__).parents[1] / "payloads"
SOURCES = (
    Source(name="ci", adapter="changes", token_sha256=(digest_of("a token for ci").hex(),)),
    Source(name="github", adapter="github", secret="${GITHUB}", labels={"service": "shop"}),
)


async def tells(town: Town, status: int = 202, token: str = "a token for ci", **change: object) -> None:
    assert town.session is not None
    headers = {"Authorization": f"Bearer {token}"}
    async with town.session.post(f"{town.base}/v1/changes", json=change, headers=headers) as answer:
        assert answer.status == status, await answer.text()
    town.settle()


def good(town: Town, service: str) -> str:
    cache = Cache()
    cache.load(town.client, [(CHANGED, service)])
    found = last_known_good(cache, service, town.now)
    return found.version if found is not None else ""


async def test_the_page_says_what_changed_and_what_ran_well_is_the_way_back(redis_url: str, tmp_path: Path) -> None:
    async with town_at(redis_url, tmp_path, configured=SOURCES, resolve_secret=lambda _: b"gh-dev-secret") as town:
        await tells(town, service="shop", version="4.18.1", id="run-880")
        town.wait(hours=30)
        for _ in range(2):  # the job tries again
            await tells(town, service="shop", version="4.18.2", summary="fix the cart", by="mira", id="run-881")
        town.wait(minutes=7)
        await town.fires("Down")
        (page,) = [one for one in town.messages if one["kind"] == "page"]
        assert "Changed: deploy of shop 4.18.2: fix the cart, 7 min before" in page["body"]
        assert good(town, "shop") == "4.18.1"
        await town.acks("ana")
        envelope = json.loads((PAYLOADS / "github" / "deployment_status_rollback.http.json").read_text())
        assert town.session is not None
        url = f"{town.base}/v1/events/github"
        for body, status in ((envelope["body_text"], 202), (envelope["body_text"] + " ", 401)):
            async with town.session.post(url, data=body, headers=envelope["headers"]) as answer:
                assert answer.status == status, await answer.text()
        town.settle()
        changed = [line for line in town.timeline(town.incident) if line.what == "changed"]
        assert [line.by for line in changed] == ["mira", "mira"]
        assert changed[1].text.startswith("rollback of shop 9f2c1ab4d5e6 to production")
        assert town.client.hlen(keys.family(CHANGED)) == 1


async def test_a_stranger_cannot_say_what_changed(redis_url: str, tmp_path: Path) -> None:
    async with town_at(redis_url, tmp_path, configured=SOURCES, resolve_secret=lambda _: b"x") as town:
        await tells(town, status=401, token="guess", service="shop", version="1")
        await tells(town, status=400, service="shop", vresion="1")
        assert town.client.hlen(keys.family(CHANGED)) == 0
