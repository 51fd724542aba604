"""Templates and what they may use. What came from outside is data: escaped, linked only where harmless."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from importlib import resources
from typing import Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import jinja2
from aiohttp import web
from markupsafe import Markup, escape

from desk.showing import time_of
from triage.model import DAY, HOUR, MINUTE, SECOND, Millis
from triage.rulebook.meanings import BUILT_IN

CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": CSP,
    # Nothing is told to other sites. `no-referrer` would also make browsers send `Origin: null` with our own forms, and
    # on plain http, where they send no Sec-Fetch-Site either, we could no longer tell ours from a stranger's.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LINK: Final = re.compile(r"(?:https?://|mailto:)[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}]", re.IGNORECASE)
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_UNITS: Final = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))


def lead_to(location: str) -> web.Response:
    """Answer a form by leading to a view, so that loading that again sends nothing again."""
    return web.Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


def static_files() -> dict[str, bytes]:
    """Return the desk's own style, script and icon by name."""
    folder = resources.files("desk") / "static"
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def static_type(name: str) -> str:
    """Return the media type of a static file."""
    return _TYPES["." + name.rpartition(".")[2]]


def for_xml(text: str) -> str:
    """Return text without what XML cannot hold: one such character, and no feed reader reads the feed."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def safe_url(url: str) -> str:
    """Return the address when it may become a link (http, https, mailto), else ""."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    if parts.scheme.lower() == "mailto":
        return url.strip()
    return url.strip() if parts.scheme.lower() in {"http", "https"} and parts.netloc else ""


def linked(text: str) -> Markup:
    """Return hostile text escaped, with the harmless addresses in it made into links."""
    parts: list[Markup] = []
    end = 0
    for found in _LINK.finditer(text):
        parts.append(escape(text[end : found.start()]))
        parts.append(link(found[0], found[0]))
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def link(url: str, text: str) -> Markup:
    """Return a link to another site, or only the text when the address is not harmless."""
    address = safe_url(url)
    if not address:
        return escape(text)
    return Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(address, text)


def duration(span: Millis) -> str:
    """Return how long, in its two largest units: `2 h 5 min`."""
    span = max(span, 0)
    for index, (unit, name) in enumerate(_UNITS):
        if span >= unit:
            rest, text = span % unit, f"{span // unit} {name}"
            if index + 1 < len(_UNITS) and unit != MINUTE and rest >= _UNITS[index + 1][0]:
                text += f" {rest // _UNITS[index + 1][0]} {_UNITS[index + 1][1]}"
            return text
    return "0 s"


def clock_of(at: Millis) -> str:
    """Return a time as people read it, to the second, in UTC."""
    return time_of(at)[:19].replace("T", " ") + " UTC"


def local_of(at: Millis, zone: str) -> str:
    """Return a time of day as people read it in a time zone, with the zone's short name. Raises KeyError."""
    return datetime.fromtimestamp(at / SECOND, ZoneInfo(zone)).strftime("%a %H:%M:%S %Z")


def wall_of(time: str, zone: str) -> str:
    """Return a time in RFC 3339 as the clock of a zone shows it, with the date: `Thu 2026-01-01 09:00 CET`."""
    return datetime.fromisoformat(time).astimezone(ZoneInfo(zone)).strftime("%a %Y-%m-%d %H:%M %Z")


class Renderer:
    """Renders templates. One per application; templates are compiled once."""

    def __init__(self, data_loss: str = "", shadow: bool = False) -> None:
        self.static = static_files()
        stamp = hashlib.blake2b(b"".join(self.static[name] for name in sorted(self.static)), digest_size=6)
        self._env = jinja2.Environment(
            loader=jinja2.PackageLoader("desk"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters |= {
            "linked": linked,
            "utc": time_of,
            "clock": clock_of,
            "duration": duration,
            "local": local_of,
            "wall": wall_of,
        }
        self._env.globals |= {"link": link, "meanings": BUILT_IN, "stamp": stamp.hexdigest(), "data_loss": data_loss}
        self._env.globals["shadow"] = shadow

    def text(self, template: str, **values: Any) -> str:
        """Return a template as text."""
        return self._env.get_template(template).render(**values)

    def answer(self, template: str, status: int = 200, **values: Any) -> web.Response:
        """Return a template as an answer with the headers every view has."""
        return web.Response(
            text=self.text(template, **values), status=status, content_type="text/html", headers=HEADERS
        )
