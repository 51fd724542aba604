"""The text of a postmortem, made from what is remembered and from the timeline. No model, and no judgement of people.

It is Markdown. What alerts and people wrote is put in as plain text: its marks mean nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from triage import curves
from triage.measured import Measures
from triage.model import HOUR, MINUTE, SECOND, Incident, Line, Millis, short
from triage.postmortem import Item, Postmortem, day_of
from triage.rulebook.durations import counted

LINES_MAX: Final = 300
"""How many lines of the timeline a postmortem shows; it says how many it leaves out."""
TIMELINE_MAX: Final = 20_000
"""How many characters the timeline has at most: notes may be long, and all of it must fit into one postmortem."""
LISTED_MAX: Final = 4_000
"""How many characters each list of lines of one kind has at most."""
WHYS: Final = 5
_MARKS: Final = re.compile(r"([\\`*_\[\]<>#|~{}])")
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_QUIET: Final = frozenset(
    {
        "withdrawn",
        "notification",
        "joined",
        "delivered",
        "planned",
        "mistapped",
        "reminded",
        "postmortem",
        "item",
        "recalled",
        "metrics",
    }
)
"""Kinds of lines that the timeline of a postmortem leaves out: they say again what others say, or nothing happened."""
_PAGED: Final = frozenset(
    {"page", "acknowledged", "unacknowledged", "forgotten", "unreachable", "given-up", "withheld"}
)
_TRIED: Final = frozenset({"action", "mitigation", "phase"})
_SEEN: Final = frozenset({"finding", "hypothesis"})
_CHANGED: Final = frozenset({"changed"})
_RECALLED: Final = frozenset({"recalled"})


def plain(text: str) -> str:
    """Return text that means nothing in Markdown, on one line."""
    return _MARKS.sub(r"\\\1", _BREAKS.sub(" ", text)).strip()


def span(of: Millis) -> str:
    """Return how long, in its two largest units."""
    minutes, hours = of // MINUTE % 60, of // HOUR
    if hours:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{minutes} min" if minutes else f"{of // SECOND} s"


def clock(at: Millis, zone: str) -> str:
    """Return a time in UTC and, where that is another, by that zone's clock."""
    moment = datetime.fromtimestamp(at / 1_000, UTC)
    utc = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return utc if zone == "UTC" else f"{utc} ({moment.astimezone(ZoneInfo(zone)).strftime('%H:%M %Z')})"


def read_as_one(key: str, timelines: Mapping[str, Sequence[Line]]) -> list[Line]:
    """Return the lines of an incident and of those merged into it, in the order of time; what is not its own says whose
    it is. Each timeline is oldest first.
    """
    lines = [
        line if whose == key else msgspec.structs.replace(line, text=f"{short(whose)}: {line.text}")
        for whose, told in timelines.items()
        for line in told
    ]
    return sorted(lines, key=lambda line: line.at)


def markdown(
    incident: Incident,
    lines: Sequence[Line],
    found: Postmortem,
    zone: str = "UTC",
    changes: Sequence[str] = (),
    measures: Measures | None = None,
) -> str:
    """Return the text. `lines` are the timeline, oldest first; `changes` say what was deployed before, as sentences;
    `measures` is what was read of its metrics.
    """
    parts = [
        f"# Postmortem: {plain(incident.title)}",
        _facts(incident, found, zone),
        _section("Summary", [_summary(incident, zone)]),
        _section("Impact", [plain(incident.impact) or "_Whom did it hurt, how many, for how long?_"]),
        _section("Timeline", _timeline(lines, zone)),
        *_measured(measures, zone),
        _section("Who was paged", _listed(lines, _PAGED, zone) or ["Nobody."]),
        _section("What changed before", _bullets(changes) or _listed(lines, _CHANGED, zone) or ["Nothing is known."]),
        *_seen_before(lines, zone),
        _section("What was done", _listed(lines, _TRIED, zone) or ["Nothing is noted."]),
        _section("What was found", _listed(lines, _SEEN, zone) or ["Nothing is noted."]),
        _section("Resolution", [plain(incident.resolution) or "_How did it end?_"]),
        _section("Root cause", [plain(incident.root_cause) or "_Why did it happen?_", "", *_whys(found.whys)]),
        _section("Contributing causes", _bullets(found.contributing) or ["_What made it more likely, or worse?_"]),
        _section("What went well", _bullets(found.well) or ["_What helped?_"]),
        _section("What went badly", _bullets(found.badly) or ["_What hindered? Where was there luck?_"]),
        _section("Action items", _items(found.items)),
    ]
    return "\n".join(parts) + "\n"


