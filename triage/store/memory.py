"""The memory of triage as the store keeps it: loaded key by key as needed, cached by whoever holds the lease.

The cache is valid exactly while its cursor is the store's; `triage.store.commit` watches over that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

import msgspec
import redis

from triage.memory import ALERT, DETAILS, FAMILIES, Changes, Key, Missing
from triage.store import keys

CACHE_MAX: Final = 300_000
"""How many values a lease holder keeps; beyond, it forgets them all and loads anew what it needs."""

ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = {family: msgspec.msgpack.Decoder(struct) for family, struct in FAMILIES.items()}
_BINARY: Final = frozenset({ALERT, DETAILS})


def field_of(key: Key) -> bytes:
    """Return the hash field of a key: fingerprints as their 16 bytes, other ids as text."""
    return bytes.fromhex(key[1]) if key[0] in _BINARY else key[1].encode()


def id_of(family: str, field: bytes) -> str:
    """Return the id behind a hash field; the inverse of `field_of`."""
    return field.hex() if family in _BINARY else field.decode()


def value_of(family: str, raw: bytes) -> msgspec.Struct:
    """Return the struct that a hash value encodes."""
    return _DECODERS[family].decode(raw)


class Cache:
    """What has been loaded so far. None means: known not to exist. Raises `Missing` for what was never asked."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[Key, msgspec.Struct | None] = {}

    def get(self, key: Key) -> msgspec.Struct | None:
        try:
            return self.values[key]
        except KeyError:
            raise Missing(key) from None

    def load(self, client: redis.Redis, wanted: Iterable[Key]) -> None:
        """Load these keys in one round trip. Raises redis.RedisError."""
        by_family: dict[str, list[Key]] = {}
        for key in wanted:
            by_family.setdefault(key[0], []).append(key)
        with client.pipeline(transaction=False) as pipe:
            for family, group in by_family.items():
                pipe.hmget(keys.family(family), [cast("Any", field_of(key)) for key in group])
            answers = pipe.execute()
        for (family, group), raws in zip(by_family.items(), answers, strict=True):
            decoder = _DECODERS[family]
            for key, raw in zip(group, raws, strict=True):
                self.values[key] = None if raw is None else decoder.decode(raw)

    def apply(self, changes: Changes) -> None:
        """Take over what was committed."""
        if len(self.values) > CACHE_MAX:
            self.values.clear()
        self.values.update(changes.puts)


class Batch:
    """The cache as the next entry of a batch sees it: with the changes of the entries before it."""

    __slots__ = ("_known", "changes")

    def __init__(self, cache: Cache) -> None:
        self._known = cache.values
        self.changes = Changes()

    def get(self, key: Key) -> msgspec.Struct | None:
        puts = self.changes.puts
        if key in puts:
            return puts[key]
        try:
            return self._known[key]
        except KeyError:
            raise Missing(key) from None
