"""Would this store lose accepted events? Asked before anything is accepted; a store that would is refused.

The promise of the door is that a 202 means stable storage. It holds only where the server writes its append-only
file before it answers, never evicts, and is not replaced by a replica that missed the last writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

OLDEST: Final = (7, 0)
_LOCAL: Final = frozenset({"localhost", "::1", ""})
_ALWAYS: Final = "CONFIG SET appendfsync always, and the same in the server's configuration file"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to trust a store: the setting, its value, what it would cost, and how to mend it."""

    setting: str
    value: str
    why: str
    remedy: str

    def __str__(self) -> str:
        """Return it as one sentence for people."""
        return f"{self.setting} is {self.value}: {self.why}. Remedy: {self.remedy}."


def inspect(client: redis.Redis) -> list[Refusal]:
    """Return everything about this store that could lose accepted events; an empty list is a yes.

    Raises redis.RedisError when the store cannot be asked at all.
    """
    info = cast("Mapping[str, Any]", client.info())
    refusals = [*_version(info), *_topology(info), *_access(client)]
    try:
        config = cast("Mapping[str, str]", client.config_get("append*", "maxmemory*", "no-appendfsync-on-rewrite"))
    except redis.ResponseError as error:
        refusals += _config_unknown(info, error)
    else:
        refusals += _persistence(config) + _eviction(config)
    return refusals


def _version(info: Mapping[str, Any]) -> list[Refusal]:
    raw = str(info.get("valkey_version") or info.get("redis_version") or "unknown")
    numbers = tuple(int(part) for part in re.findall(r"\d+", raw)[:2])
    if numbers >= OLDEST:
        return []
    return [
        Refusal(
            "the server's version",
            raw,
            "only 7.0 and later are known to keep what they acknowledged",
            "use Redis 7.0 or later, or Valkey",
        )
    ]


def _topology(info: Mapping[str, Any]) -> list[Refusal]:
    found = []
    mode = str(info.get("redis_mode") or info.get("server_mode") or "standalone")
    role = str(info.get("role", "master"))
    if mode == "sentinel":
        found.append(
            Refusal(
                "the server's mode",
                mode,
                "a Sentinel holds no data",
                "point --redis.url at the server itself, one without automatic failover",
            )
        )
    elif mode == "cluster":
        found.append(
            Refusal(
                "the server's mode",
                mode,
                "a cluster's failover drops writes it has acknowledged",
                "use a single server with appendonly yes",
            )
        )
    if role not in {"master", "sentinel"}:
        found.append(
            Refusal(
                "the server's role",
                role,
                "a replica refuses writes, or loses them at the next sync",
                "point --redis.url at the primary",
            )
        )
    elif int(info.get("connected_slaves", 0)) and mode == "standalone":
        found.append(
            Refusal(
                "connected replicas",
                str(info["connected_slaves"]),
                "writes that have not reached one of them are lost when it is promoted, by Sentinel or by hand",
                "use a server without failover, or accept the loss knowingly",
            )
        )
    return found


def _access(client: redis.Redis) -> list[Refusal]:
    options = client.connection_pool.connection_kwargs
    host = str(options.get("host", ""))
    if "path" in options or host in _LOCAL or host.startswith("127."):
        return []
    try:
        anonymous = _answers_without_password(options)
    except redis.RedisError:
        return []
    if not anonymous:
        return []
    return [
        Refusal(
            "authentication",
            "off",
            f"anybody who reaches {host} can delete or forge events",
            "set a password (requirepass or ACL users) and put it into TOCSIN_REDIS_URL_FILE",
        )
    ]


def _answers_without_password(options: Mapping[str, Any]) -> bool:
    """Ask over a connection that gives no password."""
    plain = {key: value for key, value in options.items() if key not in {"username", "password", "credential_provider"}}
    kind = redis.SSLConnection if "ssl_cert_reqs" in plain or "ssl_context" in plain else redis.Connection
    connection = kind(**plain)
    try:
        connection.connect()  # type: ignore[no-untyped-call]
        connection.send_command("PING", check_health=False)  # type: ignore[no-untyped-call]
        return bool(connection.read_response() in {b"PONG", "PONG"})
    except (redis.AuthenticationError, redis.ResponseError):
        return False
    finally:
        connection.disconnect()  # type: ignore[no-untyped-call]


def _config_unknown(info: Mapping[str, Any], error: redis.ResponseError) -> list[Refusal]:
    """Say what cannot be known when CONFIG is denied; INFO still tells whether there is an append-only file."""
    found = [
        Refusal(
            "CONFIG GET",
            f"denied ({error})",
            "appendfsync and maxmemory-policy cannot be checked",
            "allow this user +config|get; where the provider forbids that and vouches for appendfsync always "
            "and noeviction, start with --accept-data-loss",
        )
    ]
    if not int(info.get("aof_enabled", 0)):
        found += _persistence({"appendonly": "no", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"})
    if str(info.get("maxmemory_policy", "noeviction")) != "noeviction":
        found += _eviction({"maxmemory-policy": str(info["maxmemory_policy"])})
    return found


def _persistence(config: Mapping[str, str]) -> list[Refusal]:
    found = []
    if config.get("appendonly") != "yes":
        found.append(
            Refusal(
                "appendonly",
                config.get("appendonly", "unknown"),
                "a restart loses everything since the last snapshot",
                "CONFIG SET appendonly yes, and the same in the server's configuration file",
            )
        )
    if config.get("appendfsync") != "always":
        found.append(
            Refusal(
                "appendfsync",
                config.get("appendfsync", "unknown"),
                "a power failure loses events that were answered with 202",
                _ALWAYS,
            )
        )
    if config.get("no-appendfsync-on-rewrite") != "no":
        found.append(
            Refusal(
                "no-appendfsync-on-rewrite",
                config.get("no-appendfsync-on-rewrite", "unknown"),
                "while the file is rewritten nothing is flushed to disk",
                "CONFIG SET no-appendfsync-on-rewrite no",
            )
        )
    return found


def _eviction(config: Mapping[str, str]) -> list[Refusal]:
    policy = config.get("maxmemory-policy", "unknown")
    if policy == "noeviction":
        return []
    return [
        Refusal(
            "maxmemory-policy",
            policy,
            "under memory pressure the server deletes journal and state",
            "CONFIG SET maxmemory-policy noeviction",
        )
    ]
