"""Our own JSON for changes, at `/v1/changes`: an object or an array of them. See docs/changes.md.

{"service": "shop", "version": "4.18.2", "kind": "deploy", "summary": "fix cart", "environment": "production"}
"""

from __future__ import annotations

from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.change import MAX_CHANGES, make_change
from ingest.reading import fields, parse_json
from ingest.times import NotATime, millis
from ingest.wording import Refused, kind_of, text_of
from triage.model import Change, Rejected

paths = ("/v1/changes",)
KNOWN: Final = (
    "service", "kind", "summary", "version", "at", "environment", "by", "url", "repository", "id", "verified",
)  # fmt: skip


def read(request: Request) -> Read:
    """Read one change, or several."""
    data = parse_json(request.body) if request.body.lstrip()[:1] == b"[" else fields(request)
    items = data if isinstance(data, list) else [data]
    if not items or len(items) > MAX_CHANGES:
        raise Unreadable("body", f"expected one to {MAX_CHANGES} changes, not {len(items)}")
    found = Read([])
    for index, item in enumerate(items):
        try:
            found.changes.append(_change(request, item))
        except Refused as fault:
            found.rejected.append(Rejected(f"[{index}]", fault.field, fault.reason))
    if not found.changes:
        first = found.rejected[0]
        raise Unreadable(f"{first.where}.{first.field}" if len(items) > 1 else first.field, first.reason)
    return found


def _change(request: Request, item: Any) -> Change:
    if not isinstance(item, dict):
        raise Refused("change", f"expected an object, not {kind_of(item)}")
    unknown = next((name for name in item if name not in KNOWN), None)
    if unknown is not None:
        raise Refused(str(unknown)[:100], f"a change has no such field; it has {', '.join(KNOWN)}")
    for name, value in item.items():
        if isinstance(value, (dict, list)):
            raise Refused(name, f"expected a text, not {kind_of(value)}")
    words = {name: text_of(item.get(name)).strip() for name in KNOWN}
    service = words["service"] or request.source.labels.get("service", "")
    if not (service or words["repository"] or words["summary"]):
        raise Refused("service", "say what changed: service, repository or summary")
    if words["verified"] not in ("", "true", "false"):
        raise Refused("verified", "expected true or false")
    try:
        at = millis(item.get("at"))
    except NotATime as fault:
        raise Refused("at", str(fault)) from None
    return make_change(
        request,
        words["kind"] or ("deploy" if words["version"] else "change"),
        words["summary"],
        service=service,
        version=words["version"],
        at=at,
        environment=words["environment"],
        by=words["by"],
        url=words["url"],
        repository=words["repository"],
        identity=words["id"],
        verified=words["verified"] == "true",
    )
