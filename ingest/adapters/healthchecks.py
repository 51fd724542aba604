"""Healthchecks' integration "Webhook", whose body the user writes with placeholders, or leaves out for a GET.

https://healthchecks.io/docs/configuring_notifications/. Recommended, for down and for up alike:

    {"uuid":"$CODE","name":$NAME_JSON,"slug":"$SLUG","status":"$STATUS","tags":"$TAGS","now":"$NOW",
     "exitstatus":"$EXITSTATUS","body":$BODY_JSON}

`$JSON`, alone or as the field `check`, works too, and so do query parameters of the same names, with the code in the
query or at the end of the path. Placeholders that were not expanded count as missing.
"""

from __future__ import annotations

import re
from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.reading import fields, mapping, plain_text
from ingest.wording import Refused, claimed_time, make_event, safe_url, status_of, text_of
from triage.model import Event, Kind, Status, fingerprint_of

methods = frozenset({"GET", "POST", "PUT"})
_UNEXPANDED: Final = re.compile(r"\$[A-Z][A-Z0-9_]*")
_OURS: Final = ("grace",)


def read(request: Request) -> Read:
    """Read one notification."""
    try:
        found = fields(request)
    except Unreadable as fault:
        if "not valid JSON" not in fault.reason:
            raise
        hint = 'In the template write $NAME_JSON and $BODY_JSON, without quotes, instead of "$NAME" and "$BODY"'
        raise Unreadable(fault.field, f"{fault.reason}. {hint}") from None
    return Read([_event(request, {**found, **mapping(found, "check")} | _outer(found))])


def _outer(found: dict[str, Any]) -> dict[str, Any]:
    """Return what the template says about the notification itself, which counts more than the check in `$JSON`."""
    return {name: found[name] for name in ("status", "now", "body") if _word(found, name)}


def _word(found: dict[str, Any], *names: str) -> str:
    """Return the first of these fields that is there and was expanded, as text."""
    for name in names:
        text = text_of(found.get(name)).strip()
        if text and not _UNEXPANDED.fullmatch(text):
            return text
    return ""


def _event(request: Request, found: dict[str, Any]) -> Event:
    name, slug = _word(found, "name"), _word(found, "slug")
    code = (
        _word(found, "uuid", "code", "id") or plain_text(request.rest).strip("/") or _code_in(_word(found, "ping_url"))
    )
    known_as = code or slug or name
    if not known_as:
        raise Unreadable("uuid", 'missing: put "uuid":"$CODE" into the template, or $CODE at the end of the URL')
    status = _status(found, name, slug)
    annotations = {
        label: value
        for label, value in (
            ("description", _word(found, "desc")),
            ("body", _word(found, "body")),
            ("exitstatus", _word(found, "exitstatus")),
            ("last_ping", _word(found, "last_ping")),
        )
        if value and (label, value) != ("exitstatus", "-1")
    }
    moment = claimed_time(_word(found, "now", "at", "time"), "now", annotations)
    heading = name or slug or known_as
    return make_event(
        request,
        status=status,
        fingerprint=fingerprint_of(request.source.name, known_as),
        labels=_labels(found, heading, slug, code),
        annotations=annotations,
        title=f"{heading} is {_word(found, 'status')}",
        starts_at=moment if status is Status.FIRING else None,
        ends_at=moment if status is Status.RESOLVED else None,
        url=safe_url(_word(found, "url", "details_url")),
        kind=Kind.CHECK,
    )


def _status(found: dict[str, Any], name: str, slug: str) -> Status:
    word = _word(found, "status", "state")
    if not word:
        raise Unreadable("status", 'missing: put "status":"$STATUS" into the template, or status=$STATUS into the URL')
    if name == "TEST" and not slug:
        return Status.INFO  # the integration's test button notifies about a check of this name that does not exist
    try:
        return Status.INFO if word in _OURS else status_of(word)
    except Refused as fault:
        raise Unreadable(fault.field, fault.reason) from None


def _labels(found: dict[str, Any], name: str, slug: str, code: str) -> dict[str, str]:
    labels = {"alertname": name, "check": slug or name, "check_id": code}
    labels = {label: value for label, value in labels.items() if value}
    for wish in ("severity", "service", "team", "env"):
        if _word(found, wish):
            labels[wish] = _word(found, wish)
    for tag in _word(found, "tags").replace(",", " ").split():
        # `severity=critical` or `service:shop` as a tag is what people write for want of labels.
        tag_name, sign, value = tag.replace(":", "=", 1).partition("=")
        labels.setdefault(tag_name if sign and tag_name and value else f"tag_{tag}", value or "true")
    return labels


def _code_in(ping_url: str) -> str:
    return ping_url.rstrip("/").rpartition("/")[2]