def _section(title: str, lines: Iterable[str]) -> str:
    return "\n".join([f"\n## {title}\n", *lines])


def _bullets(texts: Iterable[str]) -> list[str]:
    return [f"- {plain(text)}" for text in texts]


def _facts(incident: Incident, found: Postmortem, zone: str) -> str:
    ended = incident.resolved_at
    rows = [
        ("Incident", short(incident.key)),
        ("Severity", incident.severity.name),
        ("Service", plain(incident.service)),
        ("Began", clock(incident.opened_at, zone)),
        ("Acknowledged after", _after(incident, incident.taken_at)),
        ("Mitigated after", _after(incident, incident.mitigating_at)),
        ("Ended", clock(ended, zone) if ended is not None else "not yet"),
        ("Lasted", _after(incident, ended)),
        ("Alerts", str(incident.alerts)),
        ("Pages", str(incident.pages)),
        *((role.value.capitalize(), plain(who)) for role, who in sorted(incident.roles.items())),
        ("Written by", plain(found.owner)),
    ]
    return "\n".join(["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows if value)])


def _after(incident: Incident, at: Millis | None) -> str:
    return "" if at is None else span(max(0, at - incident.opened_at))


def _summary(incident: Incident, zone: str) -> str:
    where = f" of {plain(incident.service)}" if incident.service else ""
    who = next(iter(incident.calls), "")
    first = f"{clock(incident.opened_at, zone)}: {incident.severity} incident{where}, “{plain(incident.title)}”"
    parts = [f"{first}, with {counted(incident.alerts, 'alert')}."]
    if incident.taken_at is not None:
        paged = f"{plain(who)} was paged first; it" if who else "It"
        parts.append(f"{paged} was acknowledged after {_after(incident, incident.taken_at)}.")
    if incident.resolved_at is not None:
        by = f" by {plain(incident.resolved_by)}" if incident.resolved_by else ""
        parts.append(f"It was resolved{by} after {_after(incident, incident.resolved_at)}.")
    return " ".join(parts)


def _line(line: Line, zone: str) -> str:
    by = f" — {plain(line.by)}" if line.by else ""
    return f"- {clock(line.at, zone)} · **{line.what}** · {plain(line.text)}{by}"


def _timeline(lines: Sequence[Line], zone: str) -> list[str]:
    shown = [line for line in lines if line.what not in _QUIET]
    return _fitting(shown, zone, TIMELINE_MAX) or ["Nothing is kept."]


def _measured(measures: Measures | None, zone: str) -> list[str]:
    """Return what the metrics say, where any were read."""
    if measures is None:
        return []
    told = [text for one in measures.told for text in curves.listed(measures.query, one, lambda at: clock(at, zone))]
    return [_section("What was measured", _bullets(dict.fromkeys(told)))] if told else []


def _listed(lines: Sequence[Line], kinds: frozenset[str], zone: str) -> list[str]:
    return _fitting([line for line in lines if line.what in kinds], zone, LISTED_MAX)


def _fitting(lines: Sequence[Line], zone: str, most: int) -> list[str]:
    """Return the first lines that fit into `most` characters, and how many more there are."""
    told: list[str] = []
    for line in lines[:LINES_MAX]:
        told.append(_line(line, zone))
        most -= len(told[-1])
        if most < 0 and len(told) > 1:
            told.pop()
            break
    left = len(lines) - len(told)
    return [*told, f"- … {left} more lines are in the incident's timeline"] if left else told


def _seen_before(lines: Sequence[Line], zone: str) -> list[str]:
    """Return what was to be done since earlier incidents; most incidents have no such section."""
    recalled = _listed(lines, _RECALLED, zone)
    return [_section("Seen before", recalled)] if recalled else []


def _whys(whys: Sequence[str]) -> list[str]:
    """Ask why five times: until the answer is something that can be changed."""
    given = [plain(why) for why in whys]
    asked = given + ["_…_"] * (WHYS - len(given))
    return [f"{number}. Why? {why}" for number, why in enumerate(asked, 1)]


def _items(items: Sequence[Item]) -> list[str]:
    if not items:
        return ["_Few enough to be done, each with an owner and a date._"]
    rows = []
    for one in items:
        due = day_of(one.due) if one.due is not None else ""
        kind = "follow-up" if one.follow_up else "action"
        rows.append(
            f"| {one.id} | {plain(one.text)} | {kind} | {plain(one.owner)} | {due} | {one.priority} | {one.state} |"
        )
    return ["| id | what | kind | owner | due | priority | state |", "|---|---|---|---|---|---|---|", *rows]
