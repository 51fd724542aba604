"""What Twilio asks and tells: what a call says, which key was pressed, what became of a call or a text, replies.

Everything here is signed twice. The address carries the token of one page, made with our link secret; and Twilio signs
each request with the auth token of the account (`X-Twilio-Signature`), over the external URL and all fields. A request
that is played again finds its page answered.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final, NamedTuple

import structlog
from aiohttp import web
from markupsafe import Markup

from desk import answering, commands, reading
from desk.api import Office
from desk.people import Person
from desk.problems import Problem
from triage import twilio
from triage.links import Link
from triage.model import ENDED, LATER, Ending, Incident, Result, Verb, short
from triage.rulebook.secrets import filled
from triage.store import queries, standing
from triage.twilio import Account

REPLIES: Final = "/replies/twilio"
"""Where a number's incoming texts go: set it at Twilio as that number's messaging webhook."""
VIA_KEY: Final = "phone"
VIA_SMS: Final = "sms"
SAID_MAX: Final = 160
"""How much of a title is read out, in characters."""
TURNS: Final = 3
"""How often a call says what it has to say."""
FIELDS_MAX: Final = 100
KEYS: Final = {"4": Verb.ACKNOWLEDGE, "6": Verb.ESCALATE}
_MENU: Final = "Press 4 to acknowledge. Press 6 to escalate."
_REPLY: Final = re.compile(r"\s*(ack|4|esc|6)\b[\s:]*([a-z2-7]{6})?[\s.!]*", re.IGNORECASE)
_HELP: Final = "Reply ACK and the six characters of the incident to acknowledge, ESC and these to escalate."
_WORDS: Final = {"ack": Verb.ACKNOWLEDGE, "4": Verb.ACKNOWLEDGE, "esc": Verb.ESCALATE, "6": Verb.ESCALATE}
_LINK: Final = re.compile(r"\S+://\S+")
_UNSPOKEN: Final = re.compile(r"[^\w\s.,:;%'+-]+|_+")

_ENDINGS: Final = {
    "delivered": (Ending.DELIVERED, "the phone has it"),
    "sent": (Ending.HANDED_OVER, "the carrier has it"),
    "completed": (Ending.UNANSWERED, "no key was pressed"),
    "busy": (Ending.UNANSWERED, "busy"),
    "no-answer": (Ending.UNANSWERED, "no answer"),
    "canceled": (Ending.UNANSWERED, "the call was cancelled"),
    "failed": (Ending.GIVE_UP, "Twilio could not do it"),
    "undelivered": (Ending.GIVE_UP, "the carrier did not deliver it"),
}
"""What Twilio's last word about a call or a text comes to."""
log: Final = structlog.get_logger("desk.phone")


class Owner(NamedTuple):
    """A person's contact method through Twilio, with its secrets filled in."""

    person: str
    scheme: str
    account: Account


async def call(office: Office, request: web.Request) -> web.Response:
    """Say what a call is about, and wait for a key. Changes nothing."""
    link, _ = await _checked(office, request)
    incident = await queries.incident(office.desk.client, link.incident)
    turn = request.query.get("turn", "")
    return _menu(office, _token(request), incident, int(turn) if turn in {"1", "2"} else 0)


async def key(office: Office, request: web.Request) -> web.Response:
    """Do what the pressed key stands for, as the person who was called."""
    link, fields = await _checked(office, request)
    desk = office.desk
    incident = await queries.incident(desk.client, link.incident)
    verb = KEYS.get(fields.get("Digits", ""))
    if verb is None:
        return _menu(office, _token(request), incident, 1, "That key does nothing. ")
    outcome = await commands.perform(
        desk,
        verb,
        link.incident,
        Person(link.person, VIA_KEY),
        page=link.page,
        tries=incident.mistaps.get(link.page, 0),
    )
    log.info("key pressed", incident=link.incident, person=link.person, verb=verb.value, ending=outcome.ending)
    return _speak(f"{spoken(_said(outcome, verb, link.person))} Goodbye.")


