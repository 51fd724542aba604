"""The call that puts an action item into a tracker: raw JSON as the operators word it, one try."""

from __future__ import annotations

import json
import re
import time
from typing import Any, Final

from triage.model import Effect, Ending, clean_text
from triage.rulebook.actions import fill_body, fill_url
from triage.rulebook.postmortems import Tracker
from triage.tickets import tracker_of
from workers import outbound
from workers.channel import Delivery
from workers.channels import webhook
from workers.outbound import Answer
from workers.secrets import Lookup, UnsetSecret, expand, scrub

LIMIT_S: Final = 8.0
"""How long the call may take, in seconds. Less than deliver gives a send."""
ANSWER_MAX: Final = 256 * 1024
"""How much of an answer is read, in bytes: trackers answer with the whole issue."""
SAID_MAX: Final = 300
URL_MAX: Final = 200
"""Longest address of a ticket that is kept, in characters."""
_LATER: Final = frozenset({408, 425, 429, 503})
"""What says that it was not taken, and will be later."""
_HEADERS: Final = {"Content-Type": "application/json", "Accept": "application/json"}
"""Sent along where the operators do not say otherwise."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def send(effect: Effect, link: str, lookup: Lookup) -> Delivery:
    """Make the call once. `link` is the address of the incident. The receipt is the address of the ticket, or ""."""
    tracker, values = tracker_of(effect), {**effect.facts, "link": link}
    body = json.dumps(fill_body(tracker.body, values, {}), ensure_ascii=False).encode()
    given = {name.lower() for name in tracker.headers}
    headers = {name: value for name, value in _HEADERS.items() if name.lower() not in given}
    headers["Idempotency-Key"] = effect.id
    try:
        url, hidden = expand(fill_url(tracker.url, values), lookup)
        for name, value in tracker.headers.items():
            headers[name], more = expand(value, lookup)
            hidden += more
        if tracker.secret:
            secret, more = expand(tracker.secret, lookup)
            hidden += more
            headers |= webhook.signature([webhook.key_of(secret)], effect.id, int(time.time()), body)
    except UnsetSecret as unset:
        return Delivery(Ending.GIVE_UP, f"the secret {unset.name} is not set where workers run")
    except webhook.Malformed as fault:
        return Delivery(Ending.GIVE_UP, str(fault))
    answer = outbound.call(tracker.method, url, body, headers, LIMIT_S, ANSWER_MAX)
    found = judge(answer, tracker) if isinstance(answer, Answer) else answer
    return Delivery(found.ending, scrub(found.reason, hidden), found.ambiguous, found.retry_after, found.receipt)


def judge(answer: Answer, tracker: Tracker) -> Delivery:
    """Return what an answer comes to. GitHub says 403 with Retry-After where others say 429."""
    said = _CONTROL.sub(" ", answer.body[: 4 * SAID_MAX].decode("utf-8", "replace")).strip()[:SAID_MAX]
    words = f"HTTP {answer.status}{': ' if said else ''}{said}"
    if 200 <= answer.status < 300:
        if not tracker.answer:
            return Delivery(Ending.DELIVERED, "the tracker took it")
        value = value_at(answer.body, tracker.answer)
        if not value:
            reason = f"its answer has no {tracker.answer}: {words}"
            return Delivery(Ending.TRY_AGAIN, reason, ambiguous=True)
        return Delivery(Ending.DELIVERED, "the tracker took it", receipt=_address(tracker, value))
    if answer.status in _LATER or (answer.status == 403 and answer.retry_after):
        return Delivery(Ending.TRY_AGAIN, words, retry_after=answer.retry_after)
    if answer.status >= 500:
        return Delivery(Ending.TRY_AGAIN, words, ambiguous=True)
    return Delivery(Ending.GIVE_UP, words)


def value_at(body: bytes, path: str) -> str:
    """Return the text or number that stands in JSON at a path like `data.issue.url`, or ""."""
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return clean_text(str(found)) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def _address(tracker: Tracker, value: str) -> str:
    """Return where people find the ticket: what a browser may open, uncut, and in plain ASCII."""
    url = fill_url(tracker.address, {"answer": value}) if tracker.address else value
    usable = url.startswith(("https://", "http://")) and len(url) <= URL_MAX
    return url if usable and re.fullmatch(r"[\x21-\x7e]+", url) else ""
