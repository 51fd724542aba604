"""checks.yaml: what Tocsin looks at itself, by HTTP or TCP, and what it expects to see there.

Each check has two last rules, read after all others: one for its failure, one for its certificate. So whatever a rule
of the operators says of `CheckFailed` or `CertificateExpires` comes first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

import msgspec
import re2
from pydantic import Field

from triage.model import MINUTE, SECOND, Millis, Severity, fingerprint_of
from triage.rulebook import secrets
from triage.rulebook.matcher import MAX_MEMORY, MAX_PATTERN, Matcher
from triage.rulebook.problems import Problem, closest
from triage.rulebook.rule import Rule, Template, read_template
from triage.rulebook.shapes import Duration, SeverityName, Shape, SourcesFile, Text, Texts
from triage.rulebook.types import Policy
from triage.rulebook.yaml import Path

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SOURCE: Final = "checks"
"""The source of what own checks find."""
FAILED: Final = "CheckFailed"
EXPIRES: Final = "CertificateExpires"
MOST: Final = 1_000
"""How many checks there may be; each has metrics of its own."""
EVERY_MIN: Final[Millis] = 10 * SECOND
TIMEOUT_MAX: Final[Millis] = 30 * SECOND
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_PLACE: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})\Z")
_STATUS: Final = re.compile(r"([1-5])xx\Z|([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?\Z")
_PORT_MAX: Final = 65_535

Statuses = tuple[tuple[int, int], ...]


class ExpectShape(Shape):
    """What an answer must be like; everything must hold."""

    status: Texts = Field(default_factory=lambda: ["2xx"], description="Statuses, like 200, 2xx or 200-204.")
    body: Text = Field("", description="RE2 that must match somewhere in the first MiB of the body.")
    not_body: Text = Field("", description="RE2 that must not match there.")
    latency: Duration | None = Field(None, description="How long connecting and answering may take.")
    certificate_days: int = Field(14, ge=0, le=365, description="How many days the certificate must still hold.")


class CheckShape(Shape):
    """Something that Tocsin looks at. Exactly one of `http` and `tcp` says where."""

    http: Text = Field("", description="An address that is asked for, http:// or https://.")
    tcp: Text = Field("", description="HOST:PORT that must take a connection.")
    tls: bool = Field(False, description="With tcp: speak TLS there, and look at the certificate.")
    method: Literal["GET", "HEAD"] = Field("GET", description="How it is asked for.")
    headers: dict[str, Text] = Field(default_factory=dict, description="Sent along; ${NAME} for secrets.")
    redirects: int = Field(0, ge=0, le=5, description="How many redirects are followed.")
    every: Duration = Field(MINUTE, description="How often it is looked at; 10s or more.")
    timeout: Duration = Field(10 * SECOND, description="How long one look may take; 30s at most.")
    confirm: int = Field(2, ge=1, le=100, description="How many looks in a row must fail before it is an alert.")
    recover: int = Field(1, ge=1, le=100, description="How many in a row must pass before that ends.")
    expect: ExpectShape = Field(default_factory=lambda: ExpectShape.model_validate({}), description="What must hold.")
    severity: SeverityName = Field(Severity.P2, description="How severe its failure is, where no rule says more.")
    certificate_severity: SeverityName = Field(Severity.P3, description="How severe it is that its certificate ends.")
    service: Text = Field("", description="The service it belongs to.")
    policy: Text = Field("", description="The escalation policy; else what the rules say.")
    runbook: Text = Field("", description="A file under runbooks/ or a link.")
    labels: dict[str, Text] = Field(default_factory=dict, description="Labels of its alerts.")


class ChecksFile(Shape):
    """checks.yaml: what Tocsin looks at itself."""

    checks: dict[str, CheckShape] = Field(default_factory=dict, description="Name → what is looked at.")


class Check(msgspec.Struct, frozen=True):
    """Something that is looked at `every` so often: `http` or else `tcp` (host:port). Durations are milliseconds.

    `statuses` are ranges, both ends included. After `confirm` looks in a row that fail it is an alert, which ends after
    `recover` that pass. `certificate_days` 0: the end of a certificate is no matter as long as it holds.
    """

    name: str
    http: str = ""
    tcp: str = ""
    tls: bool = False
    method: str = "GET"
    headers: dict[str, str] = {}
    redirects: int = 0
    every: Millis = MINUTE
    timeout: Millis = 10 * SECOND
    confirm: int = 2
    recover: int = 1
    statuses: Statuses = ((200, 299),)
    body: str = ""
    not_body: str = ""
    latency: Millis = 0
    certificate_days: int = 14
    severity: Severity = Severity.P2
    certificate_severity: Severity = Severity.P3
    labels: dict[str, str] = {}

    def fingerprint(self, alertname: str) -> str:
        """Return the identity of the alert of that name about this check."""
        return fingerprint_of(SOURCE, self.name, alertname)

    @property
    def place(self) -> str:
        """Return what is looked at, fit to be shown: without query, without user, with `${…}` as it was written."""
        if not self.http:
            return f"tcp://{self.tcp}"
        address = self.http.partition("?")[0].partition("#")[0]
        scheme, _, rest = address.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class Checks(msgspec.Struct):
    """All checks by name, and the rules that come after all others."""

    checks: dict[str, Check] = msgspec.field(default_factory=dict)
    rules: list[Rule] = msgspec.field(default_factory=list)


def compile_checks(parts: list[Part], policies: Mapping[str, Policy], problems: list[Problem]) -> Checks:
    """Compile checks.yaml."""
    compiler = _Compiler(problems, policies)
    for part in parts:
        if isinstance(part.shape, ChecksFile):
            compiler.checks(part, part.shape)
        elif isinstance(part.shape, SourcesFile) and SOURCE in part.shape.sources:
            place: Path = ("sources", SOURCE)
            message = f'"{SOURCE}" is the source of checks.yaml'
            problems.append(part.document.problem(place, message, "choose another name", key=True))
    return compiler.found


def compile_pattern(pattern: str) -> re2.Regexp[str]:
    """Return an expression to search in bodies; its `.` matches line breaks too. Raises ValueError with why not."""
    if len(pattern.encode()) > MAX_PATTERN:
        raise ValueError(f"the expression is longer than {MAX_PATTERN} bytes")
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(f"(?s){pattern}", options)
    except re2.error as error:
        words = error.args[0] if error.args else error
        raise ValueError(words.decode() if isinstance(words, bytes) else str(words)) from None


class _Compiler:
    def __init__(self, problems: list[Problem], policies: Mapping[str, Policy]) -> None:
        self.found = Checks()
        self.problems = problems
        self.policies = policies

    def fault(self, part: Part, place: Path, message: str, hint: str = "", key: bool = False) -> None:
        self.problems.append(part.document.problem(place, message, hint, key=key))

    def checks(self, part: Part, shape: ChecksFile) -> None:
        if len(shape.checks) > MOST:
            self.fault(part, ("checks",), f"there are more than {MOST} checks", "leave some to a monitoring system")
        for name, one in shape.checks.items():
            place: Path = ("checks", name)
            if not _NAME.match(name):
                hint = "use letters, digits, dots, _ and -"
                self.fault(part, place, f'"{name}" can\'t be the name of a check', hint, key=True)
            self._place(part, place, one)
            self._times(part, place, one)
            self._headers(part, place, one)
            for field, pattern in (("body", one.expect.body), ("not_body", one.expect.not_body)):
                self._pattern(part, (*place, "expect", field), pattern)
            check = self._check(name, one, self._statuses(part, (*place, "expect", "status"), one))
            self.found.checks[name] = check
            self.found.rules += self._rules(part, place, one, check)

    def _check(self, name: str, one: CheckShape, statuses: Statuses) -> Check:
        return Check(
            name=name,
            http=one.http,
            tcp="" if one.http else one.tcp,
            tls=one.tls,
            method=one.method,
            headers=dict(one.headers),
            redirects=one.redirects,
            every=one.every,
            timeout=one.timeout,
            confirm=one.confirm,
            recover=one.recover,
            statuses=statuses,
            body=one.expect.body,
            not_body=one.expect.not_body,
            latency=one.expect.latency or 0,
            certificate_days=one.expect.certificate_days,
            severity=one.severity,
            certificate_severity=one.certificate_severity,
            labels={**one.labels, **({"service": one.service} if one.service else {})},
        )

    def _place(self, part: Part, place: Path, one: CheckShape) -> None:
        if bool(one.http) is bool(one.tcp):
            found = "both" if one.http else "neither"
            self.fault(part, place, f"a check has either http or tcp; found {found}", "for example tcp: db:5432")
        if one.http and one.tls:
            self.fault(part, (*place, "tls"), "tls belongs to tcp", "an https:// address says so itself", key=True)
        if one.http:
            self._address(part, (*place, "http"), one.http)
        if one.tcp:
            match = _PLACE.match(one.tcp)
            if match is None or not 0 < int(match[2]) <= _PORT_MAX:
                self.fault(part, (*place, "tcp"), "this is no HOST:PORT", "for example db.example.org:5432")

    def _address(self, part: Part, place: Path, url: str) -> None:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or re.search(r"[\s\x00-\x20\x7f]", url):
            self.fault(part, place, "this is no address", "for example https://shop.example.org/health")
            return
        fault = secrets.method_fault(url)
        if fault:
            self.fault(part, place, fault, secrets.REMEDY if "literal" in fault else "")
        if parts.username is not None or parts.password is not None:
            hint = 'write headers: {Authorization: "Basic ${NAME}"}'
            self.fault(part, place, "a user in an address is not sent", hint)

    def _times(self, part: Part, place: Path, one: CheckShape) -> None:
        if one.every < EVERY_MIN:
            self.fault(part, (*place, "every"), "this must be 10s or longer", "for example 1m")
        if not 0 < one.timeout <= min(TIMEOUT_MAX, one.every):
            self.fault(part, (*place, "timeout"), "a look takes 30s at most, and no longer than every", "say 5s")
        if one.expect.latency is not None and not 0 < one.expect.latency < one.timeout:
            where: Path = (*place, "expect", "latency")
            self.fault(part, where, "this must be longer than nothing and shorter than timeout", "for example 2s")

    def _headers(self, part: Part, place: Path, one: CheckShape) -> None:
        for name, value in one.headers.items():
            where: Path = (*place, "headers", name)
            fault = secrets.reference_fault(value)
            if not _HEADER.match(name) or name.lower() in ("host", "content-length", "connection"):
                self.fault(part, where, f'"{name[:50]}" is no header that can be sent along', key=True)
            elif fault:
                self.fault(part, where, fault)
            elif re.search(r"[\r\n\x00]", value) or not value.isascii():
                self.fault(part, where, "a header is one line of ASCII")
            elif "${" not in value and secrets.tells(name):
                self.fault(part, where, "a literal secret stands here", secrets.REMEDY)

    def _statuses(self, part: Part, place: Path, one: CheckShape) -> Statuses:
        found = []
        for index, text in enumerate(one.expect.status):
            match = _STATUS.match(text.lower())
            if match is None:
                self.fault(part, (*place, index), f'"{text[:50]}" is no status', "for example 200, 2xx or 200-204")
            elif match[1]:
                found.append((int(match[1]) * 100, int(match[1]) * 100 + 99))
            else:
                found.append((int(match[2]), int(match[3] or match[2])))
        return tuple(found)

    def _pattern(self, part: Part, place: Path, pattern: str) -> None:
        if pattern:
            try:
                compile_pattern(pattern)
            except ValueError as error:
                self.fault(part, place, str(error), "syntax: https://github.com/google/re2/wiki/Syntax")

    def _rules(self, part: Part, place: Path, one: CheckShape, check: Check) -> list[Rule]:
        if one.policy and "{" not in one.policy and one.policy not in self.policies:
            hint = closest(one.policy, self.policies) or "define it in oncall.yaml under policies:"
            message = f'there is no policy "{one.policy}"; the default one would be used'
            self.problems.append(part.document.problem((*place, "policy"), message, hint, "warning"))
        policy = self._template(part, (*place, "policy"), one.policy)
        runbook = self._template(part, (*place, "runbook"), one.runbook)
        line = part.document.place(place, key=True)[0]
        given = {"severity": True, "policy": policy is not None, "runbook": runbook is not None, "group_by": True}
        return [
            Rule(
                name=f"check {check.name}" if alertname == FAILED else f"certificate of check {check.name}",
                path=part.document.path,
                line=line,
                matchers=(Matcher("check", "=", check.name), Matcher("alertname", "=", alertname)),
                fields=tuple(field for field, said in given.items() if said),
                severity=severity,
                policy=policy,
                runbook=runbook,
                group_by=("alertname", "check"),
            )
            for alertname, severity in ((FAILED, check.severity), (EXPIRES, check.certificate_severity))
        ]

    def _template(self, part: Part, place: Path, text: str) -> Template | None:
        try:
            return read_template(text) if text else None
        except ValueError as error:
            self.fault(part, place, str(error))
            return None
