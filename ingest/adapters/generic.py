"""Tocsin's own JSON, and any other JSON that `sources.yaml` maps by JMESPath.

Own: an object, or an array of objects, with `title` (or summary, message, name, subject) and, all optional, `status`
(firing when missing), `dedup_key`, `severity`, `description`, `labels`, `annotations`, `links`, `url`, `starts_at`,
`ends_at`, `source`. Without a `dedup_key` the title, the source and the labels are the identity. GoAlert's, Grafana
OnCall's and Apprise's generic bodies are near enough to be read as they are.

Mapped: `items` yields the list of items (else the body is the one item), and `mapping` names for each field above the
expression that finds it in an item; `labels.<name>` and `annotations.<name>` map single ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.jmes import BadExpression, evaluate
from ingest.reading import parse_json
from ingest.wording import (
    Refused,
    annotations_of,
    claimed_time,
    kind_of,
    labels_of,
    make_event,
    read_of,
    safe_url,
    status_of,
    text_of,
    within_limit,
)
from triage.model import Event, Rejected, Status, fingerprint_of, fingerprint_of_labels
from triage.rulebook.types import MAPPED

_TITLES: Final = ("title", "summary", "message", "name", "subject")
_KEYS: Final = ("dedup_key", "dedup", "alert_uid", "fingerprint")
_STATUSES: Final = ("status", "state", "action")
_SEVERITIES: Final = ("severity", "priority", "type")
_DESCRIPTIONS: Final = ("description", "details", "message")
_LABEL_FIELDS: Final = ("service", "team", "env", "environment", "cluster", "region", "host", "instance")
_URLS: Final = ("url", "link", "link_to_upstream_details")


def read(request: Request) -> Read:
    """Read one body, by the source's mapping where it has one."""
    data = parse_json(request.body)
    source = request.source
    if source.items:
        try:
            data = _evaluated(source.items, data, f"{source.name}.items")
        except Refused as fault:
            raise Unreadable(fault.field, fault.reason) from None
    items, where = (data, "items") if isinstance(data, list) else ([data], "")
    make: Callable[[Request, Any], Event] = _event
    if source.mapping:
        make = partial(_mapped, _split(request))
    events: list[Event] = []
    rejected: list[Rejected] = []
    for index, item in within_limit(items, where, rejected):
        try:
            events.append(make(request, item))
        except Refused as fault:
            rejected.append(Rejected(f"{where}[{index}]" if where else "", fault.field, fault.reason))
    return read_of(events, rejected)


def _evaluated(expression: str, data: object, setting: str) -> Any:
    try:
        return evaluate(expression, data)
    except BadExpression as error:
        raise Refused(setting, f"the expression {expression!r} fails on this body: {error}") from None


def _split(request: Request) -> list[tuple[str, str, str]]:
    """Return the mapping as (group, name, expression), with the group "" for the event's own fields."""
    found = []
    for field, expression in request.source.mapping.items():
        group, dot, name = field.partition(".")
        if (dot and group not in ("labels", "annotations")) or (not dot and field not in MAPPED):
            known = ", ".join(MAPPED)
            raise Unreadable(f"{request.source.name}.mapping.{field}", f"no such field: sources.yaml may map {known}")
        found.append((group, name, expression) if dot else ("", field, expression))
    return found


def _mapped(mapping: list[tuple[str, str, str]], request: Request, item: object) -> Event:
    """Return the event of an item whose fields the operator's expressions find."""
    plain: dict[str, Any] = {}
    single: dict[str, dict[str, Any]] = {"labels": {}, "annotations": {}}
    for group, name, expression in mapping:
        field = f"{group}.{name}" if group else name
        value = _evaluated(expression, item, f"{request.source.name}.mapping.{field}")
        (single[group] if group else plain)[name] = value
    for group, found in single.items():
        whole = plain.get(group)
        if whole is None or isinstance(whole, dict):
            plain[group] = {**(whole or {}), **found}
    return _event(request, plain)


def _first(item: dict[str, Any], names: tuple[str, ...]) -> str:
    return next((text for text in (text_of(item.get(name)).strip() for name in names) if text), "")


def _event(request: Request, item: object) -> Event:
    if not isinstance(item, dict):
        raise Refused("", f"expected an object, not {kind_of(item)}")
    title, word = _first(item, _TITLES), _first(item, _SEVERITIES)
    if not title:
        raise Refused("title", "missing: send title (or summary, message, name), or map it in sources.yaml")
    labels, origin = labels_of(item.get("labels")), text_of(item.get("source")).strip()
    key = _first(item, _KEYS)
    if key:
        fingerprint = fingerprint_of(request.source.name, "key", key)
    else:
        fingerprint = fingerprint_of(request.source.name, "title", title, origin, fingerprint_of_labels("", labels))
    status = _status(item, word)
    annotations = _annotations(item, title)
    starts_at = claimed_time(item.get("starts_at"), "starts_at", annotations)
    ends_at = claimed_time(item.get("ends_at"), "ends_at", annotations)
    return make_event(
        request,
        status=status,
        fingerprint=fingerprint,
        labels=_labels(item, labels, origin),
        annotations=annotations,
        title=title,
        raw_severity=word,
        starts_at=starts_at,
        ends_at=ends_at if status is Status.RESOLVED else None,
        url=_url(item),
    )


def _status(item: dict[str, Any], word: str) -> Status:
    said = _first(item, _STATUSES)
    if said:
        return status_of(said)
    # Apprise says how its message is meant only by `type`, and a success there closes nothing in particular.
    return Status.INFO if word == "success" and "type" in item else Status.FIRING


def _labels(item: dict[str, Any], labels: dict[str, str], origin: str) -> dict[str, str]:
    found = {name: text_of(item[name]) for name in _LABEL_FIELDS if isinstance(item.get(name), (str, int))}
    found.update({"alertname": text_of(item.get("name")), "origin": origin})
    return {name: value for name, value in found.items() if value} | labels


def _annotations(item: dict[str, Any], title: str) -> dict[str, str]:
    found = annotations_of(item.get("meta")) | annotations_of(item.get("annotations"))
    description = _first(item, _DESCRIPTIONS)
    if description and description != title:
        found.setdefault("description", description)
    links = item.get("links")
    for number, link in enumerate(links if isinstance(links, list) else [], 1):
        if isinstance(link, dict) and safe_url(link.get("href")):
            found[f"link_{text_of(link.get('text')) or number}"] = safe_url(link["href"])
    return found


def _url(item: dict[str, Any]) -> str:
    own = next((safe_url(item.get(name)) for name in _URLS if safe_url(item.get(name))), "")
    links = item.get("links")
    first = links[0] if isinstance(links, list) and links else None
    return own or (safe_url(first.get("href")) if isinstance(first, dict) else "")
