"""What a message says, from the facts that triage decided. Plain text, whatever the alerts contain.

Alert text is hostile: control characters would break a header, `<!channel>` would wake everybody, and a Markdown link
would say one thing and open another. All of it is made harmless here, once, for every channel.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from triage import links
from triage.model import SECOND, Effect, EffectKind, Millis, Phase
from triage.sandbox import Failed, time_of
from workers.channel import Message, scheme_of
from workers.templates import NONE, VALUES, Templates

TITLE_MAX: Final = 200
LINE_MAX: Final = 500
TEXT_MAX: Final = 2_000
DOCUMENT_MAX: Final = 50_000
"""Longest text of a published postmortem, which is Markdown and stays so."""
DIGITS_MAX: Final = 15
"""Longest number that is read as a time."""
LINKS: Final = ("http://", "https://", "mailto:")

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_ANGLE: Final = re.compile(r"<(?=[!@#/a-zA-Z])")
_MENTION: Final = re.compile(r"@(?=(?:here|channel|everyone|all|room|group|subteam)\b)", re.IGNORECASE)
_LINK: Final = re.compile(r"\](?=[(\[])")


class Worded(NamedTuple):
    """A message, and what the operators should hear of its wording, or ""."""

    message: Message
    remark: str


def worded(
    effect: Effect,
    external_url: str = "",
    repeat: bool = False,
    link_secret: bytes = b"",
    templates: Templates = NONE,
) -> Worded:
    """Return the message for one effect as the operators word it; built in where they do not, or their template fails.

    The parameters are those of `message`.
    """
    made = message(effect, external_url, repeat, link_secret)
    kind = EffectKind.PAGE if effect.kind is EffectKind.UPDATE else effect.kind
    template = templates.find(scheme_of(effect.target), kind.value)
    if template is None or effect.facts.get("drill"):  # whose words are ours: nobody may take it for a real page
        return Worded(made, "")
    try:
        title, _, text = template.render(_values(effect, made), TEXT_MAX).strip().partition("\n")
    except Failed as fault:
        return Worded(made, f"the built-in wording was used, since a template failed: {fault}")
    again = " (possible repeat)" if made.possible_repeat else ""
    head = clean(title, TITLE_MAX)
    lines = [clean(line, LINE_MAX) for line in text.strip("\n").splitlines()]
    body = "\n".join([*lines, "", f"Message {effect.id}{again}"])
    return Worded(msgspec.structs.replace(made, title=f"{head}{again}" if head else made.title, body=body), "")


def _values(effect: Effect, made: Message) -> dict[str, str]:
    """Return what a template may say, each value harmless by itself."""
    facts = effect.facts
    given = {name: facts.get(name, "") for name in VALUES}
    given |= {"title": effect.title or given["title"], "severity": effect.severity.name, "kind": effect.kind.value}
    acknowledge = _how(facts, made.url, made.answer_url, made.number) if _asks(effect) else ""
    harmless = {name: clean(value, LINE_MAX) for name, value in given.items()}
    return harmless | {
        "text": "\n".join(_said(facts)),
        "person": clean(effect.person, LINE_MAX),
        "id": effect.id,
        "repeat": "possible repeat" if made.possible_repeat else "",
        "link": made.url,
        "runbook": _runbook(facts, made.url),
        "acknowledge": acknowledge,
        "answer_url": made.answer_url,
        "number": made.number,
        "promised": _promised(facts, effect.made_at),
    }


def message(effect: Effect, external_url: str = "", repeat: bool = False, link_secret: bytes = b"") -> Message:
    """Return the message for one effect. `repeat`: an earlier copy may have arrived already.

    `external_url` is where people reach Tocsin, for the link when the facts have none; "" when nobody said.
    With it and `link_secret` a page carries the link that acknowledges it, and the number to tap there.
    """
    facts = effect.facts
    again = repeat or effect.ambiguous
    link = link_of(effect, external_url)
    token = links.token_for(link_secret, effect) if external_url else ""
    answer_url = f"{external_url.rstrip('/')}/a/{token}" if token else ""
    number = str(links.number_of(link_secret, effect.id)) if token else ""
    lines = [
        *_lines(effect, link, answer_url, number),
        "",
        f"Message {effect.id}" + (" (possible repeat)" if again else ""),
    ]
    return Message(
        id=effect.id,
        kind=effect.kind,
        title=_title(effect, facts, again),
        body="\n".join(lines),
        severity=effect.severity,
        url=link,
        possible_repeat=again,
        person=effect.person,
        incident=facts.get("public") or effect.incident,
        phase=clean(facts.get("phase", ""), LINE_MAX),
        answer_url=answer_url,
        number=number,
        taken_by=clean(facts.get("acked_by", ""), LINE_MAX),
        thread=facts.get("thread", ""),
        room=facts.get("room", ""),
        invite=tuple(filter(None, facts.get("invite", "").split(","))),
        ends=bool(facts.get("archive")),
        returns=bool(facts.get("restore")),
        topic=_topic(effect) if effect.kind is EffectKind.ROOM else "",
        said="\n".join(_said(facts)) if effect.kind is EffectKind.POST else "",
        word=links.word_of(link_secret, effect.id) if token else "",
    )


def _asks(effect: Effect) -> bool:
    """Tell whether a message asks to be acknowledged: a page does, and its update while nobody has the incident."""
    if effect.kind is EffectKind.UPDATE:
        return effect.facts.get("phase") == Phase.DETECTED and not effect.facts.get("acked_by")
    return effect.kind is EffectKind.PAGE


_SEVERITY_FIRST: Final = frozenset({EffectKind.PAGE, EffectKind.UPDATE, EffectKind.ROOM, EffectKind.POST})


def _title(effect: Effect, facts: Mapping[str, str], again: bool) -> str:
    """Return the one line that wakes somebody: how bad, what, and whether it may be a second copy."""
    parts = [clean(effect.title or facts.get("title", "") or "untitled", TITLE_MAX)]
    if effect.kind in _SEVERITY_FIRST and not facts.get("drill"):
        flaps = " flapping:" if effect.kind is EffectKind.PAGE and facts.get("flapping") else ""
        parts.insert(0, f"{facts.get('severity') or effect.severity}{flaps}")
    elif effect.kind is EffectKind.OPERATOR:
        parts.insert(0, "Tocsin needs care:")
    if again:
        parts.append("(possible repeat)")
    return " ".join(parts)


def _topic(effect: Effect) -> str:
    """Return what stands above a room, the title last, which may be long."""
    facts = effect.facts
    commander, due = clean(facts.get("commander", ""), LINE_MAX), _promised(facts, effect.made_at)
    named = (f"commander {commander}" if commander else "", f"next update {due}" if due else "")
    parts = (facts.get("severity", ""), facts.get("phase", ""), *named, clean(effect.title, TITLE_MAX))
    return " · ".join(filter(None, parts))


def _lines(effect: Effect, link: str, answer_url: str, number: str) -> list[str]:
    """Return the body, what to do first."""
    facts = effect.facts
    if effect.kind is EffectKind.DOCUMENT:
        return [_document_line(line) for line in facts.get("text", "")[:DOCUMENT_MAX].splitlines()]
    lines = [_how(facts, link, answer_url, number)] if _asks(effect) else []
    lines += _said(facts)
    if effect.kind is EffectKind.POST:
        return [*lines, *([f"Link: {link}"] if link else [])]
    if late := facts.get("late"):
        lines.append(f"This message is late by {clean(late, LINE_MAX)}.")
    for name, value in _rows(facts, link, effect.made_at):
        if value:
            lines.append(f"{name}: {value}")
    return lines


def _said(facts: Mapping[str, str]) -> list[str]:
    return [clean(line, LINE_MAX) for line in facts.get("text", "")[:TEXT_MAX].splitlines()]


def _document_line(line: str) -> str:
    """Return a line of Markdown that wakes nobody and drives no terminal."""
    harmless = _ANGLE.sub("< ", _CONTROL.sub(" ", line))
    return _MENTION.sub("@ ", harmless)


def _how(facts: Mapping[str, str], link: str, answer_url: str, number: str) -> str:
    if how := facts.get("how"):
        return clean(how, LINE_MAX)
    command = f"tocsin ack {clean(facts.get('incident', ''), LINE_MAX)}"
    if answer_url:
        return f"Acknowledge: tap {number} at {answer_url} or {command}"
    return f"Acknowledge: {link} or {command}" if link else f"Acknowledge: {command}"


def _promised(facts: Mapping[str, str], now: Millis) -> str:
    """Return when the next status update is promised for, by UTC and by the clock of whoever reads it; "" if not."""
    text, zone = facts.get("next_update", ""), facts.get("zone", "")
    if not (text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX):
        return ""
    due = datetime.fromtimestamp(int(text) / SECOND, tz=UTC)
    today = due.date() == datetime.fromtimestamp(now / SECOND, tz=UTC).date()
    words = due.strftime("%H:%M UTC" if today else "%Y-%m-%d %H:%M UTC")
    with contextlib.suppress(ValueError, OSError, ZoneInfoNotFoundError):  # this machine may know another tzdata
        here = due.astimezone(ZoneInfo(zone)) if zone else due
        words += f" ({here.strftime('%H:%M %Z')})" if here.utcoffset() else ""
    return f"{words}, which is overdue" if int(text) <= now else words


def _rows(facts: Mapping[str, str], link: str, now: Millis) -> list[tuple[str, str]]:
    incident = clean(facts.get("incident", ""), LINE_MAX)
    phase = clean(facts.get("phase", ""), LINE_MAX)
    return [
        ("Service", clean(facts.get("service", ""), LINE_MAX)),
        ("Since", time_of(facts.get("since", ""))),
        ("Reopened", clean(facts.get("reopened", ""), LINE_MAX)),
        ("Alerts", _alerts(facts)),
        ("Flapping", clean(facts.get("flapping", ""), LINE_MAX)),
        ("Changed", clean(facts.get("changed", ""), LINE_MAX)),
        ("Still open", clean(facts.get("still_open", ""), LINE_MAX)),
        ("Example", clean(facts.get("labels", ""), LINE_MAX)),
        ("Runbook", _runbook(facts, link)),
        ("Why you", clean(facts.get("why", ""), LINE_MAX)),
        ("Incident", f"{incident} ({phase})" if incident and phase else incident),
        ("Impact", clean(facts.get("impact", ""), LINE_MAX)),
        ("Over by", time_of(facts.get("eta", ""))),
        ("Next update promised", _promised(facts, now)),
        ("Responders", clean(facts.get("responders", ""), LINE_MAX)),
        ("Taken by", clean(facts.get("acked_by", ""), LINE_MAX)),
        ("Link", link),
    ]


def _runbook(facts: Mapping[str, str], link: str) -> str:
    """Return the runbook; for one that is kept here also where it is shown, with the steps to check off."""
    runbook = clean(facts.get("runbook", ""), LINE_MAX)
    return f"{runbook} {link}#runbook" if runbook.endswith(".md") and "/incidents/" in link else runbook


def _alerts(facts: Mapping[str, str]) -> str:
    total, firing = facts.get("alerts", ""), facts.get("firing", "")
    if not total.isdigit():
        return ""
    return f"{total}, {firing} firing" if firing.isdigit() else total


def link_of(effect: Effect, external_url: str) -> str:
    """Return the link to the incident; only schemes that are safe to open."""
    given = clean(effect.facts.get("link", ""), LINE_MAX)
    if given.lower().startswith(LINKS):
        return given
    if external_url and effect.facts.get("public"):  # who has no business with the incident
        return f"{external_url.rstrip('/')}/status"
    if external_url and effect.incident:
        return f"{external_url.rstrip('/')}/incidents/{effect.facts.get('incident') or effect.incident}"
    return ""


def clean(text: str, limit: int) -> str:
    """Return `text` as one harmless line of at most `limit` characters, the cut marked with an ellipsis."""
    text = _CONTROL.sub(" ", text[: 4 * limit]).replace("`", "'")
    text = _ANGLE.sub("< ", text)
    text = _MENTION.sub("@ ", text)
    text = _LINK.sub("] ", text).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
