"""`tocsin oncall`: who is on call now and at any time, overrides, and a check of the year to come."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click

from tocsin.cli.common import FAILED, USAGE, Stop, with_settings
from tocsin.cli.listing import table
from tocsin.cli.verbs import JSON, OUTPUT, explained, plain, show_json
from tocsin.settings import CLIENT, SERVE, Settings

if TYPE_CHECKING:
    from triage.coverage import Load, Report
    from triage.rulebook import Rulebook
    from triage.rulebook.drills import DrillPlan

_FROM = click.option("--from", "start", default="", metavar="TIME", help="Like 2026-12-24T09:00; now if left out.")
YEAR_DAYS: Final = 366
SHOWN: Final = 10
"""How many gaps of one schedule are listed."""


@click.group()
def oncall() -> None:
    """Say who is on call, let somebody take over, check the year to come.

    Times without an offset are the wall clock of the schedule's zone.
    """


@oncall.command()
@click.option("--at", default="", metavar="TIME", help="Another time, in RFC 3339, like 2026-12-24T21:00:00+01:00.")
@OUTPUT
@with_settings(CLIENT)
def now(settings: Settings, at: str, output: str) -> None:
    """Say who is on call in every schedule."""
    from tocsin.remote import Remote

    with explained():
        found = Remote(settings).get("/api/v1/oncall", {"at": at} if at else None).body
    if output == JSON:
        show_json(found)
        return
    if not found["schedules"]:
        click.echo("There are no schedules; docs/on-call.md says how to write one.")
    rows = []
    for one in found["schedules"]:
        later = one["next"]
        then = f"{later['person']} from {_local(later['start'], one['time_zone'])}" if later else "-"
        for shift in one["on_call"] or [{"person": "nobody", "end": ""}]:
            until = _local(shift["end"], one["time_zone"]) if shift["end"] else "-"
            rows.append(tuple(map(plain, (one["schedule"], shift["person"], until, then))))
    if rows:
        table(("schedule", "on call", "until", "then"), rows)
    for one in found["schedules"]:
        _about_calendar(one["schedule"], one["calendar"])


def _about_calendar(schedule: str, calendar: dict[str, Any] | None) -> None:
    """Say what is amiss with the calendar that a schedule imports."""
    if calendar is None:
        return
    if not calendar["read_at"] and not calendar["fault"]:
        click.echo(f"CALENDAR  {schedule}: not read yet")
    if calendar["fault"]:
        click.echo(f"CALENDAR  {schedule}: {plain(calendar['fault'])}")
    for name in calendar["unknown"]:
        click.echo(f"CALENDAR  {schedule}: nobody is called “{plain(name)}”")


@oncall.command()
@click.argument("schedule")
@_FROM
@click.option("--days", default=14, show_default=True, type=click.IntRange(1, 366), help="How many days.")
@OUTPUT
@with_settings(CLIENT)
def show(settings: Settings, schedule: str, start: str, days: int, output: str) -> None:
    """Show a schedule as a calendar."""
    from datetime import UTC, datetime, timedelta

    from tocsin.remote import Remote

    remote = Remote(settings)
    path = f"/api/v1/oncall/{quote(schedule, safe='')}"
    with explained():
        query = {"from": start} if start else {}
        found = remote.get(path, query).body
        begin = _begin(start, found["time_zone"]) if start else datetime.now(UTC)
        query["to"] = (begin + timedelta(days=days)).isoformat(timespec="seconds")
        found = remote.get(path, query).body
    if output == JSON:
        show_json(found)
        return
    _calendar(found)


def _calendar(found: dict[str, Any]) -> None:
    here = found["time_zone"]
    click.echo(f"{found['of']}, wall clock of {here}")
    before = ""
    for shift in found["shifts"]:
        if before and shift["start"] > before:
            click.echo(f"{_local(before, here)}  -  {_local(shift['start'], here)}  NOBODY")
        by = "" if shift["via"] != "override" else "  (override)"
        click.echo(f"{_local(shift['start'], here)}  -  {_local(shift['end'], here)}  {plain(shift['person'])}{by}")
        before = max(before, shift["end"])
    if not found["shifts"]:
        click.echo("Nobody is on call in this time.")
    for one in found["overrides"]:
        span = f"{_local(one['start'], here)} - {_local(one['end'], here)}"
        click.echo(f"override {one['id']}: {plain(one['person'])} {span}, by {plain(one['by'])}")
    _about_calendar(found["of"], found["calendar"])


@oncall.command()
@click.argument("schedule")
@click.argument("person", required=False)
@_FROM
@click.option("--to", "end", default="", metavar="TIME", help="Until when.")
@click.option("--withdraw", default="", metavar="ID", help="Withdraw this override instead; `show` lists them.")
@with_settings(CLIENT)
def override(settings: Settings, schedule: str, person: str | None, start: str, end: str, withdraw: str) -> None:
    """Let PERSON take SCHEDULE for a time."""
    from tocsin.remote import Remote

    path = f"/api/v1/oncall/{quote(schedule, safe='')}/overrides"
    if bool(withdraw) == bool(person) or (person and not end):
        raise Stop("Give a PERSON with --to (and --from), or --withdraw with the id of an override.", USAGE)
    with explained():
        if withdraw:
            answer = Remote(settings).send("DELETE", f"{path}/{quote(withdraw, safe='')}")
        else:
            given = {"person": person, "to": end} | ({"from": start} if start else {})
            answer = Remote(settings).post(path, given)
    click.echo(f"{schedule}: {plain(str(answer.body['text']))}")


@oncall.command()
@click.argument("schedule")
@click.argument("person")
@click.argument("at")
@click.argument("other")
@click.argument("other_at")
@with_settings(CLIENT)
def swap(settings: Settings, schedule: str, person: str, at: str, other: str, other_at: str) -> None:
    """Let two people exchange two shifts: PERSON's at AT and OTHER's at OTHER_AT.

    Each time lies within the shift that is meant. It is refused when a shift is not theirs.
    """
    from tocsin.remote import Remote

    given = {"person": person, "at": at, "other": other, "other_at": other_at}
    with explained():
        answer = Remote(settings).post(f"/api/v1/oncall/{quote(schedule, safe='')}/swaps", given)
    click.echo(f"{schedule}: {plain(str(answer.body['text']))}")


@oncall.command()
@click.argument("name")
@click.option("--person", is_flag=True, help="NAME is a person, not a schedule.")
@with_settings(CLIENT)
def feed(settings: Settings, name: str, person: bool) -> None:
    """Print the address of an iCalendar feed, for a calendar to subscribe to.

    It holds a secret that opens feeds and nothing else.
    """
    from tocsin.remote import Remote

    with explained():
        path = f"/api/v1/oncall/{'people/' if person else ''}{quote(name, safe='')}"
        found = Remote(settings).get(path).body
    if not found["feed"]:
        raise Stop("A feed belongs to a token: give one with TOCSIN_ADMIN_TOKEN_FILE.")
    click.echo(found["feed"])


@oncall.command()
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--from", "start", default="", metavar="DATE", help="First day, like 2026-12-24; today if left out.")
@click.option("--days", default=YEAR_DAYS, show_default=True, type=click.IntRange(1, 800), help="How many days.")
@click.option(
    "--offline", is_flag=True, help="Fetch no calendars; the gaps of schedules that import one are not known then."
)
@with_settings(SERVE)
def check(settings: Settings, folder: Path | None, start: str, days: int, offline: bool) -> None:
    """Check the year to come: gaps, contact methods, calendars, changes of the clock, drills, load.

    FOLDER is by default --rules.path. Exits 1 when there are gaps or people who cannot be reached.
    """
    from tocsin.calendars import read_calendars
    from tocsin.rules import FolderError, read_folder
    from triage.coverage import examine
    from triage.model import DAY, MINUTE
    from triage.rulebook import RulesError, compile_files
    from triage.rulebook.wall import parse_wall

    path = folder or settings.rules_path
    try:
        files = read_folder(path)
        rulebook = compile_files(files)
        begin = parse_wall(start) * MINUTE if start else time.time_ns() // 1_000_000 // DAY * DAY
    except (FolderError, RulesError) as error:
        raise Stop(f"{error}\n`tocsin check` shows every problem in its place.", USAGE) from None
    except ValueError as error:
        raise Stop(f"--from: {error}", USAGE) from None
    end = begin + days * DAY
    report = examine(rulebook, begin, end, read_calendars(settings, rulebook, files, (begin, end), offline=offline))
    _show_report(rulebook, report)
    sys.exit(0 if report.good else FAILED)


def _show_report(rulebook: Rulebook, report: Report) -> None:
    for name, found in report.gaps.items():
        here = rulebook.schedules[name].time_zone
        for begin, end in found[:SHOWN]:
            click.echo(f"GAP  {name}: nobody from {_wall(begin, here)} to {_wall(end, here)} ({here})")
        if len(found) > SHOWN:
            click.echo(f"GAP  {name}: and {len(found) - SHOWN} more")
    for name, found in report.meant.items():
        empty = sum(end - begin for begin, end in found) / 3_600_000
        click.echo(f"partial  {name}: {empty:.0f} hours without anybody, as meant")
    for person, places in report.unreachable.items():
        click.echo(f"UNREACHABLE  {plain(person)} has no contact method, and is in {', '.join(places)}")
    for name, faults in report.calendars.items():
        for fault in faults:
            click.echo(f"CALENDAR  {name}: {plain(fault)}")
    if report.last_resort:
        click.echo(f"LAST RESORT  {report.last_resort}: the operators, then everybody, would be paged in its place")
    for name in report.skipped:
        click.echo(f"skipped  {name}: its calendar was not fetched, so its gaps are not known")
    for edge in report.edges:
        here = rulebook.schedules[edge.schedule].time_zone
        was, then = (", ".join(people) or "NOBODY" for people in (edge.people_before, edge.people_after))
        offsets = f"{_offset(edge.before)} to {_offset(edge.after)}"
        click.echo(f"clock  {edge.schedule}: {_wall(edge.at, here)} ({here} from {offsets}): {was}, then {then}")
    if report.loads:
        click.echo("")
        table(("person", "hours", "nights", "weekends", "shifts"), map(_load, report.loads))
    for name, times in report.drills.items():
        click.echo(_drill(rulebook.drills[name], times))
    if not report.drills:
        click.echo("no drills are planned: `tocsin drill TARGET --schedule CRON` prints what makes one come again")
    gaps = sum(map(len, report.gaps.values()))
    verdict = "good" if report.good else "not good"
    counts = f"{len(rulebook.schedules)} schedules, {gaps} gaps, {len(report.unreachable)} unreachable"
    click.echo(f"{counts}: {verdict}")


def _drill(plan: DrillPlan, times: list[int]) -> str:
    from triage.coverage import DRILLS_MAX

    whom = f"{plan.target}{', everybody of it' if plan.everybody else ''}"
    if not times:
        return f"drill  {plan.name}: {whom}: does not come in this time"
    more = f"{len(times)}{' or more' if len(times) == DRILLS_MAX else ''} times"
    return f"drill  {plan.name}: {whom}: due on {_wall(times[0], plan.time_zone)} ({plan.time_zone}), {more} in all"


def _load(load: Load) -> tuple[str, ...]:
    hours = f"{load.time / 3_600_000:.0f}"
    return plain(load.person), hours, str(load.nights), str(load.weekends), str(load.shifts)


def _wall(at: int, time_zone: str) -> str:
    from triage.rulebook.wall import show_wall, wall_of

    return show_wall(wall_of(at, time_zone)).replace("T", " ")


def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _moment(text: str) -> Any:
    from datetime import datetime

    return datetime.fromisoformat(text)


def _begin(text: str, time_zone: str) -> Any:
    """Return the time that the API took for `text`: a wall clock where it has no offset."""
    from datetime import UTC, datetime

    from triage.rulebook.wall import first, parse_wall

    given = _moment(text)
    if given.tzinfo is not None:
        return given
    return datetime.fromtimestamp(first(parse_wall(text), time_zone) / 1_000, UTC)


def _local(text: str, time_zone: str) -> str:
    """Return a time of the API on the wall clock of a zone."""
    return _wall(int(_moment(text).timestamp() * 1_000), time_zone)
