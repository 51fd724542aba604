"""Presses of buttons in Slack, by its signed requests and by Socket Mode, on a real store."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, cast
from urllib.parse import urlencode

import pytest

from desk import slack
from desk.slack_socket import Socket
from tests.store.desk_support import DOWN, NOW, Town, town
from tests.unit.workers.slack_server import APP, BOT, Slack, serving
from triage.model import EffectKind, Incident, Severity
from triage.model.roles import Role
from triage.store import queries
from workers import slack as api
from workers.channel import Message
from workers.channels import slack_bot

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture(scope="module")
def workspace() -> Iterator[Slack]:
    with serving(Slack()) as one:
        api.use(one.api)
        yield one
    api.use("https://slack.com/api")


@pytest.fixture
async def here(redis_url: str, workspace: Slack) -> AsyncIterator[Town]:
    workspace.answers.clear()
    known = {"U0ANA": "ana", "U0BEN": "ben"}
    async with town(
        redis_url, slack_secret=SECRET, slack_api=workspace.api[:-1], slack_people=known, roles={"admin": Role.ADMIN}
    ) as one:
        await one.send(DOWN)
        async with one.draining():
            yield one


async def incident(here: Town) -> Incident:
    (only,) = (await queries.incidents(here.client, queries.IncidentFilter())).items
    return await queries.incident(here.client, only.key)


async def shown(here: Town, workspace: Slack, **more: Any) -> dict[str, Any]:
    """Post the incident as a worker does, and return the message."""
    one = await incident(here)
    message = Message("m", EffectKind.PAGE, "P0 Down", "body", Severity.P0, incident=one.key, phase="detected", **more)
    await asyncio.to_thread(slack_bot.send, f"slack+bot://{BOT}@acme/C0ALERTS", message)
    return workspace.rooms["C0ALERTS"].messages[-1]


def signed(payload: Any, *, at: int = NOW // 1_000, secret: str = SECRET) -> dict[str, Any]:
    body = urlencode({"payload": json.dumps(payload)}).encode()
    mark = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": str(at),
        "X-Slack-Signature": f"v0={mark}",
    }
    return {"data": body, "headers": headers}


async def post(here: Town, **sent: Any) -> int:
    async with here.session.post(here.url + slack.PATH, **sent) as answer:
        return answer.status


async def press(here: Town, workspace: Slack, user: str, label: str, **more: Any) -> str:
    """Press a button, and return what only that member is told."""
    message = await shown(here, workspace, **more)
    assert await post(here, **signed(workspace.press(user, message, label))) == 200
    answer = workspace.answers.pop()
    assert (answer["response_type"], answer["replace_original"]) == ("ephemeral", False)
    return str(answer["text"])


async def test_a_press_takes_the_incident_as_the_person_behind_the_member(here: Town, workspace: Slack) -> None:
    assert await press(here, workspace, "U0ANA", "Acknowledge") == "ana has it"
    one = await incident(here)
    assert one.acked_by == "ana"
    lines = (await queries.timeline(here.client, one.key)).items
    assert any("ana has it (by slack)" in line.text for line in lines)


async def test_an_old_button_says_who_has_it_and_takes_nothing(here: Town, workspace: Slack) -> None:
    await press(here, workspace, "U0ANA", "Acknowledge")
    assert await press(here, workspace, "U0BEN", "Acknowledge") == "ana has it already"
    assert (await incident(here)).acked_by == "ana"
    assert await press(here, workspace, "U0BEN", "Take over", taken_by="ana") == "ben has it"
    assert await press(here, workspace, "U0BEN", "Snooze 1 h") == "ben has it for 1h; then it pages again"
    assert await press(here, workspace, "U0ANA", "Escalate") == "the next step is paged now"


async def test_of_two_presses_at_once_one_takes_it(here: Town, workspace: Slack) -> None:
    message = await shown(here, workspace)
    presses = [signed(workspace.press(user, message, "Acknowledge")) for user in ("U0ANA", "U0BEN")]
    assert await asyncio.gather(*(post(here, **one) for one in presses)) == [200, 200]
    said = sorted(one["text"] for one in workspace.answers)
    assert said in (["ana has it", "ana has it already"], ["ben has it", "ben has it already"])


async def test_a_member_whom_nobody_knows_is_told_what_to_add(here: Town, workspace: Slack) -> None:
    text = await press(here, workspace, "U0EVE", "Acknowledge")
    assert "add slack: U0EVE to your entry under people: in oncall.yaml" in text
    assert (await incident(here)).acked_by == ""


async def test_who_may_only_look_is_refused_and_each_press_is_in_the_audit_log(here: Town, workspace: Slack) -> None:
    cast("dict[str, Role]", here.desk.settings.roles)["ben"] = Role.VIEWER
    assert await press(here, workspace, "U0BEN", "Acknowledge") == (
        "ben (viewer) may not do this: it needs the scope respond"
    )
    await press(here, workspace, "U0ANA", "Acknowledge")
    log = [*(await here.get("/audit-log"))["items"], *(await here.get("/audit-log?refused=true"))["items"]]
    noted = [(one["who"], one["what"], one["address"], one["status"]) for one in log if one["via"] == "slack"]
    assert sorted(noted) == [
        ("ana", "button:acknowledge", "slack:U0ANA", 200),
        ("ben", "button:acknowledge", "slack:U0BEN", 403),
    ]


async def test_a_button_of_what_is_gone_or_unknown_says_so(here: Town, workspace: Slack) -> None:
    payload = workspace.press("U0ANA", await shown(here, workspace), "Acknowledge")
    payload["actions"][0]["value"] = "zzzzzz"
    await post(here, **signed(payload))
    assert workspace.answers.pop()["text"] == "this incident is no longer kept"
    payload["actions"][0]["action_id"] = "tocsin:explode"
    await post(here, **signed(payload))
    assert "another version" in workspace.answers.pop()["text"]


async def test_the_button_that_opens_a_link_and_other_interactions_do_nothing(here: Town, workspace: Slack) -> None:
    message = await shown(here, workspace, url="https://tocsin.example.org")
    for payload in (
        workspace.press("U0ANA", message, "Open"),
        {"type": "view_submission"},
        [1],
        {"type": "block_actions"},
    ):
        assert await post(here, **signed(payload)) == 200
    assert workspace.answers == []


async def test_what_slack_did_not_sign_within_five_minutes_is_refused(here: Town, workspace: Slack) -> None:
    payload = workspace.press("U0ANA", await shown(here, workspace), "Acknowledge")
    good = signed(payload)
    changed = {**good, "data": good["data"] + b"&more=1"}
    unsigned = {**good, "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    odd = {**good, "headers": {**good["headers"], "X-Slack-Request-Timestamp": "soon"}}
    old = signed(payload, at=NOW // 1_000 - 301)
    ahead = signed(payload, at=NOW // 1_000 + 301)
    stranger = signed(payload, secret="another")
    for sent in (changed, unsigned, odd, old, ahead, stranger):
        assert await post(here, **sent) == 401
    assert (await incident(here)).acked_by == ""
    body = b"payload=nothing"
    mark = hmac.new(SECRET.encode(), f"v0:{NOW // 1_000}:".encode() + body, hashlib.sha256).hexdigest()
    assert await post(here, data=body, headers={**good["headers"], "X-Slack-Signature": f"v0={mark}"}) == 400


@pytest.mark.parametrize("url", ["https://evil.example/actions", "file:///etc/passwd", "", "http://hooks.slack.com/a"])
async def test_an_answer_goes_to_slack_and_nowhere_else(here: Town, workspace: Slack, url: str) -> None:
    payload = workspace.press("U0ANA", await shown(here, workspace), "Acknowledge")
    payload["response_url"] = url
    assert await post(here, **signed(payload)) == 200
    assert workspace.answers == []
    assert (await incident(here)).acked_by == "ana"


async def test_without_a_secret_there_is_no_way_in(redis_url: str) -> None:
    async with town(redis_url) as one:
        assert await post(one, **signed({})) == 404


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def listening(here: Town, workspace: Slack) -> AsyncIterator[None]:
    before = len(workspace.sockets)
    socket = Socket(APP, workspace.api[:-1], partial(slack.take_envelope, here.desk), again_s=0.01)
    task = asyncio.create_task(socket.watch())
    try:
        await until(lambda: len(workspace.sockets) > before)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_press_comes_by_socket_mode_too_and_is_confirmed(here: Town, workspace: Slack) -> None:
    message = await shown(here, workspace)
    async with listening(here, workspace):
        workspace.push("interactive", workspace.press("U0BEN", message, "Acknowledge"), "e7")
        await until(lambda: any(one["envelope_id"] == "e7" for one in workspace.acked))
    assert workspace.answers.pop()["text"] == "ben has it"
    assert (await incident(here)).acked_by == "ben"


async def test_a_slack_that_gives_no_connection_is_asked_again(here: Town, workspace: Slack) -> None:
    workspace.troubles["apps.connections.open"] = "internal_error"
    calls = len(workspace.made("apps.connections.open"))

    async def mend() -> None:
        await until(lambda: len(workspace.made("apps.connections.open")) >= calls + 2)
        workspace.troubles.clear()

    mending = asyncio.create_task(mend())
    async with listening(here, workspace):
        await mending
