"""quiet.yaml: silences, recurring mutes, maintenance, inhibitions, and the tokens that may silence and nothing else.

Matchers are Alertmanager's. Unlike there, a label that is missing on both sides of an inhibition is not equal: alerts
that share nothing have nothing to do with each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import msgspec
from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from triage.model import HOUR, Millis, Severity
from triage.rulebook.budgets import OFFICE, DigestShape, StormLimits, StormShape, storm_limits
from triage.rulebook.flapping import LONGEST, Flapping, FlappingShape, FlapRule, Limits
from triage.rulebook.intervals import Piece
from triage.rulebook.matcher import Matcher, MatcherError, parse_matchers
from triage.rulebook.problems import Problem, closest
from triage.rulebook.shapes import Duration, Matchers, SeverityName, Shape, Text, Texts
from triage.rulebook.types import Person, Service
from triage.rulebook.yaml import Path
from triage.silence import Words

if TYPE_CHECKING:  # which reads files by the shapes below
    from triage.rulebook.reading import Part

SETS_MAX: Final = 20
"""How many sets of matchers one silence may have."""
MATCHERS_MAX: Final = 50
"""How many matchers one set may have."""
_SHA256: Final = re.compile(r"[0-9a-f]{64}\Z")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_INSTANT: Final = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> Millis:
    """Return what an RFC 3339 time means, in milliseconds since the epoch. Raises ValueError for operators to read."""
    advice = "write date, time and offset, like 2026-03-02T22:00:00+01:00"
    if not re.match(_INSTANT, text):
        raise ValueError(f'"{text[:60]}" is no time: {advice}')
    try:
        return int((datetime.fromisoformat(text) - _EPOCH).total_seconds() * 1_000)
    except (ValueError, OverflowError):
        raise ValueError(f'"{text[:60]}" is no time: {advice}') from None


def _instant(value: Any) -> Millis:
    if not isinstance(value, str):
        raise PydanticCustomError("instant", 'expected a time in quotes, like "2026-03-02T22:00:00+01:00"')
    try:
        return parse_instant(value)
    except ValueError as error:
        raise PydanticCustomError("instant", "{words}", {"words": str(error)}) from None


Instant: TypeAlias = Annotated[
    int,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "pattern": _INSTANT, "examples": ["2026-03-02T22:00:00+01:00"]}),
]


class EndsShape(Shape):
    """An end that follows the alerts."""

    after_resolve: Duration = Field(description="This long after the last of its alerts stopped firing.")


class SparingShape(Shape):
    """What may hold something back, but not everything."""

    except_: list[SeverityName] = Field(
        default_factory=list, alias="except", description="Severities that are told all the same, like [P0]."
    )


class SilenceShape(SparingShape):
    """A silence: what it means is not told while it holds."""

    matchers: Matchers | None = Field(None, description="Alertmanager's matchers; all must hold.")
    matcher_sets: list[Matchers] | None = Field(None, description="Several sets of matchers; any of them will do.")
    starts_at: Instant | None = Field(None, description="From when, with the offset; else at once.")
    ends_at: Instant | None = Field(None, description="Until when, with the offset.")
    ends: EndsShape | None = Field(None, description="An end that follows the alerts.")
    comment: Text = Field("", description="Why.")
    by: Text = Field("", description="Who wanted it.")
    annotations: dict[str, Text] = Field(default_factory=dict, description="Anything else worth keeping.")


class MuteShape(SparingShape):
    """What is not told at certain hours, again and again. Exactly one of `during` and `unless`."""

    matchers: Matchers | None = Field(None, description="Alertmanager's matchers; all must hold.")
    matcher_sets: list[Matchers] | None = Field(None, description="Several sets of matchers; any of them will do.")
    during: Text | None = Field(None, description="Muted while this time interval of severity.yaml is open.")
    unless: Text | None = Field(None, description="Muted while this time interval of severity.yaml is closed.")


class MaintenanceShape(SparingShape):
    """A service that is being worked on."""

    service: Text = Field(description="The value of the label service.")
    from_: Instant = Field(alias="from", description="From when, with the offset.")
    to: Instant = Field(description="Until when, with the offset.")
    comment: Text = Field("", description="Why.")
    by: Text = Field("", description="Who wanted it.")
    public: Text = Field("", description="What the status page says of it; without this it does not show it.")


class InhibitionShape(Shape):
    """While a source fires, the targets that agree with it on the labels of `equal` are not told."""

    source_matchers: Matchers = Field(description="What inhibits.")
    target_matchers: Matchers = Field(description="What is inhibited.")
    equal: Texts = Field(default_factory=list, description="Both must have these labels, with the same values.")


class SilencerShape(Shape):
    """A token that may put, show and end its own silences, and nothing else: for a deploy job."""

    token_sha256: Text = Field(description="SHA-256 of the token, in hex; see `tocsin token make`.")
    longest: Duration = Field(4 * HOUR, description="How long its silences may last at most.")


class QuietFile(Shape):
    """quiet.yaml: who is left to sleep."""

    silences: dict[str, SilenceShape] = Field(default_factory=dict, description="Name → what is silenced, until when.")
    mutes: dict[str, MuteShape] = Field(default_factory=dict, description="Name → what is silent at which hours.")
    maintenance: dict[str, MaintenanceShape] = Field(default_factory=dict, description="Name → which service, when.")
    inhibitions: dict[str, InhibitionShape] = Field(default_factory=dict, description="Name → what inhibits what.")
    depends_on: bool = Field(False, description="Inhibit what needs a service that has an open P0 or P1 incident.")
    flapping: FlappingShape | None = Field(None, description="Hold back the ends of alerts that flap.")
    tokens: dict[str, SilencerShape] = Field(default_factory=dict, description="Name → a token that only silences.")
    storm: StormShape = Field(default_factory=StormShape, description="The page budget of each person.")
    digest: DigestShape = Field(default_factory=DigestShape, description="When what wakes nobody is told.")


# --------------------------------------------------------------------------------------------------------------------
# Compiled.


class Mute(msgspec.Struct, frozen=True):
    """A recurring mute. One of `during` and `unless` names a time interval, the other is ""."""

    sets: tuple[tuple[str, ...], ...]
    during: str = ""
    unless: str = ""
    spared: tuple[Severity, ...] = ()


class Inhibition(msgspec.Struct, frozen=True):
    """An inhibition, its matchers as text."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    equal: tuple[str, ...] = ()


