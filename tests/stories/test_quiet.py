"""Stories of nights on which somebody is left to sleep, through the real door, a real store and the real workers."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from tests.stories.town import SEVERITY, Town, oncall
from triage import silences
from triage.memory import SILENCE
from triage.model import MINUTE, Decision, Millis, Phase, Severity, SilenceAsked
from triage.silence import Silence, Words
from triage.store import keys
from triage.store.memory import value_of

SERVICES = """
services:
  checkout: {depends_on: [payments]}
  payments: {depends_on: [db]}
  db: {}
"""
NIGHTS = SEVERITY.replace(
    "rules:\n",
    """time_intervals:
  night: [{times: [{start_time: "00:00", end_time: "06:00"}, {start_time: "22:00", end_time: "24:00"}],
           location: Europe/Berlin}]
rules:
""",
    1,
)


async def load(town: Town, **more: str) -> None:
    files = {"severity.yaml": SEVERITY, "oncall.yaml": oncall(town.pages), "services.yaml": SERVICES}
    await town.loads(files | {f"{name}.yaml": text for name, text in more.items()})


async def silence(
    town: Town,
    *matchers: str,
    minutes: float | None = None,
    after_resolve: Millis | None = None,
    spared: tuple[Severity, ...] = (),
    by: str = "ana",
) -> None:
    ends_at = None if minutes is None else town.now + int(minutes * MINUTE)
    words = Words((matchers,), ends_at=ends_at, after_resolve=after_resolve, comment="deploy", by=by, spared=spared)
    await town.appender.append(silences.asked("deploy", words, by, "story"), town.now)
    town.settle()


async def expire(town: Town) -> None:
    await town.appender.append(SilenceAsked("deploy", "ana", "story"), town.now)
    town.settle()


def standing(town: Town) -> Silence:
    raw = cast("bytes", town.client.hget(keys.family(SILENCE), "deploy"))
    return cast("Silence", value_of(SILENCE, raw))


def became(town: Town, answer: dict[str, Any]) -> Decision:
    """Return what became of the one event of an accepted request."""
    ((_, fields),) = cast("Any", town.client.xrange(keys.DECISIONS, answer["entry"], answer["entry"]))
    (decision,) = msgspec.msgpack.decode(fields[b"d"], type=list[Decision])
    return decision


async def test_a_silence_on_an_open_incident_pauses_paging_and_step_1_begins_anew_at_its_end(town: Town) -> None:
    await town.fires("Down")
    assert town.paged == ["ana"]
    await silence(town, 'service="shop"', minutes=60)
    town.wait(minutes=45)
    assert town.paged == ["ana"], "step 2 would have been due long ago"
    assert town.told == ["Silence deploy ends in 15m"], "its author is warned"
    assert town.incident.phase is Phase.DETECTED, "what is silenced counts as firing, and the incident stays open"
    town.wait(minutes=14)
    assert town.paged == ["ana"]
    town.wait(minutes=1)
    assert town.paged == ["ana", "ana"], "at once, at its end"
    town.wait(minutes=5)
    assert town.paged == ["ana", "ana", "ben"]
    whats = [line.what for line in town.timeline(town.incident)]
    assert whats.index("paused") < whats.index("resumed")


async def test_a_silence_that_is_ended_early_has_everything_decided_again_at_once(town: Town) -> None:
    await silence(town, 'service="shop"', minutes=240)
    held = became(town, await town.fires("Down"))
    assert (held.outcome, held.reason) == ("silenced", "silenced")
    town.wait(minutes=30)
    assert (town.incidents, town.paged) == ([], [])
    await expire(town)
    assert town.paged == ["ana"]


async def test_a_silence_spares_the_worst(town: Town) -> None:
    await silence(town, 'service=~"shop|checkout"', minutes=60, spared=(Severity.P0,))
    await town.fires("Down", service="shop")
    assert town.paged == []
    await town.fires("Down", service="checkout")
    assert town.paged == ["ana"]
    assert town.incident.severity is Severity.P0


async def test_a_silence_ends_ten_minutes_after_its_alert_resolved(town: Town) -> None:
    await silence(town, 'service="shop"', after_resolve=10 * MINUTE)
    await town.fires("Down")
    town.wait(hours=2)
    await town.ends("Down")
    town.wait(minutes=9)
    assert standing(town).ended_at is None
    town.wait(minutes=1)
    assert standing(town).ended_at == town.now
    await town.fires("Down")
    assert town.paged == ["ana"]


async def test_a_downtime_over_the_end_of_a_silence_pages_once_and_late_is_no_repeat(town: Town) -> None:
    await town.fires("Down")
    await silence(town, 'service="shop"', minutes=30)
    town.wait(minutes=10)
    town.sleep(minutes=60)
    town.settle()
    assert town.paged == ["ana", "ana"]
    town.wait(minutes=4)
    assert town.paged == ["ana", "ana"]


async def test_maintenance_of_a_service_leaves_the_others_awake(town: Town) -> None:
    window = '{service: shop, from: "2026-03-02T11:00:00Z", to: "2026-03-02T14:00:00+02:00", comment: move}'
    await load(town, quiet=f"maintenance: {{move: {window}}}")
    town.wait(minutes=61)
    assert became(town, await town.fires("Down")).reason == "maintenance"
    await town.fires("Down", service="checkout")
    assert [one.service for one in town.incidents] == ["checkout"]
    await town.ends("Down", service="checkout")
    town.wait(minutes=58)
    assert town.paged == ["ana"]
    town.wait(minutes=1)
    assert town.paged == ["ana", "ana"], "12:00 UTC is 14:00 at its offset; the shop still fires"


async def test_a_recurring_mute_holds_each_night_on_the_wall_clock_of_its_zone(town: Town) -> None:
    muted = "mutes: {batch: {matchers: ['alertname=\"BatchSlow\"'], during: night}}"
    await load(town, quiet=muted, severity=NIGHTS)
    town.wait(hours=11)  # 22:00 in Berlin
    assert became(town, await town.fires("BatchSlow")).reason == "muted"
    await town.ends("BatchSlow")
    town.wait(hours=6)  # 04:00
    await town.fires("BatchSlow")
    town.wait(hours=1, minutes=59)
    assert town.paged == []
    town.wait(minutes=1)
    assert town.paged == ["ana"], "06:00 in Berlin, and it still fires"


async def test_what_a_source_inhibits_is_told_when_the_source_ends(town: Town) -> None:
    node = "{source_matchers: ['alertname=\"NodeDown\"'], target_matchers: ['alertname!=\"NodeDown\"'], equal: [node]}"
    await load(town, quiet=f"inhibitions: {{node: {node}}}")
    await town.fires("NodeDown", node="n1", service="nodes")
    held = became(town, await town.fires("Down", node="n1"))
    assert (held.outcome, held.reason) == ("inhibited", "inhibited")
    await town.fires("Slow", node="n1", service="search")
    await town.ends("Slow", node="n1", service="search")
    await town.acks("ana")
    town.wait(minutes=20)
    assert town.paged == ["ana"]
    await town.ends("NodeDown", node="n1", service="nodes")
    assert town.paged == ["ana", "ana"]
    assert [one.title for one in town.incidents] == ["NodeDown", "Down"], "what ended meanwhile is never told"


async def test_what_depends_on_a_broken_service_is_told_when_that_is_mended(town: Town) -> None:
    await load(town, quiet="depends_on: true")
    await town.fires("Down", service="db")
    held = became(town, await town.fires("Down", service="checkout"))
    assert (held.outcome, held.reason) == ("inhibited", "depends-on")
    await town.acks("ana")
    town.wait(minutes=20)
    assert len(town.incidents) == 1
    await town.ends("Down", service="db")
    assert [(one.service, one.phase) for one in town.incidents] == [
        ("db", Phase.MONITORING),
        ("checkout", Phase.DETECTED),
    ]
    assert town.paged == ["ana", "ana"]


async def test_an_alert_that_flaps_pages_once_is_held_and_gives_an_account_when_it_settles(town: Town) -> None:
    await load(town, quiet="flapping: {changes: 5, within: 10m, settled_after: 10m}")
    for _ in range(2):
        await town.fires("LinkDown")
        town.wait(minutes=1)
        await town.ends("LinkDown")
        town.wait(minutes=1)
    before = len(town.paged)
    await town.fires("LinkDown")
    (said,) = [one for one in town.messages if one["kind"] == "page"][before:]
    assert said["title"] == "P1 flapping: LinkDown"
    assert "Flapping: LinkDown: 5 changes in 4m" in said["body"]
    await town.acks("ana")
    for number in range(21):
        held = became(town, await (town.fires if number % 2 else town.ends)("LinkDown"))
        assert (held.outcome, held.reason) == ("held", "flapping")
        town.wait(minutes=1)
    assert len(town.paged) == before + 1, "twenty-one changes later nobody was paged again"
    assert (town.incident.phase, town.incident.firing) == (Phase.TRIAGED, 1)
    assert "reopened" not in [line.what for line in town.timeline(town.incident)[-3:]]
    told = len(town.told)
    town.wait(minutes=9)
    assert town.incident.phase is Phase.MONITORING
    (account,) = town.messages[-1:]
    assert town.told[told:] == ["All clear: LinkDown"]
    assert "LinkDown is over: it flapped for 20m and has not changed for 10m since; 21 changes" in account["body"]
    town.wait(minutes=61)
    assert [one.phase for one in town.incidents] == [Phase.RESOLVED]


async def test_a_downtime_while_it_flaps_settles_it_once(town: Town) -> None:
    await load(town, quiet="flapping: {changes: 3, within: 10m}")
    for number in range(4):
        await (town.ends if number % 2 else town.fires)("LinkDown")
    before = len(town.messages)
    town.sleep(minutes=90)
    town.settle()
    after = [(one["person"], one["title"]) for one in town.messages[before:] if one["kind"] != "page"]
    assert sorted(after) == [("ana", "All clear: LinkDown"), ("ben", "All clear: LinkDown")], "ben was paged late"
    assert (town.incident.phase, town.incident.flapping) == (Phase.MONITORING, 0)
