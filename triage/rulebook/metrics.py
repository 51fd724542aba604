"""metrics.yaml: which Prometheus may be asked for the curve behind an incident, and for which incidents it is.

The address in the link of an alert comes from whoever can send one, so it is never asked: it only tells which of the
servers written here is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from pydantic import Field

from triage.model import Severity
from triage.rulebook import shapes
from triage.rulebook.calls import Calls
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import MetricsShape, SeverityName, Shape, Text, Texts
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SERVERS_MAX: Final = 50
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")


class ServerShape(Shape):
    """A Prometheus, or what speaks its HTTP API: Thanos, Mimir, VictoriaMetrics."""

    url: Text = Field(description="Where its API is, like http://prometheus:9090; /api/v1/… is added.")
    headers: dict[str, Text] = Field(default_factory=dict, description="Sent along; ${NAME} for secrets.")
    links: Texts | None = Field(
        None, description="How links of its alerts begin; left out: any link; []: its alerts are never believed."
    )


class MetricsFile(Shape):
    """metrics.yaml: whom to ask for the curve behind an incident."""

    prometheus: dict[str, ServerShape] = Field(default_factory=dict, description="Name → a server that may be asked.")
    severities: list[SeverityName] = Field(
        default_factory=lambda: [Severity.P0, Severity.P1, Severity.P2],
        description="For incidents of these severities.",
    )


class Server(msgspec.Struct, frozen=True):
    """A Prometheus that may be asked. `links` None: an expression in any alert's link is taken as one for it."""

    name: str
    url: str
    headers: dict[str, str] = {}
    links: tuple[str, ...] | None = None


class MetricRules(msgspec.Struct, frozen=True):
    """What metrics.yaml says: servers by name in the order of the file, and the severities whose curves are read."""

    servers: dict[str, Server] = {}
    severities: tuple[Severity, ...] = ()

    def named(self, name: str) -> Server | None:
        """Return the server of that name, or the first one where no name is given."""
        return self.servers.get(name) if name else next(iter(self.servers.values()), None)

    def of_link(self, link: str) -> Server | None:
        """Return the server that an alert with this link is from: the one with such links, else one that takes any."""
        ours = (one for one in self.servers.values() if any(_begins(link, start) for start in one.links or ()))
        return next(ours, None) or next((one for one in self.servers.values() if one.links is None), None)


def _begins(link: str, start: str) -> bool:
    """Tell whether a link is below an address: `http://prom` does not mean `http://prometheus`."""
    return link == start or link.startswith(f"{start.rstrip('/')}/")


def compile_metrics(parts: list[Part], problems: list[Problem]) -> MetricRules:
    """Compile metrics.yaml, and check what rules and services name of it. Without the file nothing is asked."""
    found = MetricRules()
    compiler = _Compiler(problems)
    for part in parts:
        if isinstance(part.shape, MetricsFile):
            found = compiler.read(part, part.shape)
    for part in parts:
        compiler.named(part, found.servers)
    return found


class _Compiler(Calls):
    def read(self, part: Part, shape: MetricsFile) -> MetricRules:
        if len(shape.prometheus) > SERVERS_MAX:
            self.fault(part, ("prometheus",), f"there are more than {SERVERS_MAX} servers")
        found: dict[str, Server] = {}
        for name, one in shape.prometheus.items():
            place: Path = ("prometheus", name)
            if not _NAME.match(name):
                hint = "use lower-case letters, digits, _ and -"
                self.fault(part, place, f'"{name}" can\'t be the name of a server', hint, key=True)
            self.address(part, (*place, "url"), one.url, set(), "for example http://prometheus:9090")
            if "?" in one.url or "#" in one.url:
                self.fault(part, (*place, "url"), "this address must end with its path", "/api/v1/… is added to it")
            self.headers(part, (*place, "headers"), one.headers)
            for index, link in enumerate(one.links or ()):
                if not link.startswith(("http://", "https://")):
                    hint = "the beginning of its alerts' links, like https://prometheus.example.org"
                    self.fault(part, (*place, "links", index), "this is no beginning of a link", hint)
            links = tuple(one.links) if one.links is not None else None
            found[name] = Server(name, one.url.rstrip("/"), dict(one.headers), links)
        return MetricRules(found, tuple(sorted(set(shape.severities))))

    def named(self, part: Part, servers: Mapping[str, Server]) -> None:
        """Check what a severity file or a catalogue says of metrics."""
        for place, shape in _said(part):
            if not shape.query.strip():
                self.fault(part, (*place, "query"), "this is empty", "write PromQL, like rate(errors_total[5m])")
            self.labels(part, (*place, "query"), shape.query)
            if shape.prometheus and shape.prometheus not in servers:
                hint = closest(shape.prometheus, servers) or "name it in metrics.yaml under prometheus:"
                self.fault(part, (*place, "prometheus"), f'metrics.yaml has no "{shape.prometheus}"', hint)
            elif not servers:
                self.fault(part, place, "nobody can be asked for metrics", "name a Prometheus in metrics.yaml")


def _said(part: Part) -> Iterable[tuple[Path, MetricsShape]]:
    if isinstance(part.shape, shapes.TeamSeverityFile):
        for index, rule in enumerate(part.shape.rules):
            if rule.metrics is not None:
                yield ("rules", part.position("rules", index), "metrics"), rule.metrics
    elif isinstance(part.shape, shapes.ServicesFile):
        for name, service in part.shape.services.items():
            if service.metrics is not None:
                yield ("services", name, "metrics"), service.metrics
