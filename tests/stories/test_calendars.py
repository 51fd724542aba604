"""Stories of schedules that import a calendar: read by a worker, told to the journal, followed by pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import msgspec

from tests.stories.town import SEVERITY, START, Town
from tests.unit.workers.http_server import Provider, serving
from triage.model import DAY, HOUR, MINUTE
from triage.store import keys, rotas
from workers import outbound
from workers.calendar_job import Job
from workers.calendar_reader import answer
from workers.calendars import AGAIN_MS, FAULT_AGAIN, TRIES, Calendars

ONCALL = """
people:
  ana: {{name: Ana Example, contact: ['file://{pages}']}}
  ben: {{name: Ben Example, contact: ['file://{pages}']}}
  eve: {{name: Eve, contact: ['file://{pages}']}}
schedules:
  primary:
    time_zone: Europe/Berlin
    layers: [{{users: [eve], start: "2026-01-05T09:00", every: 1w}}]
    ical: {{{where}, every: 15m}}
policies: {{default: {{rounds: 1, steps: [{{notify: [schedule:primary], wait: 5m}}]}}}}
operators: [eve]
last_resort: [eve]
"""


def text(*events: tuple[int, int, str]) -> str:
    """A calendar of events: from and to in hours after the story began, and a title."""
    inside = [
        line
        for number, (begin, end, title) in enumerate(events)
        for line in (
            "BEGIN:VEVENT",
            f"UID:{number}",
            f"DTSTART:{stamp(begin)}",
            f"DTEND:{stamp(end)}",
            f"SUMMARY:{title}",
            "END:VEVENT",
        )
    ]
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *inside, "END:VCALENDAR", ""))


def stamp(hours: int) -> str:
    days, hour = divmod(10 + hours, 24)
    return f"202603{2 + days:02}T{hour:02}0000Z"


def files(pages: Path, where: str, **more: str) -> dict[str, str]:
    return {"severity.yaml": SEVERITY, "oncall.yaml": ONCALL.format(pages=pages, where=where), **more}


def reader(town: Town, **secrets: str) -> Calendars:
    return Calendars(town.client, town.clock, secrets.get, lambda job, _: answer(msgspec.json.decode(job, type=Job)))


def look(town: Town, calendars: Calendars) -> int:
    """Let a worker look; what it found is decided. Time has passed for the store's keys too."""
    for key in town.client.scan_iter(keys.calendar("*")):
        town.client.delete(key)
    count = calendars.look()
    town.settle()
    return count


async def test_who_the_calendar_says_is_paged_and_the_layers_cover_its_gaps(town: Town) -> None:
    held = {"cal/a.ics": text((0, 2, "Ana Example"), (3, 9, "On Call - Ben Example - Primary"))}
    await town.loads(files(town.pages, "file: cal/a.ics", **held))
    assert look(town, reader(town)) == 1
    await town.fires("Down")
    town.wait(hours=2, minutes=30)
    await town.fires("Full", service="billing")
    town.wait(hours=1)
    await town.fires("Slow", service="search")
    first = {one["title"]: (one["person"], "on call in primary" in one["body"]) for one in reversed(town.messages)}
    assert {title: who for title, who in first.items() if title.startswith("P")} == {
        "P1 Down": ("ana", True),
        "P1 Full": ("eve", True),
        "P1 Slow": ("ben", True),
    }


def said(town: Town) -> int:
    """Return how many entries the journal has but for ticks, by which an idle one keeps its time."""
    return sum(fields[b"k"] != b"tick" for _, fields in cast("Any", town.client.xrange(keys.JOURNAL)))


async def test_the_same_calendar_again_is_no_entry_and_a_changed_one_is(town: Town) -> None:
    await town.loads(files(town.pages, "file: cal/a.ics", **{"cal/a.ics": text((0, 9, "Ana Example"))}))
    calendars = reader(town)
    look(town, calendars)
    before = said(town)
    look(town, calendars)
    town.wait(hours=24)
    look(town, calendars)
    assert said(town) == before
    await town.loads(files(town.pages, "file: cal/a.ics", **{"cal/a.ics": text((20, 40, "Ben Example"))}))
    look(town, calendars)
    await town.fires("Down")
    assert town.paged == ["ben"]


async def test_a_calendar_that_fails_keeps_its_content_and_the_operator_hears_of_it_once(town: Town) -> None:
    provider = Provider(200, text((0, 90, "Ana Example")).encode())
    outbound.allow(["127.0.0.0/8"])
    try:
        with serving(provider) as port:
            await town.loads(files(town.pages, 'url: "http://127.0.0.1:${PORT}/a.ics"'))
            calendars = reader(town, PORT=str(port))
            look(town, calendars)
            provider.status, provider.body = 503, b"busy"
            for _ in range(3 * TRIES):
                town.wait(minutes=AGAIN_MS / MINUTE)
                look(town, calendars)
            assert town.told == ["Tocsin needs care: The calendar of schedule primary cannot be read"]
            known = rotas.calendar(town.client, "primary")
            assert known is not None
            assert "HTTP 503" in known.fault
            assert known.fault_at == START + TRIES * AGAIN_MS
            await town.fires("Down")
            assert town.paged == ["ana"]
            town.wait(hours=FAULT_AGAIN / HOUR)
            look(town, calendars)
            assert [title for title in town.told if "calendar" in title] == 2 * town.told[:1]
            provider.status, provider.body = 200, text((0, 90, "Ben Example")).encode()
            look(town, calendars)
            known = rotas.calendar(town.client, "primary")
            assert known is not None
            assert (known.fault, {one[2] for one in known.shifts}) == ("", {"ben"})
    finally:
        outbound.allow([])


async def test_a_name_that_nobody_has_is_told_and_its_shift_is_nobodys(town: Town) -> None:
    held = {"cal/a.ics": text((0, 9, "Zoe Unknown"))}
    await town.loads(files(town.pages, "file: cal/a.ics", **held))
    look(town, reader(town))
    assert town.told == [
        "Tocsin needs care: The calendar of schedule primary names people whom oncall.yaml does not know"
    ]
    await town.fires("Down")
    assert town.paged == ["eve"]


async def test_a_schedule_that_imports_no_more_forgets_its_calendar(town: Town) -> None:
    rules = files(town.pages, "file: cal/a.ics", **{"cal/a.ics": text((0, 9, "Ana Example"))})
    await town.loads(rules)
    look(town, reader(town))
    assert town.client.hlen(keys.family("calendar")) == 1
    lines = [line for line in rules["oncall.yaml"].splitlines() if "ical:" not in line]
    await town.loads({**rules, "oncall.yaml": "\n".join(lines)})
    assert town.client.hlen(keys.family("calendar")) == 0
    await town.fires("Down")
    assert town.paged == ["eve"]


async def test_only_one_worker_reads_until_it_is_time_again(town: Town) -> None:
    await town.loads(files(town.pages, "file: cal/a.ics", **{"cal/a.ics": text((0, 9, "Ana Example"))}))
    first, second = reader(town), reader(town)
    assert (first.look(), second.look(), first.look()) == (1, 0, 0)
    (key,) = [*town.client.scan_iter(keys.calendar("*"))]
    assert 0 < town.client.pttl(key) <= 15 * MINUTE < DAY
