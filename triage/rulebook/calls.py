"""What is checked of every call that operators write: its address, its headers, what `{name}` in it can mean, and
how to see whether all is well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from triage.model import MINUTE, SECOND, Millis
from triage.promql import unquoted
from triage.rulebook import secrets
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import VerifyShape
from triage.rulebook.types import Verification
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by shapes that are compiled here
    from triage.rulebook.metrics import Server
    from triage.rulebook.reading import Part

WITHIN_MAX: Final[Millis] = 60 * MINUTE
HOLE: Final = re.compile(r"(?<!\$)\{([a-z][a-z0-9_]*)\}")
HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
OWN: Final = frozenset({"host", "content-length", "connection", "transfer-encoding", "idempotency-key"})
"""Headers that are ours to send."""
CALLED: Final = "for example https://deploy.example.org/rollback/{service}; the host stands as it is"
ASKED: Final = "for example https://shop.example.org/health; the host stands as it is"
"""What an address looks like that is called, and one that is looked at."""


def holes(text: str) -> list[str]:
    """Return the names that stand in `{…}`."""
    return HOLE.findall(text)


class Calls:
    """Checks calls; what is wrong with them is added to `problems`. `servers` are those of metrics.yaml, by name."""

    def __init__(self, problems: list[Problem], servers: Mapping[str, Server] | None = None) -> None:
        self.problems = problems
        self.servers = servers or {}

    def fault(self, part: Part, place: Path, message: str, hint: str = "", key: bool = False) -> None:
        self.problems.append(part.document.problem(place, message, hint, key=key))

    def headers(self, part: Part, place: Path, given: Mapping[str, str]) -> None:
        """Check headers that are sent along."""
        for name, value in given.items():
            where: Path = (*place, name)
            fault = secrets.reference_fault(value)
            if not HEADER.match(name) or name.lower() in OWN:
                self.fault(part, where, f'"{name[:50]}" is no header that can be sent along', key=True)
            elif fault or not value.isascii() or not value.isprintable():
                self.fault(part, where, fault or "a header is one line of ASCII")
            elif "${" not in value and secrets.tells(name):
                self.fault(part, where, "a literal secret stands here", secrets.REMEDY)

    def address(self, part: Part, place: Path, url: str, known: set[str] | None, like: str = CALLED) -> None:
        """Check an address; `known` are the names that may stand in its path or query, `like` says how one looks."""
        try:
            parts = urlsplit(HOLE.sub("x", url))
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x20\x7f]", url) or holes(url.partition("://")[2].partition("/")[0]):
            self.fault(part, place, "this is no address", like)
            return
        if parts.username is not None:
            self.fault(
                part, place, "a user in an address is not sent", 'write headers: {Authorization: "Basic ${NAME}"}'
            )
        if fault := secrets.method_fault(url):
            self.fault(part, place, fault, secrets.REMEDY if "literal" in fault else "")
        self.holes(part, place, url, known)

    def holes(self, part: Part, place: Path, text: str, known: set[str] | None) -> None:
        """Check that every `{name}` means something; None: it is a label of the alert, whatever its name."""
        for name in holes(text):
            if known is not None and name not in known:
                self.fault(part, place, f"nothing is called {{{name}}}", f"there are {', '.join(sorted(known))}")

    def labels(self, part: Part, place: Path, query: str) -> None:
        """Check that the labels of alerts, which anybody who sends one writes, stand in quotes in PromQL."""
        for name in holes(unquoted(query)):
            self.fault(part, place, f"{{{name}}} stands in no quotes", f'write {name}="{{{name}}}"')

    def verification(self, part: Part, place: Path, shape: VerifyShape, known: set[str] | None) -> Verification | None:
        """Return how to see whether all is well, or None for what cannot be used."""
        if bool(shape.query) is bool(shape.http) or bool(shape.query) is not bool(shape.prometheus):
            self.fault(part, place, "give either prometheus and query, or http")
            return None
        url = shape.prometheus or shape.http
        headers: tuple[tuple[str, str], ...] = ()
        if shape.http:
            self.address(part, (*place, "http"), url, known, ASKED)
        else:
            url, headers = self._server(part, (*place, "prometheus"), url)
        self.holes(part, (*place, "query"), shape.query, known)
        if known is None:
            self.labels(part, (*place, "query"), shape.query)
        if not 5 * SECOND <= shape.every <= shape.within <= WITHIN_MAX or shape.after > shape.within:
            self.fault(part, place, "every is 5s or more, and it is looked at within 60m", "every: 30s, within: 10m")
        return Verification(url, shape.query, shape.after, shape.every, shape.within, headers)

    def _server(self, part: Part, place: Path, text: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return address and headers of a Prometheus: one of metrics.yaml by its name, or an address as it is."""
        server = self.servers.get(text)
        if server is not None:
            return server.url, tuple(sorted(server.headers.items()))
        if "://" in text:
            self.address(part, place, text, set(), "for example http://prometheus:9090")
        else:
            hint = closest(text, self.servers) or "name it in metrics.yaml under prometheus:, or give its address"
            self.fault(part, place, f'metrics.yaml has no "{text[:60]}"', hint)
        return text, ()