async def status(office: Office, request: web.Request) -> web.Response:
    """Note what became of a call or a text: triage decides what follows."""
    link, fields = await _checked(office, request)
    called = "CallStatus" in fields
    word = fields.get("CallStatus") or fields.get("MessageStatus", "")
    ending, reason = _ENDINGS.get(word, (None, ""))
    if ending is not None and ending is not Ending.HANDED_OVER:
        code = fields.get("ErrorCode", "")
        result = Result(
            effect=link.page,
            attempt=LATER,
            ending=ending,
            reason=f"{reason} (Twilio {code})" if code.isdigit() else reason,
            incident=link.incident,
            person=link.person,
            scheme=twilio.VOICE if called else twilio.SMS,
        )
        await office.desk.appender.append(result, office.desk.clock())
        log.info("the phone company says", incident=link.incident, person=link.person, status=word, code=code)
    return web.Response(status=204)


async def reply(office: Office, request: web.Request) -> web.Response:
    """Do what a text that a person sends asks for: `ACK k3m7qa`, or `ACK` alone where only one page is open."""
    fields = await _fields(request)
    owners = await _owners(office)
    given = dict(fields)
    mine = [one for one in owners if one.account.account == given.get("AccountSid")]
    _check_signature(office, request, fields, mine)
    sender = given.get("From", "")
    names = sorted({one.person for one in mine if one.account.to == sender})
    if len(names) != 1:
        log.warning("a text from a number that is nobody's or several people's", people=names)
        text = "This number belongs to several people of Tocsin: use the link, or sign in." if names else ""
        return _text_back(text)
    return _text_back(await _obey(office, names[0], given.get("Body", ""), given.get("MessageSid", "")))


async def _obey(office: Office, person: str, text: str, message: str) -> str:
    asked = _REPLY.fullmatch(text[:200])
    if asked is None:
        return _HELP
    verb, ref = _WORDS[asked[1].lower()], (asked[2] or "").lower()
    opened, _ = await queries.open_incidents(office.desk.client)
    owed = [one for one in opened if person in one.told and (not one.acked_by or ref)]
    found = [one for one in owed if short(one.key) == ref] if ref else owed
    if not found:
        return f"No open page to you about {ref}." if ref else "No page to you is open."
    if len(found) > 1:
        which = "; ".join(f"{short(one.key)} {_plain(one.title, 40)}" for one in found[:3])
        return f"{len(found)} pages to you are open: {which}. Reply {asked[1].upper()} and the six characters."
    # The text's own id stands for a page: the same text once more does nothing, and takes nothing from others.
    page = f"sms:{message[:64]}"
    outcome = await commands.perform(office.desk, verb, found[0].key, Person(person, VIA_SMS), page=page)
    log.info("text answered", incident=found[0].key, person=person, verb=verb.value, ending=outcome.ending)
    return _plain(_said(outcome, verb, person), 300)


def _said(outcome: commands.Outcome, verb: Verb, person: str) -> str:
    incident = outcome.incident
    if outcome.ending == "done" and verb is Verb.ACKNOWLEDGE and incident.acked_by == person:
        return f"{incident.severity.name} {incident.title} is yours."
    return f"{outcome.text[:1].upper()}{outcome.text[1:]}."


# ------------------------------------------------------------------------------------------------ who may say this


async def _checked(office: Office, request: web.Request) -> tuple[Link, dict[str, str]]:
    """Return the page a request is about and its fields. Raises Problem for what Twilio did not sign."""
    link = answering.read(office.desk, request)
    fields = await _fields(request)
    account = dict(fields).get("AccountSid")
    owners = await _owners(office)
    mine = [one for one in owners if one.person == link.person and one.account.account == account]
    _check_signature(office, request, fields, mine)
    return link, dict(fields)


async def _fields(request: web.Request) -> list[tuple[str, str]]:
    return await reading.pairs(request, FIELDS_MAX)


