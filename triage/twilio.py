"""Twilio's contact methods and signatures, which the worker that calls and the desk that is called back share.

`twilio+sms://${ACCOUNT}:${AUTH_TOKEN}@FROM/TO` and `twilio+voice://…`: pure text in, pure text out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

SMS: Final = "twilio+sms"
VOICE: Final = "twilio+voice"
SCHEMES: Final = (SMS, VOICE)
API: Final = "https://api.twilio.com"
FORM: Final = "write {}://${{ACCOUNT_SID}}:${{AUTH_TOKEN}}@FROM/TO with numbers like +15550100"

_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_SENDER: Final = re.compile(r"(?:\+?[0-9]{3,15}|MG[0-9a-f]{32}|[A-Za-z0-9 ]{1,11})\Z")
_SID: Final = re.compile(r"[A-Za-z0-9]{2,64}\Z")
_OPTIONS: Final = frozenset({"key", "secret", "api"})


class Account(NamedTuple):
    """What a contact method says. Requests sign in with `key` and `secret`; callbacks are signed with `auth_token`."""

    account: str
    auth_token: str
    sender: str
    to: str
    key: str
    secret: str
    api: str

    @property
    def two_way(self) -> bool:
        """Tell whether an answer to the sender can reach us: names of letters take none."""
        return not re.search(r"[A-Za-z]", self.sender) or self.sender.startswith("MG")


def read(target: str) -> Account:
    """Return what a contact method says. Raises ValueError in words for the operator, without repeating secrets."""
    scheme, _, rest = target.partition("://")
    place, _, query = rest.partition("?")
    user, _, numbers = place.rpartition("@")
    account, _, auth_token = user.partition(":")
    sender, _, to = numbers.rstrip("/").partition("/")
    given = dict(parse_qsl(query.replace("+", "%2B")))
    if not account or not auth_token or not sender or not to:
        raise ValueError(FORM.format(scheme))
    unknown = sorted(given.keys() - _OPTIONS)
    if unknown:
        raise ValueError(f"{scheme}:// knows no {unknown[0][:40]}=; it knows {', '.join(sorted(_OPTIONS))}")
    if ("key" in given) is not ("secret" in given):
        raise ValueError("an API key needs both: key=${KEY_SID}&secret=${KEY_SECRET}")
    return Account(
        account=unquote(account),
        auth_token=unquote(auth_token),
        sender=unquote(sender),
        to=unquote(to),
        key=given.get("key") or unquote(account),
        secret=given.get("secret") or unquote(auth_token),
        api=(given.get("api") or API).rstrip("/"),
    )


def check(line: Account, scheme: str) -> None:
    """Raise ValueError for what cannot be called; what is written as `${NAME}` is looked at when it is filled in."""
    if _known(line.to) and not _NUMBER.match(line.to):
        raise ValueError("the number to reach must be written like +491701234567")
    if _known(line.sender) and not _SENDER.match(line.sender):
        raise ValueError(
            "the sender must be a number like +15550100, a short code, a name or a messaging service (MG…)"
        )
    if scheme == VOICE and _known(line.sender) and not line.sender.startswith("+"):
        raise ValueError("a call needs a number like +15550100 as its sender")
    if _known(line.account) and not _SID.match(line.account):
        raise ValueError("the account is its SID: letters and digits, AC first")


def _known(text: str) -> bool:
    return "${" not in text


def fault(method: str) -> str:
    """Return why a contact method, with its `${NAME}` not filled in, cannot be used; "" for other schemes too."""
    scheme = method.partition("://")[0].lower()
    if scheme not in SCHEMES:
        return ""
    try:
        check(read(method), scheme)
    except ValueError as wrong:
        return str(wrong)
    return ""


def signature(auth_token: str, url: str, fields: Iterable[tuple[str, str]]) -> str:
    """Return what `X-Twilio-Signature` is for a form that is sent to `url`: base64 of HMAC-SHA1.

    The URL is followed by each field, sorted by name, as name and value without anything between.
    """
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1)
    return base64.b64encode(digest.digest()).decode()
