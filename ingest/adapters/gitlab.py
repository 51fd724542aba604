"""GitLab's webhooks as changes: deployments and releases.

https://docs.gitlab.com/user/project/integrations/webhook_events/. Triggers: "Deployment events", "Releases events". The
source's `secret` is the webhook's secret token. Whatever else is sent is answered 202 and is no change.
"""

from __future__ import annotations

import hmac
import re
from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.change import make_change, time_or_none
from ingest.reading import fields, mapping
from ingest.wording import text_of
from triage.model import Change

_ROLLS_BACK: Final = re.compile(r"roll ?back|revert", re.IGNORECASE)
_SHORT: Final = 12


def authenticate(request: Request, secret: bytes) -> str | None:
    """Compare the secret token, which GitLab sends as it is."""
    given = request.headers.get("x-gitlab-token", "").encode("utf-8", "surrogateescape")
    return None if hmac.compare_digest(given, secret) else "X-Gitlab-Token is not the source's secret"


def read(request: Request) -> Read:
    """Read one delivery."""
    found = fields(request)
    kind = text_of(found.get("object_kind"))
    if not kind:
        raise Unreadable("object_kind", "missing: this is no webhook of GitLab")
    make = {"deployment": _deployment, "release": _release}.get(kind)
    change = make(request, found) if make is not None else None
    return Read([], changes=[change] if change is not None else [])


def _repository(found: dict[str, Any]) -> str:
    return text_of(mapping(found, "project").get("path_with_namespace"))


def _deployment(request: Request, found: dict[str, Any]) -> Change | None:
    if text_of(found.get("status")) != "success":
        return None
    title = text_of(found.get("commit_title"))
    user = mapping(found, "user")
    return make_change(
        request,
        "rollback" if _ROLLS_BACK.match(title) else "deploy",
        title or text_of(found.get("ref")),
        version=_version(found),
        at=time_or_none(found.get("status_changed_at")),
        environment=text_of(found.get("environment")),
        by=text_of(user.get("username")) or text_of(user.get("name")),
        url=text_of(found.get("deployable_url")),
        repository=_repository(found),
        identity=f"gitlab/deployment/{text_of(found.get('deployment_id'))}",
    )


def _version(found: dict[str, Any]) -> str:
    """Return the tag that was deployed, if it was one, else the commit."""
    ref = text_of(found.get("ref"))
    commit = text_of(found.get("short_sha")) or text_of(found.get("sha"))[:_SHORT]
    return ref if re.match(r"v?\d", ref) else commit


def _release(request: Request, found: dict[str, Any]) -> Change | None:
    if text_of(found.get("action")) != "create":
        return None
    tag = text_of(found.get("tag"))
    return make_change(
        request,
        "release",
        text_of(found.get("name")) or tag,
        version=tag,
        at=time_or_none(found.get("released_at")),
        url=text_of(found.get("url")),
        repository=_repository(found),
        identity=f"gitlab/release/{text_of(found.get('id')) or tag}",
    )
