"""Every scheme without a channel of its own, through Apprise 2.2: chat, mail, SMS, push, incident services.

Apprise says "failed" and logs why. To tell a refusal from an outage we watch its HTTP requests (status, Retry-After,
kind of failure) in the same thread, and fall back on its log lines for what does not speak HTTP. One service object per
message: Apprise would otherwise sleep between messages, up to 5.5 s each.
"""

from __future__ import annotations

import contextvars
import logging
import re
import time
from collections.abc import Callable
from typing import Any, Final

import requests
from apprise import Apprise, AppriseAsset, AppriseResultStatus, NotifyFormat, NotifyType
from apprise.manager_plugins import NotificationManager
from apprise.result import AppriseResult

from triage.model import EffectKind, Ending, Millis, Severity
from workers import ntfy
from workers.channel import Delivery, Message, scheme_of
from workers.outbound import retry_after

LOCAL: Final = ("blink1", "dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows")
"""Schemes that act on the machine Tocsin runs on; a rule set must not reach them."""
BUSY: Final = frozenset({408, 425, 429})
REASON_MAX: Final = 300

_SERVICES: Final[Any] = NotificationManager()  # type: ignore[no-untyped-call]
_STATUS: Final = re.compile(r"\berror=(\d{3})\b")


class Seen:
    """What was observed of the HTTP requests of one attempt: the last answer, or the last failure."""

    __slots__ = ("failure", "retry_after", "status")

    def __init__(self) -> None:
        self.status = 0
        self.retry_after: Millis = 0
        self.failure: requests.RequestException | None = None


_seen: contextvars.ContextVar[Seen | None] = contextvars.ContextVar("tocsin_seen", default=None)


def _watch(send: Callable[..., requests.Response]) -> Callable[..., requests.Response]:
    """Wrap `requests.Session.send` so that an attempt of ours learns how its request ended. Others are not touched."""

    def watched(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen = _seen.get()
        try:
            response = send(self, request, **options)
        except requests.RequestException as failure:
            if seen is not None:
                seen.failure = failure
            raise
        if seen is not None:
            seen.status, seen.failure = response.status_code, None
            seen.retry_after = retry_after(response.headers.get("Retry-After", ""), time.time())
        return response

    return watched


def _harden() -> None:
    """Close what a contact method must not reach, and keep URLs, which hold tokens, out of every log."""
    _SERVICES.disable(*LOCAL)
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.CRITICAL)
    setattr(requests.Session, "send", _watch(requests.Session.send))  # noqa: B010  mypy forbids the plain form


_harden()


def services() -> frozenset[str]:
    """Return the schemes of all services that Apprise reaches, without what a rule set must not."""
    return frozenset(name for name in _SERVICES.schemas() if name not in LOCAL)


def send(target: str, message: Message) -> Delivery:
    """Hand `message` to the service that `target` names. Tries once."""
    asset = AppriseAsset(
        app_id="Tocsin",
        app_desc="Tocsin",
        app_url=message.url,
        image_url_mask="",  # Apprise's own icons would be fetched from a third party
        image_url_logo="",
        async_mode=False,
        secure_logging=True,
        service_timeout=0,  # with one, Apprise would send from a few threads that all providers share
        storage_mode="memory",
    )
    if scheme_of(target) in ntfy.SCHEMES:
        target = ntfy.dressed(target, message)
    service = Apprise.instantiate(target, asset=asset)
    if service is None:
        return Delivery(Ending.GIVE_UP, _unusable(target))
    setattr(service, "throttle", lambda *_, **__: None)  # noqa: B010  mypy forbids the plain form
    service.retry = 0
    service.attachment_support = False
    seen = Seen()
    mark = _seen.set(seen)
    try:
        apprise = Apprise(asset=asset)
        apprise.add(service)
        with apprise.notify(
            title=message.title,
            body=message.body,
            body_format=NotifyFormat.TEXT,
            notify_type=_type_of(message),
            interpret_escapes=False,
        ) as result:
            return judge(result, seen)
    finally:
        _seen.reset(mark)


