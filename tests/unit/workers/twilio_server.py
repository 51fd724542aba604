"""A Twilio for tests: takes calls and texts as its REST API does, and signs what it sends as its documentation says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tests.unit.workers.http_server import Provider

ACCOUNT = "AC" + "0" * 32
CALL = "CA" + "1" * 32
AUTH_TOKEN = "an auth token of the tests"
NUMBER = "+15550100"
ANA = "+491701234567"
SECRETS = {"TW_ACCOUNT": ACCOUNT, "TW_TOKEN": AUTH_TOKEN.replace(" ", "%20")}


def method(kind: str, port: int, to: str = ANA, sender: str = NUMBER) -> str:
    """Return a contact method as an operator writes it, to a Twilio on this port."""
    return f"twilio+{kind}://${{TW_ACCOUNT}}:${{TW_TOKEN}}@{sender}/{to}?api=http://127.0.0.1:{port}"


@dataclass
class Twilio(Provider):
    """`taken` are the calls and texts that were ordered: what (`Calls`, `Messages`), and the fields."""

    status: int = 201
    body: bytes = json.dumps({"account_sid": ACCOUNT, "sid": CALL, "status": "queued"}).encode()
    seen: int = field(default=0)

    @property
    def taken(self) -> list[tuple[str, dict[str, str]]]:
        found = []
        for path, headers, body in self.got:
            login = base64.b64decode(headers["authorization"].removeprefix("Basic ")).decode()
            assert login == f"{ACCOUNT}:{AUTH_TOKEN}"
            assert path.startswith(f"/2010-04-01/Accounts/{ACCOUNT}/")
            what = path.rpartition("/")[2].removesuffix(".json")
            found.append(
                (what, {name: values[0] for name, values in parse_qs(body.decode(), strict_parsing=True).items()})
            )
        return found


def signed(url: str, fields: dict[str, str], token: str = AUTH_TOKEN) -> dict[str, str]:
    """Return the headers of a request to `url`: the documented algorithm, written down once more for the tests."""
    text = url
    for name in sorted(fields):
        text += name + fields[name]
    sign = base64.b64encode(hmac.new(token.encode("utf-8"), text.encode("utf-8"), hashlib.sha1).digest())
    return {"X-Twilio-Signature": sign.decode()}
