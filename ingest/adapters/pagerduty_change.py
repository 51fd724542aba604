"""PagerDuty's change events, at `/v2/change/enqueue`: for jobs that send them there already.

https://developer.pagerduty.com/docs/send-change-event. The source's `secret` is the routing key that they send.
`custom_details` may name `service`, `version` and `environment`.
"""

from __future__ import annotations

import hmac
from typing import Any

from ingest.adapter import Read, Request, Unreadable
from ingest.change import make_change, time_or_none
from ingest.reading import fields, mapping
from ingest.wording import text_of

paths = ("/v2/change/enqueue",)


def authenticate(request: Request, secret: bytes) -> str | None:
    """Compare the routing key with the source's secret."""
    try:
        given = text_of(fields(request).get("routing_key"))
    except Unreadable:
        given = ""
    same = hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret)
    return None if same else "routing_key is not the one that this source has as its secret"


def read(request: Request) -> Read:
    """Read one change event."""
    found = fields(request)
    payload = mapping(found, "payload")
    summary = text_of(payload.get("summary")).strip()
    if not summary:
        raise Unreadable("payload.summary", "missing: say in a sentence what changed")
    details = mapping(payload, "custom_details")
    words = {name: text_of(details.get(name)).strip() for name in ("service", "version", "environment", "user", "id")}
    change = make_change(
        request,
        "deploy" if words["version"] else "change",
        summary,
        service=words["service"],
        version=words["version"],
        at=time_or_none(payload.get("timestamp")),
        environment=words["environment"],
        by=words["user"] or text_of(payload.get("source")),
        url=_link(found.get("links")),
        identity=words["id"],
    )
    return Read([], changes=[change])


def _link(links: Any) -> str:
    first = links[0] if isinstance(links, list) and links else None
    return text_of(first.get("href")) if isinstance(first, dict) else ""


def answer(read: Read) -> tuple[int, bytes, str] | None:
    """Answer as PagerDuty does: some clients look at it."""
    return 202, b'{"status":"success","message":"Change event processed"}', "application/json"