def _check_signature(office: Office, request: web.Request, fields: list[tuple[str, str]], owners: list[Owner]) -> None:
    """Raise Problem 403 unless one of these accounts signed this request, as it is seen from outside."""
    url = office.desk.settings.external_url.rstrip("/") + request.raw_path
    offered = request.headers.get("X-Twilio-Signature", "").encode("utf-8", "replace")
    good = False
    for token in {one.account.auth_token for one in owners}:
        good |= hmac.compare_digest(offered, twilio.signature(token, url, fields).encode())
    if not good or not office.desk.settings.external_url:
        log.warning("a request that Twilio did not sign", accounts=len(owners), url=url.partition("/a/")[0])
        detail = "X-Twilio-Signature is not right: is --web.external-url the address that Twilio calls, "
        raise Problem(403, "signature", "Not signed", detail + "and the auth token in oncall.yaml the account's own?")


async def _owners(office: Office) -> list[Owner]:
    rulebook = office.rulebooks.of(await standing.rules(office.desk.client))
    return list(_each_owner({name: one.methods for name, one in rulebook.people.items()}, office.desk.settings.lookup))


def _each_owner(methods: Mapping[str, tuple[str, ...]], lookup: Callable[[str], str | None]) -> Iterator[Owner]:
    """Yield who is reached through Twilio. A method whose secret this process does not know is left out, and named."""

    def value(name: str) -> str:
        found = lookup(name)
        if not found:
            raise LookupError(name)
        return found

    for person, ways in methods.items():
        for way in ways:
            scheme = way.partition("://")[0].lower()
            if scheme not in twilio.SCHEMES:
                continue
            try:
                yield Owner(person, scheme, twilio.read(filled(way, value)))
            except LookupError as unset:
                log.warning("a secret of a contact method is not set for this serve", name=unset.args[0], person=person)
            except ValueError:
                continue  # the worker says so when it uses it


# ------------------------------------------------------------------------------------------------------ what is said


def spoken(text: str) -> str:
    """Return hostile text as words that can be read out: no addresses, no signs, and not too many."""
    words = " ".join(_UNSPOKEN.sub(" ", _LINK.sub(" ", text[: 4 * SAID_MAX])).split())
    return words if len(words) <= SAID_MAX else words[:SAID_MAX].rpartition(" ")[0] or words[:SAID_MAX]


def _menu(office: Office, token: str, incident: Incident, turn: int, before: str = "") -> web.Response:
    """Say severity, title and service, then what the keys do; three times in all, then hang up."""
    if incident.phase in ENDED:
        return _speak(f"This is Tocsin. {spoken(incident.title)}. It is over: resolved. Goodbye.")
    holder = f" {spoken(incident.acked_by)} has it already." if incident.acked_by else ""
    service = f" Service {spoken(incident.service)}." if incident.service else ""
    level = f"P {incident.severity.value}"
    said = f"{before}This is Tocsin. {level}. {spoken(incident.title)}.{service}{holder} {_MENU}"
    here = f"{office.desk.settings.external_url.rstrip('/')}/a/{token}"
    again = Markup('<Redirect method="POST">{}/call?turn={}</Redirect>').format(here, turn + 1)
    rest = again if turn + 1 < TURNS else Markup("<Say>Goodbye.</Say><Hangup/>")
    gather = Markup('<Gather numDigits="1" timeout="6" method="POST" action="{}/key"><Say>{}</Say></Gather>')
    return _answer(gather.format(here, said) + rest)


def _token(request: web.Request) -> str:
    return request.match_info["token"]


def _speak(text: str) -> web.Response:
    return _answer(Markup("<Say>{}</Say><Hangup/>").format(text))


def _text_back(text: str) -> web.Response:
    return _answer(Markup("<Message>{}</Message>").format(text) if text else Markup(""))


def _plain(text: str, limit: int) -> str:
    words = " ".join(text.split())
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _answer(inner: Markup) -> web.Response:
    xml = Markup('<?xml version="1.0" encoding="UTF-8"?><Response>{}</Response>').format(inner)
    return web.Response(text=str(xml), content_type="text/xml", headers={"Cache-Control": "no-store"})


BY_PAGE: Final[dict[str, Callable[[Office, web.Request], Awaitable[web.Response]]]] = {
    "call": call,
    "key": key,
    "status": status,
}
"""What is under the link of a page, by its last part."""
