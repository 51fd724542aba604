"""Identity: fingerprints of alerts, keys of incidents and effects, digests of rules."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec


def _digest(parts: Iterable[str]) -> bytes:
    """Hash a sequence of texts, each preceded by its length, so that no separator can be forged."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        hasher.update(len(raw).to_bytes(4, "big"))
        hasher.update(raw)
    return hasher.digest()


def fingerprint_of(source: str, *identity: str) -> str:
    """Return the fingerprint (32 hex digits) of whatever a source identifies by these parts."""
    return _digest((source, *identity)).hex()


_PACKED: Final = msgspec.msgpack.Encoder()


def fingerprint_of_labels(source: str, labels: Mapping[str, str], ignore: frozenset[str] = frozenset()) -> str:
    """Return the fingerprint (32 hex digits) of a label set, less the labels named in `ignore`.

    The texts must be encodable (`clean_text`). This runs for every alert, hence msgpack: its lengths keep names and
    values apart as in `fingerprint_of`, at a third of the cost.
    """
    if not ignore.isdisjoint(labels):
        labels = {name: value for name, value in labels.items() if name not in ignore}
    return hashlib.blake2b(_PACKED.encode((source, sorted(labels.items()))), digest_size=16).hexdigest()


def key_of(*parts: str) -> str:
    """Return a 26-character lower-case base32 key; people see its first six characters."""
    return base64.b32encode(_digest(parts)).decode("ascii").rstrip("=").lower()


def short(key: str) -> str:
    """Return the six characters of an incident's key that people see and type."""
    return key[:6]


def rules_digest(files: Mapping[str, str]) -> str:
    """Return the identity (32 hex digits) of a rules folder: its paths and texts."""
    return _digest(part for path in sorted(files) for part in (path, files[path])).hex()


def clean_text(text: str) -> str:
    """Return `text` with lone surrogates replaced, since they cannot be stored as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text
