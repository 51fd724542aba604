"""Reports by people: JSON from a help desk or a chat bot, or a plain HTML form.

Fields: `title` (or `summary`, or `message`), and, all optional, `description`, `service`, `severity`, `reporter` and
`url`. Reports about the same service are about the same thing; without a service the title tells. A report without a
token or signature is anonymous, and triage never pages on it alone.
"""

from __future__ import annotations

from typing import Any

from ingest.adapter import Read, Request, Unreadable
from ingest.reading import form, looks_like_json, parse_json
from ingest.wording import kind_of, make_event, text_of
from triage.model import Event, Kind, Status, fingerprint_of

methods = frozenset({"POST"})
paths = ("/v1/reports",)


def read(request: Request) -> Read:
    """Read one report."""
    if request.content_type == "application/json" or looks_like_json(request.body):
        data = parse_json(request.body)
        if not isinstance(data, dict):
            raise Unreadable("body", f"expected one report as a JSON object, not {kind_of(data)}")
        return Read([_event(request, data)])
    return Read([_event(request, dict(form(request)))])


def _event(request: Request, data: dict[str, Any]) -> Event:
    said = {name: text_of(data.get(name)).strip() for name in ("title", "summary", "message", "description")}
    title = said["title"] or said["summary"] or said["message"]
    if not title:
        raise Unreadable("title", "missing: say in one line what is wrong (title, summary or message)")
    service, severity = text_of(data.get("service")).strip(), text_of(data.get("severity")).strip()
    labels = {"alertname": "UserReport" if service else title, "service": service, "severity": severity}
    annotations = {
        "summary": title,
        "description": said["description"] or (said["message"] if said["message"] != title else ""),
        "reporter": text_of(data.get("reporter")).strip(),
    }
    identity = ("service", service.casefold()) if service else ("title", title.casefold())
    return make_event(
        request,
        status=Status.FIRING,
        fingerprint=fingerprint_of(request.source.name, *identity),
        labels={name: value for name, value in labels.items() if value},
        annotations={name: value for name, value in annotations.items() if value},
        title=title,
        url=data.get("url"),
        kind=Kind.REPORT,
    )
