"""What of the operators' files no view shows: hashes of tokens, how people are reached, and what looks like a secret.

Literal secrets are refused where the rules know the field (`triage.rulebook.secrets`). This is the second wall, for
what is only warned about there, for comments and for Markdown: it knows no fields, and rather hides too much.
"""

from __future__ import annotations

import re
from typing import Final

from triage.rulebook import secrets

HIDDEN: Final = "‹not shown›"
_HASH: Final = re.compile(r"\b[0-9A-Fa-f]{40,}\b")
_PHONE: Final = re.compile(r"\+\d[\d ]{6,}\d")
_URL: Final = re.compile(
    r"""(?P<quote>["'])(?P<whole>[A-Za-z][A-Za-z0-9+.-]{0,30}+://.*?)(?P=quote)|[A-Za-z][A-Za-z0-9+.-]{0,30}+://\S+"""
)
_AFTER: Final = "\"',])>}.;"
"""What may follow an address without belonging to it: the end of a list, a map, a sentence."""
_KEYED: Final = re.compile(
    r"""(?P<key>[\w-]{1,60}+)(?P<colon>["']?\s*:\s+)(?P<value>"[^"]*"|'[^']*'|[^\s"'{\[,}#|>&*][^,}\n]*)"""
)
_REFERENCE: Final = re.compile(r"\$\{[^}]{0,200}\}")
_PIECE: Final = re.compile(r"[^/@:?&=#]+")
_QUERY: Final = re.compile(r"(?P<name>[^?&=#]+)=(?P<value>[^&#]+)")
_READ: Final = frozenset({"http", "https", "webcal"})
"""Schemes of addresses that people read. Any other is a way to reach somebody, and is hidden whole."""


def masked(line: str) -> str:
    """Return one line of a file as a view may show it; `${NAME}` stays, since it is no secret."""
    line = _URL.sub(_url, line)
    line = _KEYED.sub(_keyed, line)
    return _PHONE.sub(HIDDEN, _HASH.sub(HIDDEN, line))


def _keyed(found: re.Match[str]) -> str:
    key, value = found["key"], found["value"]
    plain = value.strip("\"'")
    harmless = "${" in plain or plain.startswith("file:") or key.endswith("_header") or HIDDEN in plain
    if harmless or not secrets.tells(key):
        return found[0]
    return f"{key}{found['colon']}{HIDDEN}"


def _url(found: re.Match[str]) -> str:
    if found["quote"]:
        return f"{found['quote']}{_address(found['whole'])}{found['quote']}"
    whole = found[0]
    closed = max((one.end() for one in _REFERENCE.finditer(whole)), default=0)
    end = max(closed, len(whole.rstrip(_AFTER)))
    return _address(whole[:end]) + whole[end:]


def _address(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if not rest:
        return url
    if scheme.lower() not in _READ:
        return f"{scheme}://{''.join(_REFERENCE.findall(rest))}{HIDDEN}"
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    user = user if not user or "${" in user else HIDDEN
    path = _QUERY.sub(_parameter, path)
    path = _PIECE.sub(lambda piece: HIDDEN if secrets.random(piece[0]) else piece[0], path)
    return f"{scheme}://{user}{at}{host}{slash}{path}"


def _parameter(found: re.Match[str]) -> str:
    if "${" in found["value"] or not secrets.tells(found["name"]):
        return found[0]
    return f"{found['name']}={HIDDEN}"
