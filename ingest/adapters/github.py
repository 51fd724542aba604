"""GitHub's webhooks as changes: deployments, releases, and workflows that are called like a deploy.

https://docs.github.com/en/webhooks/webhook-events-and-payloads. Events: "Deployment statuses", "Releases", "Workflow
runs". The source's `secret` is the webhook's. Whatever else is sent is answered 202 and is no change.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Any, Final

from ingest.adapter import Read, Request, Unreadable
from ingest.change import make_change, time_or_none
from ingest.reading import fields, mapping, parse_json
from ingest.wording import text_of
from triage.model import Change

_DEPLOYS: Final = re.compile(r"deploy|release|rollback|roll back", re.IGNORECASE)
_ROLLS_BACK: Final = re.compile(r"roll ?back|revert", re.IGNORECASE)
_SHORT: Final = 12
_WRONG: Final = "X-Hub-Signature-256 is not the HMAC of this body with the source's secret"


def authenticate(request: Request, secret: bytes) -> str | None:
    """Check the signature over the body as it came, a form's included."""
    given = request.headers.get("x-hub-signature-256", "")
    if not given:
        return "X-Hub-Signature-256 is missing: set the source's secret in the webhook too"
    made = f"sha256={hmac.new(secret, request.body, hashlib.sha256).hexdigest()}"
    return None if hmac.compare_digest(given.encode("utf-8", "surrogateescape"), made.encode()) else _WRONG


def read(request: Request) -> Read:
    """Read one delivery."""
    found = fields(request)
    if "payload" in found and isinstance(found["payload"], str):  # a webhook that is set to send a form
        data = parse_json(found["payload"], "payload")
        found = data if isinstance(data, dict) else {}
    kind = request.headers.get("x-github-event", "")
    if not kind:
        raise Unreadable("X-GitHub-Event", "missing: this is no webhook of GitHub")
    make = {"deployment_status": _deployment, "release": _release, "workflow_run": _workflow}.get(kind)
    change = make(request, found) if make is not None else None
    return Read([], changes=[change] if change is not None else [])


def _repository(found: dict[str, Any]) -> str:
    return text_of(mapping(found, "repository").get("full_name"))


def _deployment(request: Request, found: dict[str, Any]) -> Change | None:
    status, deployment = mapping(found, "deployment_status"), mapping(found, "deployment")
    if text_of(status.get("state")) != "success":
        return None
    ref, task = text_of(deployment.get("ref")), text_of(deployment.get("task"))
    return make_change(
        request,
        "rollback" if _ROLLS_BACK.search(task) else "deploy",
        text_of(status.get("description")) or text_of(deployment.get("description")) or ref,
        version=text_of(deployment.get("sha"))[:_SHORT] or ref,
        at=time_or_none(status.get("created_at")),
        environment=text_of(deployment.get("environment")),
        by=text_of(mapping(status, "creator").get("login")) or text_of(mapping(found, "sender").get("login")),
        url=text_of(status.get("log_url")) or text_of(status.get("target_url")),
        repository=_repository(found),
        identity=f"github/deployment/{text_of(deployment.get('id'))}",
    )


def _release(request: Request, found: dict[str, Any]) -> Change | None:
    release = mapping(found, "release")
    if text_of(found.get("action")) not in ("published", "released"):
        return None
    tag = text_of(release.get("tag_name"))
    return make_change(
        request,
        "release",
        text_of(release.get("name")) or tag,
        version=tag,
        at=time_or_none(release.get("published_at")),
        by=text_of(mapping(release, "author").get("login")),
        url=text_of(release.get("html_url")),
        repository=_repository(found),
        identity=f"github/release/{text_of(release.get('id'))}",
    )


def _workflow(request: Request, found: dict[str, Any]) -> Change | None:
    run = mapping(found, "workflow_run")
    name = text_of(run.get("name"))
    if text_of(found.get("action")) != "completed" or text_of(run.get("conclusion")) != "success":
        return None
    if not _DEPLOYS.search(name):
        return None
    return make_change(
        request,
        "rollback" if _ROLLS_BACK.search(name) else "deploy",
        text_of(mapping(run, "head_commit").get("message")).partition("\n")[0] or name,
        version=text_of(run.get("head_sha"))[:_SHORT],
        at=time_or_none(run.get("updated_at")),
        by=text_of(mapping(run, "actor").get("login")),
        url=text_of(run.get("html_url")),
        repository=_repository(found),
        identity=f"github/run/{text_of(run.get('id'))}/{text_of(run.get('run_attempt'))}",
    )