def _type_of(message: Message) -> NotifyType:
    if message.kind is not EffectKind.PAGE:
        return NotifyType.INFO
    return NotifyType.FAILURE if message.severity <= Severity.P1 else NotifyType.WARNING


def _unusable(target: str) -> str:
    """Say why Apprise made nothing of a contact method, without repeating it."""
    scheme = scheme_of(target)
    if not scheme:
        return "the contact method is not a URL: write scheme://…"
    if scheme in LOCAL:
        return f"{scheme}:// is switched off: it would act on the machine that Tocsin runs on"
    if scheme not in _SERVICES.schemas():
        return f"no channel knows {scheme}://; Apprise's list of services has the spelling"
    return f"the {scheme}:// contact method is incomplete or malformed; Apprise's page for that service shows its form"


def judge(result: AppriseResult, seen: Seen) -> Delivery:
    """Return what one attempt came to, from Apprise's result and the HTTP answer behind it."""
    if result.status is AppriseResultStatus.SUCCESS:
        return Delivery(Ending.DELIVERED, "accepted by " + _name(result))
    said = _said(result)
    if seen.failure is not None:
        return _unanswered(seen.failure)
    status = seen.status or _status_in(said)
    if status:
        return _answered(status, seen.retry_after, said)
    # No HTTP, so only words are left. Trying again is the safe reading; the deadline ends it.
    return Delivery(Ending.TRY_AGAIN, _cut(said or "failed without saying why"), ambiguous="timed out" in said)


def _answered(status: int, pause: Millis, said: str) -> Delivery:
    reason = _cut(f"HTTP {status}: {said}" if said else f"HTTP {status}")
    if 200 <= status < 300:
        return Delivery(Ending.GIVE_UP, _cut(f"refused in its answer: {said}"))
    if status >= 500 or status in BUSY:
        # A gateway's 502 or 504 may hide a message that was taken.
        return Delivery(Ending.TRY_AGAIN, reason, ambiguous=status in {502, 504}, retry_after=pause)
    return Delivery(Ending.GIVE_UP, reason)


def _unanswered(failure: requests.RequestException) -> Delivery:
    """Tell failures before the message left (safe to repeat) from those after."""
    words = str(failure)
    if isinstance(failure, requests.exceptions.SSLError):
        return Delivery(Ending.TRY_AGAIN, "TLS failed: the provider's certificate was not accepted")
    if isinstance(failure, requests.exceptions.ConnectTimeout):
        return Delivery(Ending.TRY_AGAIN, "the provider did not take the connection in time")
    if isinstance(failure, requests.exceptions.Timeout):
        return Delivery(Ending.TRY_AGAIN, "the provider took the message but did not answer in time", ambiguous=True)
    if "NameResolution" in words or "getaddrinfo" in words:
        return Delivery(Ending.TRY_AGAIN, "the provider's host name does not resolve")
    if "refused" in words or "NewConnectionError" in words:
        return Delivery(Ending.TRY_AGAIN, "the provider refused the connection")
    if isinstance(failure, requests.exceptions.ConnectionError):
        return Delivery(Ending.TRY_AGAIN, "the connection broke before an answer came", ambiguous=True)
    return Delivery(Ending.GIVE_UP, f"the request could not be made ({type(failure).__name__})")


def _name(result: AppriseResult) -> str:
    return ", ".join(str(service.name) for service in result.results) or "the provider"


def _said(result: AppriseResult) -> str:
    """Return Apprise's warnings of the attempt as one line."""
    return " ".join(" ".join(str(entry.message).split()) for entry in result.logs())


def _status_in(said: str) -> int:
    found = _STATUS.search(said)
    return int(found[1]) if found else 0


def _cut(text: str) -> str:
    return text if len(text) <= REASON_MAX else text[: REASON_MAX - 1] + "…"
