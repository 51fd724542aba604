"""What rooms and other places hear of an incident's timeline: what matters, in order, once, and never before a page."""

from __future__ import annotations

import json
from typing import Any

from tests.stories.test_rooms import SLACK, room, roomed, said
from tests.stories.town import SEVERITY, Town, oncall
from tests.unit.workers.mattermost_server import Mattermost
from tests.unit.workers.slack_server import Slack
from triage.model import Command, Severity, Verb
from triage.outlets import POST_MAX, UNSAID_MAX

HOSTILE = (
    "<!channel> <!here|x> @channel @here @all <@U0ANA> <https://evil.example|bank> [x](https://evil.example) `@all` ~~"
)


def heard(workspace: Slack) -> list[str]:
    """Return the lines that the room was told, in order, without their times."""
    posts = [one for one in room(workspace).messages if one["ts"] not in room(workspace).pins]
    return [line[6:] for one in posts for line in one["blocks"][0]["text"]["text"].splitlines()]


async def ask(town: Town, verb: Verb, by: str = "ana", text: str = "", person: str = "", **data: str) -> None:
    asked = Command(verb, town.incident.key, by, "story", text, True, person=person, data=data)
    await town.appender.append(asked, town.now)
    town.settle()
    town.wait(minutes=0.1)


async def test_a_room_hears_what_happens_in_order_and_once(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    await town.fires("Down")
    town.wait(minutes=0.1)
    await ask(town, Verb.ACKNOWLEDGE)
    await ask(town, Verb.SEVERITY, text="all are hit", to="P0")
    await ask(town, Verb.ROLE, role="scribe", person="ben")
    await ask(town, Verb.UPDATE, text="a disk is full", audience="responders", status="identified")
    await ask(town, Verb.MITIGATION, what="rollback", version="v41")
    await ask(town, Verb.RESOLVE, text="disk cleared")
    lines = heard(workspace)
    expected = [
        "opened:",
        "paging ana by file",
        "ana has it (by story)",
        "ana is commander",
        "severity raised: P1 → P0: ana: all are hit",
        "scribe",
        "status update: to responders, identified: a disk is full",
        "done elsewhere: rollback version v41 (ana)",
        "resolved:",
    ]
    positions = [next((at for at, line in enumerate(lines) if words in line), -1) for words in expected]
    assert -1 not in positions, lines
    assert positions == sorted(positions)
    assert len(lines) == len(set(lines))


async def test_what_was_said_in_the_room_is_not_echoed_there(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    await town.fires("Down")
    place = next(key for key, one in workspace.rooms.items() if one.name.startswith("inc-"))
    await ask(town, Verb.NOTE, text="from the desk")
    await ask(town, Verb.NOTE, text="from here", place=f"slack:{place}", post="1.2", said_at="1")
    await ask(town, Verb.NOTE, text="only talk", kind="chat", place=f"slack:{place}", post="1.3", said_at="1")
    await ask(town, Verb.ACKNOWLEDGE, place=f"slack:{place}", post="1.4", said_at="1")
    lines = heard(workspace)
    assert [line for line in lines if line.startswith("note")] == ["note: from the desk (ana)"]
    assert not [line for line in lines if "talk" in line]
    assert [line for line in lines if "has it" in line] == ["ana has it (by story)"]


async def test_a_storm_is_a_few_posts_and_delays_no_page(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    workspace.troubles["chat.postMessage"] = (503, {})
    await town.fires("Down")
    assert town.paged == ["ana"]
    for number in range(120):
        await town.fires("Down", instance=str(number), settle=False)
    town.settle()
    del workspace.troubles["chat.postMessage"]
    town.wait(minutes=2)
    joined = [line for line in heard(workspace) if line.startswith("alert joined")]
    assert len(joined) == 1
    assert "more like it" in joined[0]
    assert len(workspace.rooms) == 3
    assert len(room(workspace).messages) <= 5


async def test_what_came_while_slack_was_away_is_told_together_and_the_rest_counted(
    town: Town, workspace: Slack
) -> None:
    await roomed(town, SLACK)
    await town.fires("Down")
    workspace.troubles["chat.postMessage"] = (503, {})
    for number in range(UNSAID_MAX + 12):
        await town.asks(Verb.NOTE, "ana", f"note {number} {'x' * 100}")
    del workspace.troubles["chat.postMessage"]
    town.wait(minutes=10)
    posts = [one["blocks"][0]["text"]["text"] for one in room(workspace).messages[1:]]
    assert all(len(one) <= POST_MAX for one in posts)
    assert any("earlier lines are in the timeline only" in one for one in posts)
    numbers = [int(line.split()[2]) for line in heard(workspace) if line.startswith("note: note ")]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == UNSAID_MAX + 11


async def test_a_post_whose_answer_was_lost_is_there_once(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    await town.fires("Down")
    town.wait(minutes=0.1)
    workspace.troubles["chat.postMessage"] = "lost"
    await town.asks(Verb.NOTE, "ana", "only once")
    town.wait(minutes=2)
    assert len([line for line in heard(workspace) if "only once" in line]) == 1
    assert said(town, "given-up") == []


async def test_hostile_text_mentions_nobody_and_links_nothing_in_slack(town: Town, workspace: Slack) -> None:
    await roomed(town, SLACK)
    await town.fires(HOSTILE)
    await ask(town, Verb.NOTE, text=HOSTILE)
    await ask(town, Verb.IMPACT, text=HOSTILE)
    posts = room(workspace).messages[1:]
    assert len(posts) >= 3
    for post in posts:
        assert (post["parse"], post["link_names"], post["unfurl_links"], post["mrkdwn"]) == (
            "none",
            False,
            False,
            False,
        )
        assert "<" not in post["text"]
        assert {block["text"]["type"] for block in post["blocks"]} == {"plain_text"}
        shown = post["text"] + json.dumps(post["blocks"])
        assert not [one for one in ("@channel", "@here", "@all", "<!", "<@", "](") if one in shown]


async def test_hostile_text_mentions_nobody_and_links_nothing_in_mattermost(town: Town, server: Mattermost) -> None:
    await roomed(town, f"mattermost+room+http://${{MM}}@127.0.0.1:{server.port}/ops")
    await town.fires(HOSTILE)
    await ask(town, Verb.NOTE, text=HOSTILE)
    (here,) = server.channels.values()
    posts = [text for key, text in here.posts.items() if key not in here.pinned]
    assert len(posts) >= 2
    for text in posts:
        marks = "```" if "\n" in text else "`"
        inner = text.removeprefix(marks).removesuffix(marks)
        assert text == f"{marks}{inner}{marks}"
        assert "`" not in inner
    assert all(one["props"]["tocsin_message"] for one in here.said if one["id"] not in here.pinned)


async def test_other_services_get_posts_and_a_silent_one_keeps_nobody(town: Town) -> None:
    both = [
        {"name": "discord", "contact": f"file://{town.pages}"},
        {"name": "elsewhere", "contact": f"file://{town.pages}", "services": ["other"]},
        {"name": "broken", "contact": "slack+bot://${NONE}@acme/C0ALERTS", "severities": ["P1"]},
    ]
    files = {"severity.yaml": SEVERITY, "oncall.yaml": oncall(town.pages), "rooms.yaml": json.dumps({"posts": both})}
    await town.loads(files)
    await town.fires("Quiet", severity="info")
    await town.fires("Down")
    town.wait(minutes=0.1)
    (one,) = [one for one in town.incidents if one.severity is Severity.P1]
    await town.appender.append(Command(Verb.ACKNOWLEDGE, one.key, "ben", "story"), town.now)
    town.wait(minutes=0.1)
    posts: list[dict[str, Any]] = [one for one in town.messages if one["kind"] == "post"]
    assert {one["title"] for one in posts} == {"P1 Down"}
    assert [line for one in posts for line in one["body"].splitlines() if "has it" in line]
    assert town.paged == ["ana"]
    assert any("secret NONE is not set" in line.text for line in town.timeline(one) if line.what == "given-up")
