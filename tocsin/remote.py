"""Speaking to a running Tocsin over HTTP with the standard library alone, so that commands start at once."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from tocsin import starting
from tocsin.settings import Address, Settings

TIMEOUT_S: Final = 15.0


class Unreachable(RuntimeError):
    """Nobody answers there. The message names the URL and says what to do."""


class Denied(RuntimeError):
    """The token is missing or wrong."""


class Failed(RuntimeError):
    """Tocsin answered with an error; `status` is its HTTP status, the message its explanation."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Question(Failed):
    """Tocsin asks back: the message is its question, and the same again with `confirm` is the yes to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: HTTP status and the decoded JSON body (None when it was no JSON)."""

    status: int
    body: Any


class Remote:
    """A running Tocsin: by --url, else the one that this machine's `storage.path` knows of."""

    def __init__(self, settings: Settings) -> None:
        self.url = settings.url or _noted(settings) or f"http://{_reachable(settings.web_listen_address)}"
        self._token = settings.admin_token or starting.read_token(settings.storage_path)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET a path of the REST API. Raises Unreachable, Denied or Failed."""
        return self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """POST JSON to a path of the REST API. Raises Unreachable, Denied, Question or Failed."""
        raw = json.dumps(body).encode()
        return self.send("POST", path, raw, {"Content-Type": "application/json"})

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send one request with the admin token. Raises Unreachable, Denied, Question or Failed."""
        sent = {"Accept": "application/json", "User-Agent": "tocsin"} | dict(headers or {})
        if self._token and "Authorization" not in sent:
            sent["Authorization"] = f"Bearer {self._token}"
        request = urllib.request.Request(self.url + path, body, sent, method=method)  # noqa: S310  checked: http(s)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return Answer(answer.status, _decoded(answer.read()))
        except urllib.error.HTTPError as error:
            self._explain(error)
            raise
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(
                f"Nobody answers at {self.url} ({reason}). Start it with `tocsin up`, or give its address with --url."
            ) from None

    def _explain(self, error: urllib.error.HTTPError) -> None:
        problem = _decoded(error.read())
        said = problem if isinstance(problem, dict) else {}
        text = str(said.get("detail") or said.get("title") or error.reason)
        if error.code in (401, 403):
            raise Denied(
                f"{self.url} refuses this token: {text}. Give the right one in a file that TOCSIN_ADMIN_TOKEN_FILE "
                "names; `tocsin init` wrote one as admin.token into its --storage.path."
            ) from None
        raise (Question if said.get("confirm") is True else Failed)(error.code, text) from None


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _noted(settings: Settings) -> str:
    try:
        return (settings.storage_path / starting.URL_FILE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _reachable(address: Address) -> Address:
    """Return where to reach something that listens on every interface."""
    return Address("127.0.0.1", address.port) if address.host in {"0.0.0.0", "::"} else address  # noqa: S104
