"""Other web sites must not speak for this machine.

A page that anybody opens can post to http://localhost:9911, and by DNS rebinding even read the answer. An open source
on loopback therefore refuses what a browser sends on behalf of another site (`Origin`, `Sec-Fetch-Site`), and a `Host`
that is neither this machine nor the external URL. Whoever shows a token is not asked: no other site knows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from ingest.refusal import Refusal
from ingest.settings import DoorSettings, is_loopback


def check_site(headers: Mapping[str, str], settings: DoorSettings) -> None:
    """Refuse a request that another web site made. Raises `Refusal` 403."""
    host = headers.get("Host", "")
    if host and not _is_ours(host, settings.external_url):
        raise _refused(
            "The Host header names neither this machine nor --web.external-url. Give the source a token, or set "
            "--web.external-url to the address that senders use"
        )
    if headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise _refused("A browser sent this on behalf of another web site. Give the source a token")
    origin = headers.get("Origin")
    if origin is not None and not _same(origin, host, settings):
        raise _refused("The Origin header names another web site. Give the source a token")


@lru_cache(maxsize=256)
def _is_ours(host: str, external_url: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return is_loopback(name) or name == (urlsplit(external_url).hostname or "")


def _same(origin: str, host: str, settings: DoorSettings) -> bool:
    try:
        asked = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(asked) and asked.lower() in {host.lower(), urlsplit(settings.external_url).netloc.lower()}


def _refused(detail: str) -> Refusal:
    return Refusal(403, "cross-site", f"{detail}.", close=True)
