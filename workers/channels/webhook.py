"""`webhook+https://host/path#${SECRET}`: a signed POST of JSON, as Standard Webhooks 1.0 describes it.

The receiver checks `webhook-signature` (HMAC-SHA256 over id, timestamp and body), refuses old timestamps, and drops an
id that it has seen. docs/channels.md has the body and how to check. The secret stands behind the `#`, which no request
carries; two, separated by a comma, sign both ways while one is being replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from triage.model import Ending
from workers.channel import Delivery, Message
from workers.outbound import judge, post

SCHEMES: Final = ("webhook+https", "webhook+http")
_MARK: Final = "whsec_"
_ENCODER: Final = msgspec.json.Encoder()


class Malformed(ValueError):
    """A contact method that cannot be used; the message says what to write."""


def send(target: str, message: Message) -> Delivery:
    """POST `message` to the address that `target` names."""
    url, _, secrets = target.removeprefix(target.partition("+")[0] + "+").partition("#")
    try:
        keys = [key_of(one) for one in secrets.split(",") if one]
    except Malformed as fault:
        return Delivery(Ending.GIVE_UP, str(fault))
    if not keys:
        return Delivery(Ending.GIVE_UP, "a webhook needs its secret: webhook+https://host/path#${SECRET}")
    body = body_of(message)
    headers = {"Content-Type": "application/json", **signature(keys, message.id, int(time.time()), body)}
    answer = post(url, body, headers)
    if not isinstance(answer, Delivery) and answer.status == 410:
        return Delivery(Ending.GIVE_UP, "HTTP 410: the receiver wants no more of these; take the contact method out")
    return judge(answer, "the webhook took it")


def key_of(secret: str) -> bytes:
    """Return the key of a secret: base64 after `whsec_`, else the text itself. Raises Malformed."""
    if not secret.startswith(_MARK):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_MARK), validate=True)
    except binascii.Error:
        raise Malformed("the webhook's secret begins with whsec_ but is no base64 after that") from None


def signature(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers that prove who sent the body and when. `timestamp` is in seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    sums = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in sums),
    }


def body_of(message: Message) -> bytes:
    """Return the JSON body. The same message has the same body, also as a possible repeat."""
    data = {
        "id": message.id,
        "severity": message.severity.name,
        "title": message.title,
        "text": message.body,
        "person": message.person,
        "incident": message.incident,
        "phase": message.phase,
        "url": message.url,
        "answer_url": message.answer_url,
        "number": message.number,
        "possible_repeat": message.possible_repeat,
    }
    return _ENCODER.encode({"type": f"tocsin.{message.kind.value}", "data": data})
