"""`twilio+sms://${ACCOUNT}:${AUTH_TOKEN}@FROM/TO` and `twilio+voice://…`: texts and calls through Twilio's API.

A call asks the desk what to say (`/a/<token>/call`) and brings the pressed key there; Twilio's word about what became
of a call or a text goes to `/a/<token>/status`. Only pages ring: what asks for nothing is sent as a text.
"""

from __future__ import annotations

import base64
import re
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from triage import twilio
from triage.model import EffectKind, Ending, short
from triage.twilio import Account
from workers.channel import Delivery, Message, scheme_of
from workers.outbound import Answer, judge, post

SCHEMES: Final = twilio.SCHEMES
RINGS_S: Final = 30
"""How long a phone rings, in seconds: shorter than most voice boxes wait."""
CALL_MAX_S: Final = 120
"""How long a call lasts at most, in seconds."""
TEXT_MAX: Final = 480
"""Longest text, in characters: three parts of the plain alphabet."""
TITLE_MAX: Final = 160
REASON_MAX: Final = 200
NO_URL: Final = (
    "twilio+voice:// needs --web.external-url (TOCSIN_WEB_EXTERNAL_URL): Twilio fetches from there what the call says"
)
_CALL: Final = re.compile(rb'"sid"\s*:\s*"(CA[0-9a-f]{32})"')
"""What Twilio calls a call that it took."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")


def send(target: str, message: Message) -> Delivery:
    """Call or text, as `target` says. A page is handed over: Twilio says later whether anybody was there."""
    scheme = scheme_of(target)
    rings = scheme == twilio.VOICE and message.kind is EffectKind.PAGE
    try:
        line = twilio.read(target)
        twilio.check(line, scheme)
    except ValueError as fault:
        return Delivery(Ending.GIVE_UP, str(fault))
    if message.kind is EffectKind.UPDATE:
        return _hang_up(line, message.thread)
    if rings and not message.answer_url:
        return Delivery(Ending.GIVE_UP, NO_URL)
    fields = _call(line, message) if rings else _text(line, message)
    answer = _order(line, "Calls" if rings else "Messages", fields)
    if isinstance(answer, Answer) and 400 <= answer.status < 500 and answer.status not in {408, 425, 429}:
        return Delivery(Ending.GIVE_UP, f"HTTP {answer.status}: {_said(answer)}"[:REASON_MAX])
    ended = judge(answer, "Twilio took the text")
    if ended.ending is not Ending.DELIVERED or not message.answer_url:
        return ended
    if not rings:
        return Delivery(Ending.HANDED_OVER, "Twilio sends the text")
    found = _CALL.search(answer.body) if isinstance(answer, Answer) else None
    return Delivery(Ending.HANDED_OVER, "Twilio calls", receipt=found[1].decode() if found else "")


def _order(line: Account, what: str, fields: dict[str, str]) -> Answer | Delivery:
    url = f"{line.api}/2010-04-01/Accounts/{quote(line.account, safe='')}/{what}.json"
    login = base64.b64encode(f"{line.key}:{line.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "Content-Type": "application/x-www-form-urlencoded"}
    return post(url, urlencode(fields).encode(), headers)


def _hang_up(line: Account, call: str) -> Delivery:
    """End a call, which may be over already."""
    answer = _order(line, f"Calls/{quote(call, safe='')}", {"Status": "completed"})
    if isinstance(answer, Answer) and answer.status in (400, 404):
        return Delivery(Ending.DELIVERED, "the call was over already")
    return judge(answer, "Twilio hangs up")


def _call(line: Account, message: Message) -> dict[str, str]:
    return {
        "To": line.to,
        "From": line.sender,
        "Url": f"{message.answer_url}/call",
        "Method": "POST",
        "StatusCallback": f"{message.answer_url}/status",
        "StatusCallbackMethod": "POST",
        "Timeout": str(RINGS_S),
        "TimeLimit": str(CALL_MAX_S),
    }


def _text(line: Account, message: Message) -> dict[str, str]:
    sender = "MessagingServiceSid" if line.sender.startswith("MG") else "From"
    fields = {"To": line.to, sender: line.sender, "Body": text_of(message, line.two_way)}
    if message.answer_url:
        fields["StatusCallback"] = f"{message.answer_url}/status"
    return fields


def text_of(message: Message, two_way: bool) -> str:
    """Return the text: what is wrong, then what to do. Whole lines are left out where there is no room for them."""
    title = message.title if len(message.title) <= TITLE_MAX else message.title[: TITLE_MAX - 1] + "…"
    lines = [title]
    if message.kind is not EffectKind.PAGE:
        lines += [line for line in message.body.splitlines() if line and not line.startswith("Message ")][:3]
    else:
        if two_way:
            lines.append(
                f"Reply ACK {short(message.incident)} to acknowledge, ESC {short(message.incident)} to escalate."
            )
        if message.answer_url:
            lines.append(f"Or tap {message.number}: {message.answer_url}")
        elif not two_way:
            lines.append(f"tocsin ack {short(message.incident)}")
    text = ""
    for line in lines:
        if len(text) + len(line) + 1 <= TEXT_MAX:
            text += line + "\n"
    return text.rstrip()


def _said(answer: Answer) -> str:
    """Return Twilio's own words: `code` and `message` of its answer."""
    try:
        body = msgspec.json.decode(answer.body)
        return _CONTROL.sub(" ", f"{body['message']} (Twilio {body['code']})")
    except (msgspec.DecodeError, KeyError, TypeError):
        return "Twilio refused it"