class Silencer(msgspec.Struct, frozen=True):
    """A token that may silence and nothing else; `longest` is how long its silences may last."""

    name: str
    token_sha256: str
    longest: Millis


class QuietRules(msgspec.Struct, frozen=True):
    """quiet.yaml, compiled. `upstream`: service → the services that it needs, those that these need included."""

    silences: dict[str, Words] = {}
    mutes: dict[str, Mute] = {}
    inhibitions: dict[str, Inhibition] = {}
    depends_on: bool = False
    upstream: dict[str, tuple[str, ...]] = {}
    silencers: dict[str, Silencer] = {}
    storm: StormLimits = StormLimits()
    digest_window: str = OFFICE
    flapping: Flapping | None = None


@lru_cache(maxsize=1_024)
def matchers_of(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    """Return the compiled matchers of a set. Raises MatcherError."""
    return tuple(matcher for text in texts for matcher in parse_matchers(text))


def accepts(texts: tuple[str, ...], labels: Mapping[str, str]) -> bool:
    """Tell whether a label set meets all matchers of a set."""
    return all(matcher.matches(labels) for matcher in matchers_of(texts))


def set_fault(texts: tuple[str, ...]) -> str:
    """Return why a set of matchers cannot silence, or "". A set that the empty label set meets would mean everything.

    Raises MatcherError for matchers that cannot be read.
    """
    matchers = matchers_of(texts)
    if not matchers:
        return "there is no matcher: this would silence everything"
    if len(matchers) > MATCHERS_MAX:
        return f"there are {len(matchers)} matchers; {MATCHERS_MAX} at most"
    if all(matcher.accepts("") for matcher in matchers):
        return "every matcher accepts a missing label too: this would silence nearly everything"
    return ""


def compile_quiet(
    parts: list[Part],
    time_intervals: Mapping[str, tuple[Piece, ...]],
    services: Mapping[str, Service],
    people: Mapping[str, Person],
    problems: list[Problem],
) -> QuietRules:
    """Compile quiet.yaml, if there is one; each fault is added to `problems`."""
    part = next((one for one in parts if isinstance(one.shape, QuietFile)), None)
    if part is None or not isinstance(part.shape, QuietFile):
        return QuietRules()
    return _Compiler(part, time_intervals, services, people, problems).compile(part.shape)


class _Compiler:
    def __init__(
        self,
        part: Part,
        time_intervals: Mapping[str, tuple[Piece, ...]],
        services: Mapping[str, Service],
        people: Mapping[str, Person],
        problems: list[Problem],
    ) -> None:
        self.part = part
        self.intervals = time_intervals
        self.services = services
        self.people = people
        self.problems = problems

    def compile(self, shape: QuietFile) -> QuietRules:
        silences = {name: self._silence(name, one) for name, one in shape.silences.items()}
        for name, one in shape.maintenance.items():
            if name in silences:
                message = f'there is a silence "{name}" too'
                self.fault(("maintenance", name), message, "silences and maintenance share their names", key=True)
            silences[name] = self._maintenance(name, one)
        upstream = {name: self._needed(name) for name in self.services} if shape.depends_on else {}
        if shape.depends_on and not any(upstream.values()):
            message = "no service of services.yaml says depends_on: this does nothing"
            self.fault(("depends_on",), message, "add depends_on: [NAME] to a service", "warning", key=True)
        return QuietRules(
            silences=silences,
            mutes={name: self._mute(name, one) for name, one in shape.mutes.items()},
            inhibitions={name: self._inhibition(name, one) for name, one in shape.inhibitions.items()},
            depends_on=shape.depends_on,
            upstream={name: needed for name, needed in upstream.items() if needed},
            silencers={name: self._silencer(name, one) for name, one in shape.tokens.items()},
            storm=self._storm(shape.storm),
            digest_window=self._window(shape.digest.window),
            flapping=self._flapping(shape.flapping) if shape.flapping is not None else None,
        )

    def fault(self, place: Path, message: str, hint: str = "", severity: Any = "error", **where: Any) -> None:
        self.problems.append(self.part.document.problem(place, message, hint, severity, **where))

    def _silence(self, name: str, shape: SilenceShape) -> Words:
        place: Path = ("silences", name)
        if shape.ends_at is None and shape.ends is None:
            self.fault(place, "a silence needs an end", "add ends_at, or ends: {after_resolve: 10m}", key=True)
        if shape.starts_at is not None and shape.ends_at is not None and shape.ends_at <= shape.starts_at:
            self.fault((*place, "ends_at"), "it ends before it starts")
        if shape.ends is not None and shape.ends.after_resolve <= 0:
            self.fault((*place, "ends"), "after_resolve must be longer than nothing", "for example 10m")
        if not shape.comment:
            self.fault(place, "nobody will know why this is silent", "add a comment", "lint", key=True)
        return Words(
            sets=self._sets(place, shape.matchers, shape.matcher_sets),
            starts_at=shape.starts_at,
            ends_at=shape.ends_at,
            after_resolve=shape.ends.after_resolve if shape.ends is not None else None,
            comment=shape.comment,
            by=shape.by,
            annotations=dict(shape.annotations),
            spared=tuple(sorted(set(shape.except_))),
        )

    def _maintenance(self, name: str, shape: MaintenanceShape) -> Words:
        place: Path = ("maintenance", name)
        if shape.to <= shape.from_:
            self.fault((*place, "to"), "it ends before it begins")
        if shape.service not in self.services:
            hint = closest(shape.service, self.services) or "add it to services.yaml"
            self.fault((*place, "service"), f'there is no service "{shape.service}"', hint, "warning")
        return Words(
            sets=((str(Matcher("service", "=", shape.service)),),),
            starts_at=shape.from_,
            ends_at=shape.to,
            comment=shape.comment,
            by=shape.by,
            spared=tuple(sorted(set(shape.except_))),
            kind="maintenance",
        )

    def _mute(self, name: str, shape: MuteShape) -> Mute:
        place: Path = ("mutes", name)
        if (shape.during is None) == (shape.unless is None):
            found = "neither" if shape.during is None else "both"
            self.fault(place, f"a mute has either during or unless; found {found}", "for example during: nights")
        for field, interval in (("during", shape.during), ("unless", shape.unless)):
            if interval is not None and interval not in self.intervals:
                hint = closest(interval, self.intervals) or "define it in severity.yaml under time_intervals:"
                self.fault((*place, field), f'there is no time interval "{interval}"', hint)
        sets = self._sets(place, shape.matchers, shape.matcher_sets)
        return Mute(sets, shape.during or "", shape.unless or "", tuple(sorted(set(shape.except_))))

    def _inhibition(self, name: str, shape: InhibitionShape) -> Inhibition:
        place: Path = ("inhibitions", name)
        sources = self._set((*place, "source_matchers"), shape.source_matchers)
        targets = self._set((*place, "target_matchers"), shape.target_matchers, whole=bool(shape.equal))
        if not shape.equal:
            message = "without equal, one source anywhere inhibits every target"
            self.fault(place, message, "add equal: [cluster], or accept that", "lint", key=True)
        return Inhibition(sources, targets, tuple(dict.fromkeys(shape.equal)))

    def _flapping(self, shape: FlappingShape) -> Flapping:
        rules: list[FlapRule] = []
        for name in ("within", "settled_after"):
            self._bounded(("flapping", name), getattr(shape, name))
        for index, one in enumerate(shape.rules):
            place: Path = ("flapping", "rules", index)
            matchers = matchers_of(self._set((*place, "matchers"), one.matchers))
            for name in ("within", "settled_after"):
                self._bounded((*place, name), getattr(one, name))
            limits = Limits(
                shape.changes if one.changes is None else one.changes,
                shape.within if one.within is None else one.within,
                shape.settled_after if one.settled_after is None else one.settled_after,
            )
            if one.never and (one.changes, one.within, one.settled_after) != (None, None, None):
                self.fault((*place, "never"), "what is never held back needs no limits", "leave one of them out")
            rules.append(FlapRule(matchers, None if one.never else limits))
        return Flapping(Limits(shape.changes, shape.within, shape.settled_after), tuple(rules))

    def _bounded(self, place: Path, given: Millis | None) -> None:
        if given is not None and not 0 < given <= LONGEST:
            self.fault(place, "this is longer than nothing, and a day at most", "for example 10m")

    def _sets(self, place: Path, one: list[str] | None, several: list[list[str]] | None) -> tuple[tuple[str, ...], ...]:
        if (one is None) == (several is None):
            found = "neither" if one is None else "both"
            self.fault(place, f"say either matchers or matcher_sets; found {found}", key=True)
            return ()
        if one is not None:
            return (self._set((*place, "matchers"), one),)
        field: Path = (*place, "matcher_sets")
        if not several or len(several) > SETS_MAX:
            self.fault(field, f"expected one to {SETS_MAX} sets of matchers")
        return tuple(self._set((*field, index), texts) for index, texts in enumerate(several or ()))

    def _set(self, place: Path, texts: list[str], whole: bool = False) -> tuple[str, ...]:
        """Return a set that can be compiled: what cannot be read is reported and left out.

        `whole`: something else says what is meant, so that the matchers may only take away.
        """
        good: list[str] = []
        for index, text in enumerate(texts):
            at: Path = (*place, index) if len(texts) > 1 else place
            try:
                parse_matchers(text)
            except MatcherError as error:
                self.fault(at, error.message, error.hint)
            else:
                good.append(text)
        fault = set_fault(tuple(good)) if len(good) == len(texts) and not whole else ""
        if fault:
            self.fault(place, fault, 'name what is meant, like service="shop"')
        return tuple(good)

    def _silencer(self, name: str, shape: SilencerShape) -> Silencer:
        place: Path = ("tokens", name)
        digest = shape.token_sha256.lower()
        if not _NAME.match(name):
            self.fault(place, f'"{name}" is no name for a token', "use letters, digits, dots, _ and -", key=True)
        if name in self.people or name == "admin":
            self.fault(place, f'"{name}" is the name of a person', "choose another: names sign what is done", key=True)
        if not _SHA256.match(digest):
            hint = "a SHA-256 has 64 hex digits; `tocsin token make` makes a token and tells its SHA-256"
            self.fault((*place, "token_sha256"), "this is no SHA-256 of a token", hint)
        if any(person.token_sha256 == digest for person in self.people.values()):
            self.fault((*place, "token_sha256"), "a person signs in with this token", "make another one")
        return Silencer(name, digest, shape.longest)

    def _storm(self, shape: StormShape) -> StormLimits:
        try:
            return storm_limits(shape)
        except ValueError as error:
            self.fault(("storm", "within"), str(error), "for example within: 10m")
            return StormLimits()

    def _window(self, name: str) -> str:
        if name != OFFICE and name not in self.intervals:
            hint = closest(name, self.intervals) or "define it in severity.yaml under time_intervals:"
            self.fault(("digest", "window"), f'there is no time interval "{name}"', hint)
        return name

    def _needed(self, name: str) -> tuple[str, ...]:
        """Return all services that a service needs, nearest first, without itself."""
        return tuple(one for one in _walk(name, self.services) if one != name)


def _walk(name: str, services: Mapping[str, Service]) -> Iterator[str]:
    seen = {name: None}
    ahead = [name]
    while ahead:
        service = services.get(ahead.pop(0))
        for other in service.depends_on if service is not None else ():
            if other not in seen:
                seen[other] = None
                ahead.append(other)
                yield other
