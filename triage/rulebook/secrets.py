"""References to secrets in the operators' files: how they are written, and what looks like a literal one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from triage import twilio

_METHOD: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}?")
_WHOLE: Final = re.compile(r"\$\{([^}]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_TELLING: Final = re.compile(r"token|passw|pwd|secret|auth|(^|_|-|api)key$|signature", re.IGNORECASE)
_RANDOM: Final = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[a-zA-Z])[A-Za-z0-9_-]{24,}\Z")
REMEDY: Final = "put the secret into an environment variable and write ${NAME} in its place"


def filled(text: str, value: Callable[[str], str]) -> str:
    """Return `text` with each `${NAME}` replaced by what `value` says of NAME; raises what `value` raises."""
    return _WHOLE.sub(lambda match: value(match[1]), text)


def reference_fault(text: str) -> str:
    """Return what is wrong with the `${NAME}` references in a text, or ""."""
    for match in _REFERENCE.finditer(text):
        if not match.group().endswith("}"):
            return "${ is never closed"
        if not _NAME.match(match[1]):
            return f"{match.group()} names no variable: letters, digits and _ only"
    return ""


def method_fault(url: str) -> str:
    """Return why a contact method can't be used as it is written, or ""."""
    if not _METHOD.match(url):
        return "this is no contact method: write a URL like mailto://…, terminal:// or file:///path"
    fault = reference_fault(url)
    if fault or url.startswith("file://"):
        return fault if fault or url.startswith("file:///") else "a file needs its whole path: file:///path"
    return "a literal secret stands in this URL" if _literal_secret(url) else twilio.fault(url)


def address_fault(url: str) -> str:
    """Return why the address of something to fetch can't be used as it is written, or ""."""
    if not url.startswith(("https://", "http://", "webcal://", "${")):
        return "this is no address: write https://…, webcal://… or a ${NAME} that holds one"
    return reference_fault(url) or ("a literal secret stands in this URL" if _literal_secret(url) else "")


def _literal_secret(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    user, at, _ = parts.netloc.rpartition("@")
    password = user.partition(":")[2] if at else ""
    if password and "${" not in password:
        return True
    if parts.scheme in ("slack+bot", "slack+room", "mattermost+room") and at and "${" not in user:
        return True
    if parts.scheme.startswith("webhook") and parts.fragment and "${" not in parts.fragment:
        return True
    query = parse_qsl(parts.query)
    return any(value and "${" not in value and _TELLING.search(name) for name, value in query)


def tells(name: str) -> bool:
    """Tell whether what goes by this name (of a header, a parameter) is likely a secret."""
    return bool(_TELLING.search(name)) or name.lower() == "cookie"


def suspicious(url: str) -> bool:
    """Tell whether a part of the URL's path or host looks like a token, which many services put there."""
    return any(random(piece) for piece in re.split(r"[/@:?&=]+", url.partition("://")[2]))


def random(word: str) -> bool:
    """Tell whether a word looks drawn at random, as tokens are: long, of letters and digits."""
    return bool(_RANDOM.match(word))


def secret_fault(text: str) -> str:
    """Return why a `secret:` is not taken, or "". It is `${NAME}` or `file:PATH`, never the secret itself."""
    if text.startswith("file:") and len(text) > len("file:"):
        return ""
    fault = reference_fault(text)
    if not fault and not (text.startswith("${") and text.endswith("}") and text.count("${") == 1):
        fault = "a literal secret stands here"
    return fault
