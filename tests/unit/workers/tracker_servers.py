"""Trackers for tests: each speaks as much of its documented protocol as creating an issue needs, errors included."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.workers.http_server import running

Answer = tuple[int, dict[str, str], Any]
"""Status, headers, and what is answered as JSON."""
TOKEN = "tracker-token-12345"


@dataclass
class Tracker:
    """What was created, by which keys it was asked, and what is answered next instead of the usual."""

    answers: Callable[[Tracker, str, dict[str, str], Any], Answer]
    created: list[Any] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    instead: list[Answer] = field(default_factory=list)
    cuts: bool = False


def github(tracker: Tracker, path: str, headers: dict[str, str], body: Any) -> Answer:
    """`POST /repos/{owner}/{repo}/issues`: 201 with html_url, 401, 404, 422."""
    if headers.get("authorization") != f"Bearer {TOKEN}":
        return 401, {}, {"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}
    if path != "/repos/acme/operations/issues" or not headers.get("user-agent"):
        return 404, {}, {"message": "Not Found"}
    if not isinstance(body.get("title"), str) or not isinstance(body.get("labels", []), list):
        error = {"resource": "Issue", "code": "missing_field", "field": "title"}
        return 422, {}, {"message": "Validation Failed", "errors": [error]}
    tracker.created.append(body)
    number = len(tracker.created)
    issue = {"id": 1, "number": number, "state": "open", "title": body["title"], "body": "x" * 9_000}
    return 201, {}, {**issue, "html_url": f"https://github.example.org/acme/operations/issues/{number}"}


def jira(tracker: Tracker, path: str, headers: dict[str, str], body: Any) -> Answer:
    """`POST /rest/api/2/issue`: 201 with id, key and self; 400 with errors by field; 401."""
    if headers.get("authorization") != "Basic " + base64.b64encode(f"bot:{TOKEN}".encode()).decode():
        return 401, {}, {"errorMessages": ["Client must be authenticated to access this resource."], "errors": {}}
    fields = body.get("fields", {})
    if path != "/rest/api/2/issue" or not fields.get("summary") or "\n" in fields["summary"]:
        return 400, {}, {"errorMessages": [], "errors": {"summary": "You must specify a summary of the issue."}}
    if not fields.get("project", {}).get("key") or not fields.get("issuetype", {}).get("name"):
        return 400, {}, {"errorMessages": [], "errors": {"project": "valid project is required"}}
    tracker.created.append(fields)
    key = f"OPS-{len(tracker.created)}"
    return 201, {}, {"id": "10000", "key": key, "self": "https://jira.example.org/rest/api/2/issue/10000"}


def gitlab(tracker: Tracker, path: str, headers: dict[str, str], body: Any) -> Answer:
    """`POST /api/v4/projects/{id}/issues`: 201 with iid and web_url; 400; 401."""
    if headers.get("private-token") != TOKEN:
        return 401, {}, {"message": "401 Unauthorized"}
    if path != "/api/v4/projects/42/issues" or not body.get("title"):
        return 400, {}, {"message": {"title": ["can't be blank"]}}
    tracker.created.append(body)
    number = len(tracker.created)
    return 201, {}, {"iid": number, "web_url": f"https://gitlab.example.org/acme/operations/-/issues/{number}"}


def linear(tracker: Tracker, path: str, headers: dict[str, str], body: Any) -> Answer:
    """`POST /graphql`: 200 with data, or with errors."""
    if headers.get("authorization") != TOKEN:
        return 400, {}, {"errors": [{"message": "Authentication required, not authenticated"}]}
    given = body.get("variables", {}).get("input", {})
    if path != "/graphql" or "issueCreate" not in body.get("query", "") or not given.get("teamId"):
        return 200, {}, {"errors": [{"message": "Argument Validation Error"}], "data": None}
    tracker.created.append(given)
    issue = {"url": f"https://linear.example.org/acme/issue/OPS-{len(tracker.created)}"}
    return 200, {}, {"data": {"issueCreate": {"success": True, "issue": issue}}}


@contextmanager
def serving(tracker: Tracker) -> Iterator[int]:
    """Serve a tracker on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            assert headers["content-type"].startswith("application/json")
            body = json.loads(self.rfile.read(int(headers.get("content-length", "0"))))
            tracker.keys.append(headers["idempotency-key"])
            answer = tracker.instead.pop(0) if tracker.instead else tracker.answers(tracker, self.path, headers, body)
            if tracker.cuts:
                return
            status, more, said = answer
            raw = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(raw))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        yield port
